package record

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/ingest/internal/kafkawire"
)

var alike = cmp.Options{
	cmpopts.IgnoreUnexported(Record{}),
	cmp.FilterValues(func(a, b []Header) bool { return len(a)+len(b) == 0 },
		cmp.Comparer(func(_, _ []Header) bool { return true })),
}

// drawn is a batch, and its records as they should come.
func drawn(t *rapid.T) (*Batch, []Record) {
	maybe := func(what string) []byte {
		if rapid.Bool().Draw(t, what+" is null") {
			return nil
		}
		return rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, what)
	}
	b := Batch{
		Topic: "t", Partition: 3, Base: rapid.Int64Range(0, 1<<40).Draw(t, "base"),
		Millis: rapid.Int64Range(-1, 1<<42).Draw(t, "millis"),
		Same:   rapid.Bool().Draw(t, "same"),
	}
	var want []Record
	var headers []kmsg.Header
	for i := range rapid.IntRange(1, 10).Draw(t, "records") {
		k := kmsg.Record{
			OffsetDelta: int32(i), TimestampDelta64: rapid.Int64Range(0, 1000).Draw(t, "delta"), Key: maybe("key"),
			Value: maybe("value"),
		}
		r := Record{
			Topic: "t", Partition: 3, Offset: b.Base + int64(i), TimestampMicros: b.Millis * 1000, Key: k.Key,
			Value: k.Value,
		}
		switch {
		case b.Millis < 0:
			r.TimestampMicros = -1
		case !b.Same:
			r.TimestampMicros += k.TimestampDelta64 * 1000
		}
		if rapid.Bool().Draw(t, "other headers") {
			headers = nil
			for range rapid.IntRange(0, 3).Draw(t, "headers") {
				headers = append(headers, kmsg.Header{
					Key:   rapid.StringN(0, 2, 8).Draw(t, "header"),
					Value: maybe("header value"),
				})
			}
		}
		k.Headers = headers
		for _, h := range headers {
			r.Headers = append(r.Headers, Header{Key: []byte(h.Key), Value: h.Value})
		}
		k.Length = int32(len(k.AppendTo(nil)) - 1) // that of length 0 is one byte
		b.Raw = k.AppendTo(b.Raw)
		want = append(want, r)
	}
	return NewBatch(b), want
}

// What is read is what was written, whether headers are shared or not, and comes back as it was, whatever has been read
// into the same records since.
func TestRecordsComeAndComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, want := drawn(t)
		store := make([]Record, len(want))
		var kept []Kept
		for pass := range 2 {
			p := 0
			for i := range store {
				var before *Record
				if i > 0 && rapid.IntRange(0, 3).Draw(t, "before") > 0 {
					before = &store[i-1]
				}
				var err error
				if p, err = b.Read(p, &store[i], before); err != nil {
					t.Fatal(err)
				}
				if pass == 0 {
					kept = append(kept, store[i].Keep())
				}
			}
			if p != len(b.Raw) {
				t.Fatalf("ends at %d of %d", p, len(b.Raw))
			}
			if diff := cmp.Diff(want, store, alike); diff != "" {
				t.Fatalf("records (-want +got):\n%s", diff)
			}
			for i := range store {
				for j := range store[:i] {
					if set := store[i].HeaderSet(); set == (HeaderSet{}) ||
						set == store[j].HeaderSet() && !cmp.Equal(want[i].Headers, want[j].Headers, alike) {
						t.Fatalf("records %d and %d have the set %v", j, i, set)
					}
				}
			}
			for i := range store {
				if rapid.Bool().Draw(t, "reset") {
					store[i].Reset()
					if diff := cmp.Diff(Record{}, store[i], alike); diff != "" {
						t.Fatalf("after Reset:\n%s", diff)
					}
				}
			}
		}
		for i := range want {
			if diff := cmp.Diff(want[i], *kept[i].Record(), alike); diff != "" {
				t.Fatalf("kept record %d (-want +got):\n%s", i, diff)
			}
		}
	})
}

