package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/ingest/internal/kafkawire"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

var testPartition = topicPartition{testTopic, 3}

// drained are the records of a fetchResult.
func (c *fetchResult) drained() []record.Record {
	var out []record.Record
	for i := range c.batches {
		if k := &c.batches[i]; k.packed != nil {
			open, err := k.inflateAlone(c.tp)
			if err != nil {
				panic(err)
			}
			k.memory.Release(1)
			*k = open
		}
		out, _ = c.batches[i].move(slices.Grow(out, c.batches[i].count), c.batches[i].count)
	}
	return out
}

// batchOf is a batch of records with values v<offset>; offsets may have gaps.
func batchOf(first, last int64, offsets ...int64) *sarama.RecordBatch {
	b := &sarama.RecordBatch{
		Version: 2, FirstOffset: first, LastOffsetDelta: int32(last - first), ProducerID: -1,
		FirstTimestamp: time.UnixMilli(1000), MaxTimestamp: time.UnixMilli(9000),
	}
	for _, o := range offsets {
		b.Records = append(b.Records, &sarama.Record{
			OffsetDelta: o - first, TimestampDelta: 5 * time.Millisecond, Value: fmt.Appendf(nil, "v%d", o),
		})
	}
	return b
}

// marker ends the transaction of producer 7: 0 aborts, 1 commits.
func marker(offset int64, kind uint16) *sarama.RecordBatch {
	b := batchOf(offset, offset, offset)
	b.Control, b.IsTransactional, b.ProducerID = true, true, 7
	b.Records[0].Key = binary.BigEndian.AppendUint16([]byte{0, 0}, kind)
	return b
}

func transactional(b *sarama.RecordBatch, producer int64) *sarama.RecordBatch {
	b.IsTransactional, b.ProducerID = true, producer
	return b
}

// sent is what a broker sends for a partition.
type sent struct {
	kmsg.FetchResponseTopicPartition
	raw []byte
}

func reply(batches ...*sarama.RecordBatch) sent {
	s := sent{FetchResponseTopicPartition: kmsg.FetchResponseTopicPartition{
		HighWatermark:        1000,
		PreferredReadReplica: -1,
	}}
	for _, batch := range batches {
		s.raw = append(s.raw, encoded(batch)...)
	}
	return s
}

// failed is a response without records.
func failed(code sarama.KError) *kafkawire.FetchedPartition {
	p := kmsg.FetchResponseTopicPartition{ErrorCode: int16(code), PreferredReadReplica: -1}
	return &kafkawire.FetchedPartition{FetchResponseTopicPartition: p}
}

func (s sent) part() *kafkawire.FetchedPartition {
	p := &kafkawire.FetchedPartition{
		FetchResponseTopicPartition: s.FetchResponseTopicPartition,
		Records:                     kafkawire.NewBuffer(len(s.raw)),
	}
	copy(p.Records.Bytes(), s.raw)
	return p
}

func (s sent) unpack(from int64, committed bool) (fetchResult, error) {
	return unpack(testPartition, s.part(), from, committed)
}

// encoded is a batch as another implementation writes it; of one that says it is partial, a half.
func encoded(b *sarama.RecordBatch) []byte {
	millis := func(t time.Time) int64 {
		if t.IsZero() {
			return -1
		}
		return t.UnixMilli()
	}
	k := kmsg.RecordBatch{
		FirstOffset: b.FirstOffset, Magic: 2, LastOffsetDelta: b.LastOffsetDelta,
		FirstTimestamp: millis(b.FirstTimestamp), MaxTimestamp: millis(b.MaxTimestamp),
		ProducerID: b.ProducerID, NumRecords: int32(len(b.Records)),
	}
	for bit, set := range map[int16]bool{0x08: b.LogAppendTime, 0x10: b.IsTransactional, 0x20: b.Control} {
		if set {
			k.Attributes |= bit
		}
	}
	for _, r := range b.Records {
		one := kmsg.Record{
			TimestampDelta64: r.TimestampDelta.Milliseconds(), OffsetDelta: int32(r.OffsetDelta),
			Key: r.Key, Value: r.Value,
		}
		for _, h := range r.Headers {
			one.Headers = append(one.Headers, kmsg.Header{Key: string(h.Key), Value: h.Value})
		}
		one.Length = int32(len(one.AppendTo(nil)) - 1) // a length of 0 is one byte
		k.Records = one.AppendTo(k.Records)
	}
	if b.Codec == sarama.CompressionLZ4 {
		var out bytes.Buffer
		w := lz4.NewWriter(&out)
		if _, err := w.Write(k.Records); err != nil {
			panic(err)
		}
		if err := w.Close(); err != nil {
			panic(err)
		}
		k.Records = out.Bytes()
		k.Attributes |= 3
	}
	raw := k.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	if b.PartialTrailingRecord {
		return raw[:len(raw)/2]
	}
	return raw
}

