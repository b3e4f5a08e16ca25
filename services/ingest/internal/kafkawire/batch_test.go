package kafkawire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// encode is a batch as another implementation writes it.
func encode(b kmsg.RecordBatch, records []kmsg.Record) []byte {
	b.Magic, b.NumRecords = 2, int32(len(records))
	for _, r := range records {
		r.Length = int32(len(r.AppendTo(nil)) - 1) // that of length 0 is one byte
		b.Records = r.AppendTo(b.Records)
	}
	if codec := b.Attributes & codecBits; codec != 0 {
		b.Records = deflate(byte(codec), b.Records)
	}
	return sealed(b.AppendTo(nil))
}

// sealed sets the length and the checksum of a batch.
func sealed(raw []byte) []byte {
	binary.BigEndian.PutUint32(raw[atLength:], uint32(len(raw)-lengthEnds))
	binary.BigEndian.PutUint32(raw[atChecksum:], crc32.Checksum(raw[atAttributes:], castagnoli))
	return raw
}

// deflate compresses with another implementation.
func deflate(codec byte, src []byte) []byte {
	c, err := kgo.DefaultCompressor([]kgo.CompressionCodec{
		{}, kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	}[codec])
	if err != nil {
		panic(err)
	}
	out, used := c.Compress(new(bytes.Buffer), src)
	if byte(used) != codec {
		panic("compressed otherwise")
	}
	return out
}

// plain are the records of a batch, inflated in as little memory as they take.
func plain(b *Batch) ([]byte, error) {
	if !b.Compressed() {
		return b.Records()
	}
	for size := min(b.InflatedSize(), MaxBatch); ; size = min(4*size, MaxBatch) {
		m, err := b.Inflate(size)
		if !errors.Is(err, ErrInflates) || size == MaxBatch {
			return m.Bytes(), err
		}
	}
}

// decode reads all records of a batch.
func decode(b *Batch) (records []kmsg.Record, err error) {
	raw, err := plain(b)
	if err != nil {
		return nil, err
	}
	for range b.Count {
		var r Record
		rest, err := r.Next(raw)
		if err != nil {
			return nil, err
		}
		k := kmsg.Record{TimestampDelta64: r.MillisDelta, OffsetDelta: int32(r.OffsetDelta), Key: r.Key, Value: r.Value}
		for range r.Headers {
			key, value, err := r.NextHeader()
			if err != nil {
				return nil, err
			}
			k.Headers = append(k.Headers, kmsg.Header{Key: string(key), Value: value})
		}
		if err := r.End(); err != nil {
			return nil, err
		}
		records, raw = append(records, k), rest
	}
	return records, nil
}

var asWritten = cmp.Options{
	cmpopts.IgnoreFields(kmsg.Record{}, "Length", "TimestampDelta", "Attributes"),
	cmpopts.IgnoreUnexported(kmsg.Record{}, kmsg.Header{}),
}

// Whatever another implementation writes is read as it was.
func TestBatchesOfAnotherImplementation(t *testing.T) {
	null := func(t *rapid.T, name string) []byte {
		if rapid.Bool().Draw(t, name+" is null") {
			return nil
		}
		return rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, name)
	}
	rapid.Check(t, func(t *rapid.T) {
		var records []kmsg.Record
		for i := range rapid.IntRange(0, 20).Draw(t, "records") {
			r := kmsg.Record{
				TimestampDelta64: rapid.Int64().Draw(t, "time"),
				OffsetDelta:      int32(i) * rapid.Int32Range(0, 1e6).Draw(t, "gap"),
				Key:              null(t, "key"), Value: null(t, "value"),
			}
			for range rapid.IntRange(0, 3).Draw(t, "headers") {
				r.Headers = append(r.Headers,
					kmsg.Header{Key: rapid.StringN(0, 10, 100).Draw(t, "header"), Value: null(t, "header value")})
			}
			records = append(records, r)
		}
		head := kmsg.RecordBatch{
			FirstOffset:     rapid.Int64Range(0, 1<<60).Draw(t, "offset"),
			LastOffsetDelta: rapid.Int32Range(0, 1<<30).Draw(t, "last"),
			FirstTimestamp:  rapid.Int64().Draw(t, "first time"), MaxTimestamp: rapid.Int64().Draw(t, "last time"),
			ProducerID: rapid.Int64().Draw(t, "producer"),
			Attributes: rapid.Int16Range(codecNone, codecZstd).Draw(t, "codec"),
		}
		for _, bit := range []int16{appendTimeBit, transactionalBit, controlBit} {
			if rapid.Bool().Draw(t, "bit") {
				head.Attributes |= bit
			}
		}
		raw := encode(head, records)
		b, rest, err := NextBatch(append(bytes.Clone(raw), "next"...))
		if err != nil || string(rest) != "next" {
			t.Fatalf("%d bytes are left, %v", len(rest), err)
		}
		want := Batch{
			FirstOffset: head.FirstOffset, LastOffset: head.FirstOffset + int64(head.LastOffsetDelta),
			FirstMillis: head.FirstTimestamp, MaxMillis: head.MaxTimestamp,
			ProducerID: head.ProducerID, Count: len(records), AppendTime: head.Attributes&appendTimeBit != 0,
			Transactional: head.Attributes&transactionalBit != 0, Control: head.Attributes&controlBit != 0,
		}
		if diff := cmp.Diff(want, b, cmpopts.IgnoreUnexported(Batch{})); diff != "" {
			t.Fatal(diff)
		}
		got, err := decode(&b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(records, got, asWritten); diff != "" { // null and empty are different
			t.Fatal(diff)
		}
		cut := rapid.IntRange(0, len(raw)-1).Draw(t, "cut")
		if _, _, err := NextBatch(raw[:cut]); !errors.Is(err, ErrCut) {
			t.Fatalf("cut at %d of %d: %v", cut, len(raw), err)
		}
		at := rapid.IntRange(atAttributes, len(raw)-1).Draw(t, "damaged")
		raw[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, _, err := NextBatch(raw); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Fatalf("damaged at %d: %v", at, err)
		}
	})
}

