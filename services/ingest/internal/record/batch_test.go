package record

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

var alike = cmp.Options{
	cmpopts.IgnoreUnexported(Record{}),
	cmp.FilterValues(func(a, b []Header) bool { return len(a)+len(b) == 0 }, cmp.Comparer(func(_, _ []Header) bool { return true })),
}

// What was kept comes back as it was, whatever has been read into the same record since.
func TestKeptRecordsComeBack(t *testing.T) {
	maybe := func(t *rapid.T, what string) []byte {
		if rapid.Bool().Draw(t, what+" is null") {
			return nil
		}
		return rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, what)
	}
	rapid.Check(t, func(t *rapid.T) {
		b := &Batch{
			Topic: "t", Partition: 3, Base: rapid.Int64Range(0, 1<<40).Draw(t, "base"), Millis: rapid.Int64Range(-1, 1<<42).Draw(t, "millis"),
			Same: rapid.Bool().Draw(t, "same"),
		}
		var want []Record
		for i := range rapid.IntRange(1, 10).Draw(t, "records") {
			k := kmsg.Record{OffsetDelta: int32(i), TimestampDelta64: rapid.Int64Range(0, 1000).Draw(t, "delta"), Key: maybe(t, "key"), Value: maybe(t, "value")}
			r := Record{Topic: "t", Partition: 3, Offset: b.Base + int64(i), TimestampMicros: b.Millis * 1000, Key: k.Key, Value: k.Value}
			switch {
			case b.Millis < 0:
				r.TimestampMicros = -1
			case !b.Same:
				r.TimestampMicros += k.TimestampDelta64 * 1000
			}
			for range rapid.IntRange(0, 3).Draw(t, "headers") {
				h := kmsg.Header{Key: rapid.StringN(0, 5, 20).Draw(t, "header"), Value: maybe(t, "header value")}
				k.Headers = append(k.Headers, h)
				r.Headers = append(r.Headers, Header{Key: []byte(h.Key), Value: h.Value})
			}
			k.Length = int32(len(k.AppendTo(nil)) - 1) // that of length 0 is one byte
			b.Raw = k.AppendTo(b.Raw)
			want = append(want, r)
		}
		var r Record
		var kept []Kept
		p := 0
		for i := range want {
			var err error
			if p, err = b.Read(p, &r); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want[i], r, alike); diff != "" {
				t.Fatalf("record %d (-want +got):\n%s", i, diff)
			}
			kept = append(kept, r.Keep())
			if rapid.Bool().Draw(t, "reset") {
				r.Reset()
				if diff := cmp.Diff(Record{}, r, alike); diff != "" {
					t.Fatalf("after Reset:\n%s", diff)
				}
			}
		}
		if p != len(b.Raw) {
			t.Fatalf("ends at %d of %d", p, len(b.Raw))
		}
		for i := range want {
			if diff := cmp.Diff(want[i], *kept[i].Record(), alike); diff != "" {
				t.Fatalf("kept record %d (-want +got):\n%s", i, diff)
			}
		}
	})
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
	if _, err := b.Read(0, &r); err != nil {
		t.Fatal(err)
	}
	if string(headers[0].Key) != "a" || string(r.Headers[0].Key) != "k" {
		t.Errorf("the headers of another were written to: %s", headers[0].Key)
	}
}

func TestBatchThatCannotBeRead(t *testing.T) {
	b := &Batch{Base: 100, Raw: []byte("\x12\x00\x00\x00\x01\x01\x02\x02k")}
	var r Record
	if p, err := b.Read(0, &r); p != 0 || err == nil || !strings.Contains(err.Error(), "the batch at offset 100, at byte 0 of its 9") {
		t.Errorf("%d, %v", p, err)
	}
}