func TestUnpack(t *testing.T) {
	cutOff := batchOf(20, 29)
	cutOff.PartialTrailingRecord = true
	ofSeven := func(first, last int64, offsets ...int64) *sarama.RecordBatch {
		return transactional(batchOf(first, last, offsets...), 7)
	}
	ofEight := transactional(batchOf(11, 11, 11), 8)
	twice := reply(ofSeven(10, 10, 10), marker(11, 0), ofSeven(12, 12, 12), marker(13, 0))
	for name, test := range map[string]struct {
		block   sent
		from    int64
		dirty   bool // read uncommitted
		offsets []int64
		next    int64
		cut     bool
	}{
		"nothing": {block: reply(), from: 10, next: 10},
		"from within a batch": {
			block: reply(batchOf(10, 13, 10, 11, 12, 13)),
			from:  12, offsets: []int64{12, 13}, next: 14,
		},
		"a batch whose end was compacted": {
			block: reply(batchOf(10, 19, 10, 15)),
			from:  10, offsets: []int64{10, 15}, next: 20,
		},
		"a batch that is wholly before": {block: reply(batchOf(10, 19, 10, 11)), from: 15, next: 20},
		"cut off behind a batch": {
			block: reply(batchOf(10, 19, 19), cutOff),
			from:  10, offsets: []int64{19}, next: 20,
		},
		"cut off at once": {block: reply(cutOff), from: 20, next: 20, cut: true},
		"cut off within the head": {
			block: sent{reply().FetchResponseTopicPartition, encoded(batchOf(20, 20, 20))[:10]},
			from:  20, next: 20, cut: true,
		},
		"a marker alone": {block: reply(marker(10, 1)), from: 10, next: 11},
		"an aborted transaction": {
			block: aborted(reply(ofSeven(10, 11, 10, 11), marker(12, 0), ofSeven(13, 13, 13)), 7, 10),
			from:  10, offsets: []int64{13}, next: 14,
		},
		"and read uncommitted": {
			block: aborted(reply(ofSeven(10, 11, 10, 11), marker(12, 0)), 7, 10),
			from:  10, dirty: true, offsets: []int64{10, 11}, next: 13,
		},
		"another producer in between": {
			block: aborted(reply(ofSeven(10, 10, 10), ofEight, batchOf(12, 12, 12), marker(13, 0)), 7, 10),
			from:  10, offsets: []int64{11, 12}, next: 14,
		},
		"aborted from before on": {
			block: aborted(reply(ofSeven(10, 10, 10), marker(11, 0)), 7, 4),
			from:  10, next: 12,
		},
		"aborted twice by one producer": {
			block: aborted(aborted(twice, 7, 12), 7, 10),
			from:  10, next: 14,
		},
		"a commit does not end an abort": {
			block: aborted(reply(marker(10, 1), ofSeven(11, 11, 11), marker(12, 0)), 7, 11),
			from:  10, next: 13,
		},
		"a record that is no transaction's": {
			block: aborted(reply(batchOf(10, 10, 10)), -1, 10),
			from:  10, offsets: []int64{10}, next: 11,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := test.block.unpack(test.from, !test.dirty)
			if err != nil {
				t.Fatal(err)
			}
			var offsets []int64
			for _, r := range c.drained() {
				offsets = append(offsets, r.Offset)
				if string(r.Value) != fmt.Sprintf("v%d", r.Offset) || r.TimestampMicros != 1_005_000 ||
					r.Topic != testTopic || r.Partition != 3 {
					t.Errorf("record %+v", r)
				}
			}
			if diff := cmp.Diff(test.offsets, offsets); diff != "" || c.next != test.next || c.cut != test.cut {
				t.Errorf("next %d, cut %t; want %d, %t; records (-want +got):\n%s", c.next, c.cut, test.next, test.cut,
					diff)
			}
		})
	}
	empty := marker(10, 0)
	empty.Records = nil
	if _, err := reply(empty).unpack(10, true); err == nil {
		t.Error("a control batch without a marker passed")
	}
}

func aborted(b sent, producer, first int64) sent {
	one := kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: producer, FirstOffset: first}
	b.AbortedTransactions = append(b.AbortedTransactions, one)
	return b
}

func TestTimestamps(t *testing.T) {
	appended, none := batchOf(10, 10, 10), batchOf(11, 11, 11)
	appended.LogAppendTime = true
	none.FirstTimestamp = time.Time{}
	c, err := reply(appended, none).unpack(10, true)
	if err != nil {
		t.Fatal(err)
	}
	got := c.drained()
	if got[0].TimestampMicros != 9_000_000 || got[1].TimestampMicros != -1 {
		t.Errorf("timestamps %d and %d, want that of the append and none", got[0].TimestampMicros,
			got[1].TimestampMicros)
	}
}