// Records with the same headers share them, and say so.
func TestSharedHeaders(t *testing.T) {
	raw := "\x12\x00\x00\x00\x01\x01\x02\x02k\x01" // nothing but a header with a null value
	b := NewBatch(Batch{Raw: []byte(raw + raw)})
	other := NewBatch(Batch{Raw: []byte(raw)})
	var first, second, third Record
	p, err := b.Read(0, &first, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read(p, &second, &first); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Read(0, &third, &second); err != nil {
		t.Fatal(err)
	}
	if first.HeaderSet() == (HeaderSet{}) || first.HeaderSet() != second.HeaderSet() ||
		&first.Headers[0] != &second.Headers[0] {
		t.Errorf("not shared: %v and %v", first.HeaderSet(), second.HeaderSet())
	}
	if third.HeaderSet() == first.HeaderSet() || &third.Headers[0] == &second.Headers[0] {
		t.Error("shared with a record of another batch")
	}
	lying := NewBatch(Batch{Raw: []byte(raw + strings.Replace(raw, "\x01\x01\x02\x02k", "\x01\x01\x04\x02k", 1))})
	if p, err = lying.Read(0, &third, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := lying.Read(p, &second, &third); err == nil {
		t.Error("a record that says it has two headers, and has one, was read")
	}
}

// Places bring back what was kept, in order, and release everything.
func TestPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var places Places
		var buffers []*kafkawire.Buffer
		var want []Record
		for range rapid.IntRange(0, 4).Draw(t, "batches") {
			b, records := drawn(t)
			if rapid.Bool().Draw(t, "counted") {
				b.Buffer = kafkawire.NewBuffer(0)
				b.Buffer.Retain(len(records))
				buffers = append(buffers, b.Buffer)
			}
			p := 0
			for i := range records {
				var r Record
				var err error
				if p, err = b.Read(p, &r, nil); err != nil {
					t.Fatal(err)
				}
				loose := records[i]
				switch {
				case rapid.Bool().Draw(t, "passed"):
					places.Pass(&r)
				default:
					places.Keep(&r)
					want = append(want, records[i])
				}
				if rapid.IntRange(0, 4).Draw(t, "of no batch") == 0 {
					places.Pass(&loose)
					places.Keep(&loose)
					want = append(want, records[i])
				}
			}
		}
		if places.Len() != len(want) {
			t.Fatalf("%d, want %d", places.Len(), len(want))
		}
		for i := range want {
			if diff := cmp.Diff(want[i], *places.Record(i), alike); diff != "" {
				t.Fatalf("record %d (-want +got):\n%s", i, diff)
			}
		}
		places.Release()
		if places.Len() != 0 {
			t.Errorf("%d are left", places.Len())
		}
		for _, m := range buffers {
			m.Release(1)
			if !panics(func() { m.Release(1) }) {
				t.Fatal("a reference to the buffer of records is left")
			}
		}
	})
}

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}

// A record that was not read from a batch is kept as well, and its headers are nobody else's to write to.
func TestRecordsWithoutBytes(t *testing.T) {
	headers := []Header{{Key: []byte("a")}, {Key: []byte("b")}}
	r := Record{Offset: 7, Value: []byte("v"), Headers: headers}
	kept := r.Keep()
	r.Reset()
	if got := kept.Record(); got.Offset != 7 || string(got.Value) != "v" || len(got.Headers) != 2 {
		t.Errorf("got %+v", got)
	}
	b := &Batch{Raw: []byte("\x12\x00\x00\x00\x01\x01\x02\x02k\x01")} // nothing but a header with a null value
	r = Record{Headers: headers}
	if _, err := b.Read(0, &r, nil); err != nil {
		t.Fatal(err)
	}
	if string(headers[0].Key) != "a" || string(r.Headers[0].Key) != "k" {
		t.Errorf("the headers of another were written to: %s", headers[0].Key)
	}
}

func TestBatchThatCannotBeRead(t *testing.T) {
	b := &Batch{Base: 100, Raw: []byte("\x12\x00\x00\x00\x01\x01\x02\x02k")}
	var r Record
	if p, err := b.Read(0, &r, nil); p != 0 || err == nil ||
		!strings.Contains(err.Error(), "the batch at offset 100, at byte 0 of its 9") {
		t.Errorf("%d, %v", p, err)
	}
}