func TestBatchesThatCannotBeRead(t *testing.T) {
	good := func(change func(raw []byte) []byte) []byte {
		return change(encode(kmsg.RecordBatch{FirstOffset: 7},
			[]kmsg.Record{{Value: []byte("v")}, {OffsetDelta: 1, Value: []byte("w")}}))
	}
	for name, test := range map[string]struct {
		raw  []byte
		want string
	}{
		"of the next format": {
			good(func(raw []byte) []byte { raw[atMagic] = 3; return raw }), "offset 7 is of the unknown format 3",
		},
		"before 0.11": {good(func(raw []byte) []byte { raw[atMagic] = 1; return raw }), ErrLegacy.Error()},
		"too short": {
			good(func(raw []byte) []byte { raw[atLength+3] = 48; return raw }), "offset 7 says it has 48 bytes",
		},
		"of negative length": {
			good(func(raw []byte) []byte { raw[atLength] = 0xff; return raw }),
			"offset 7 says it has -",
		},
		"with too many records": {good(func(raw []byte) []byte {
			raw[atCount+2] = 1
			return sealed(raw)
		}), "offset 7 says it has 258 records, in 16 bytes"},
		"with a negative number of records": {good(func(raw []byte) []byte {
			raw[atCount] = 0xff
			return sealed(raw)
		}), "records"},
		"of an unknown codec": {good(func(raw []byte) []byte {
			raw[atAttributes+1] = 5
			return sealed(raw)
		}), "unknown way 5"},
		"of broken gzip": {
			good(func(raw []byte) []byte { raw[atAttributes+1] = codecGzip; return sealed(raw) }),
			"compressed with gzip",
		},
		"of broken snappy": {good(func(raw []byte) []byte {
			raw[atAttributes+1] = codecSnappy
			return sealed(raw)
		}), "compressed with snappy"},
		"of broken lz4": {
			good(func(raw []byte) []byte { raw[atAttributes+1] = codecLZ4; return sealed(raw) }), "compressed with lz4",
		},
		"of broken zstd": {
			good(func(raw []byte) []byte { raw[atAttributes+1] = codecZstd; return sealed(raw) }),
			"compressed with zstd",
		},
		"a record that breaks off": {good(func(raw []byte) []byte {
			raw[len(raw)-3]-- // the length of the last value
			return sealed(raw)
		}), errRecord.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			b, _, err := NextBatch(test.raw)
			if err == nil {
				_, err = decode(&b)
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestDecompressionIsBounded(t *testing.T) {
	const limit = 1 << 20
	for codec := byte(codecGzip); codec <= codecZstd; codec++ {
		for size, want := range map[int]error{0: nil, 1: nil, limit: nil, limit + 1: ErrInflates} {
			zeros := make([]byte, size)
			got, err := decompress(codec, deflate(codec, zeros), limit)
			if !errors.Is(err, want) || err == nil && !bytes.Equal(got.Bytes(), zeros) {
				t.Errorf("%s: %d bytes of %d, %v; want %v", codecNames[codec], len(got.Bytes()), size, err, want)
			}
		}
	}
	// The decoder of zstd has a bound of its own, which spares the memory.
	if _, err := decompress(codecZstd, deflate(codecZstd, make([]byte, MaxBatch+1)),
		MaxBatch); !errors.Is(err, ErrInflates) {
		t.Errorf("zstd: %v", err)
	}
}

func FuzzBatch(f *testing.F) {
	for codec := int16(codecNone); codec <= codecZstd; codec++ {
		f.Add(encode(kmsg.RecordBatch{FirstOffset: 7, Attributes: codec}, []kmsg.Record{
			{Value: []byte("v"), Headers: []kmsg.Header{{Key: "k", Value: []byte("v")}, {Key: ""}}},
			{OffsetDelta: 1, Key: []byte("k"), TimestampDelta64: -300},
		}))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > atRecords {
			raw = sealed(bytes.Clone(raw)) // else the checksum would be all that is tried
		}
		b, _, err := NextBatch(raw)
		if err != nil {
			return
		}
		got, err := decode(&b)
		if err != nil {
			return
		}
		// What we read, another implementation reads alike.
		inflated, err := plain(&b)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			var r Record
			rest, err := r.Next(inflated)
			if err != nil {
				t.Fatal(err)
			}
			var want kmsg.Record
			if err := want.ReadFrom(inflated[:len(inflated)-len(rest)]); err != nil {
				if int64(int32(r.OffsetDelta)) != r.OffsetDelta { // which it reads as 32 bits
					return
				}
				t.Fatalf("record %d: %v", i, err)
			}
			if diff := cmp.Diff(want, got[i], asWritten, cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
			inflated = rest
		}
	})
}