// Compaction leaves batches without records: a reader must not wait there for ever.
func TestBatchesWithoutRecords(t *testing.T) {
	c, err := reply(batchOf(10, 19)).unpack(12, true)
	if err != nil || c.next != 20 || c.cut || len(c.batches) != 0 {
		t.Errorf("next %d, cut %t, %v; want to go on at 20", c.next, c.cut, err)
	}
}

// What a checksum does not tell is an error where it is found, and nothing behind it is passed on.
func TestRecordsThatCannotBeRead(t *testing.T) {
	r := loneReader(t)
	defer r.Close()
	whole := batchOf(10, 12, 10, 11, 12)
	bad := reply(whole)
	at := bytes.Index(bad.raw, []byte("v12"))
	bad.raw[at-1] = 0x7f // the length of the value
	binary.BigEndian.PutUint32(bad.raw[17:], crc32.Checksum(bad.raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	bad.raw = append(bad.raw, encoded(batchOf(13, 13, 13))...)
	if err := r.take(bad.part()); err != nil {
		t.Fatal(err)
	}
	dst, _, err := r.pull(make([]record.Record, 0, 10))
	if err != nil || len(dst) != 2 {
		t.Fatalf("%d records, %v", len(dst), err)
	}
	_, _, err = r.pull(make([]record.Record, 0, 10))
	place := testTopic + "/3: the batch at offset 10, at byte 20 of its 30"
	if !errors.Is(err, lane.ErrUnreadable) || !strings.Contains(err.Error(), place) {
		t.Errorf("got %v", err)
	}
	if r.bytes != 0 || r.budget.held.Load() != 0 {
		t.Errorf("%d bytes are held, %d of the budget", r.bytes, r.budget.held.Load())
	}
	damaged := reply(whole)
	damaged.raw[len(damaged.raw)-1]++
	if _, err := damaged.unpack(10, true); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("a damaged batch: %v", err)
	}
}

// However a log is cut into fetches, what is read of it is each record once, in order.
func TestUnpackGoesOn(t *testing.T) {
	codecs := []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionLZ4}
	rapid.Check(t, func(t *rapid.T) {
		var log []*sarama.RecordBatch
		var want []int64
		end := int64(0)
		for range rapid.IntRange(1, 10).Draw(t, "batches") {
			last := end + rapid.Int64Range(0, 5).Draw(t, "length")
			var offsets []int64
			for o := end; o <= last; o++ {
				if rapid.IntRange(0, 3).Draw(t, "kept") > 0 || o == last {
					offsets = append(offsets, o)
				}
			}
			want = append(want, offsets...)
			b := batchOf(end, last, offsets...)
			b.Codec = rapid.SampledFrom(codecs).Draw(t, "codec")
			log = append(log, b)
			end = last + 1
		}
		var got []int64
		next := rapid.Int64Range(0, end).Draw(t, "from")
		want = slices.DeleteFunc(want, func(o int64) bool { return o < next })
		for range 100 {
			var sent []*sarama.RecordBatch
			for _, b := range log {
				if b.LastOffset() >= next {
					sent = append(sent, b)
				}
			}
			sent = sent[:min(len(sent), rapid.IntRange(0, 3).Draw(t, "fetched"))]
			s := reply(sent...)
			p := s.part()
			c, err := unpack(testPartition, p, next, true)
			if err != nil || c.next < next {
				t.Fatalf("next %d after %d, %v", c.next, next, err)
			}
			next = c.next
			memories := map[*kafkawire.Buffer]bool{p.Records: true}
			var places record.Places
			taken := c.drained()
			for _, k := range c.batches {
				memories[k.batch.Buffer] = true
			}
			for _, r := range taken {
				got = append(got, r.Offset)
				places.Pass(&r)
			}
			places.Release()
			for m := range memories {
				if !panics(func() { m.Release(1) }) {
					t.Fatal("the memory of a response is held on to")
				}
			}
		}
		if next == end && len(got) != len(want) || len(got) > len(want) || !slices.Equal(want[:len(got)], got) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}

func TestLarger(t *testing.T) {
	size := int32(minFetch)
	for range 40 {
		if grown := larger(size); grown < size || grown == size && size != math.MaxInt32 {
			t.Fatalf("%d grows to %d", size, grown)
		}
		size = larger(size)
	}
	if grown := larger(math.MaxInt32 / 2); grown != math.MaxInt32-1 {
		t.Errorf("half of the most grows to %d", grown)
	}
}
