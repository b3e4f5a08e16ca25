package protobuf

import (
	"errors"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// limits are the reasons for which a payload that protobuf takes is refused, each with such payloads.
var limits = map[string][][]byte{
	"the largest INTEGER": {varintField(4, 1<<63)},
	"years 1 to 9999":     {nested(600, varintField(1, 1<<50)...)},
	"the schema says":     {varintField(14, 1), nested(500, join(varintField(1, 1), varintField(2, 1))...)},
	"nanos": {
		nested(600, varintField(2, 1_000_000_000)...), nested(602, varintField(2, 1_000_000_000)...),
		nested(602, join(varintField(1, 1), varintField(2, math.MaxUint64))...),
	},
	"which JSON does not have": {nested(621, append([]byte{2<<3 | 1}, "\x00\x00\x00\x00\x00\x00\xf8\x7f"...)...)},
	"nested deeper":            {nested(622, deepList(decode.MaxJSONNesting)...)},
	"more than five bytes": {
		{14<<3 | 2, 0x81, 0x80, 0x80, 0x80, 0x80, 0, 'x'},     // a length of six bytes
		{14<<3 | 2 | 0x80, 0x80, 0x80, 0x80, 0x80, 0, 1, 'x'}, // a tag of six
		{0xf8 | 0x80, 0x87, 0x80, 0x80, 0x80, 0x80, 0, 1},     // one of a field that no schema has
	},
}

// deepList is a ListValue with so many others within.
func deepList(levels int) (list []byte) {
	for range levels {
		list = nested(1, nested(6, list...)...)
	}
	return list
}

// Each limit is one: protobuf takes what is refused for it.
func TestLimits(t *testing.T) {
	m := parse(t, everything3).Messages().ByName("Every")
	d := compile(t, m, Drop, options).decoder()
	for limit, payloads := range limits {
		for i, payload := range payloads {
			_, err := d.Append(nil, payload)
			if e, ok := errors.AsType[*decode.Error](err); !ok || !strings.Contains(e.Reason, limit) {
				t.Errorf("%s, payload %d: %v", limit, i, err)
			}
			if err := merge(payload, dynamicpb.NewMessage(m)); err != nil {
				t.Errorf("%s, payload %d: protobuf does not take it either: %v", limit, i, err)
			}
		}
	}
}

// keyTwice is a map's entry whose key comes again with another wire type.
const keyTwice = "\xe2&\r\n\v\n\x010\b000\xba0\x010"

// A payload at which protobuf panics is refused, not the end of a lane.
func TestMapKeyOfTwoTypes(t *testing.T) {
	o := options // a Struct that is looked at has no key of another type
	o.Columns = decode.Columns{"object": {Skip: true}}
	d := compile(t, parse(t, everything3).Messages().ByName("Every"), Drop, o).decoder()
	_, err := d.Append(nil, append(join(varintField(1, 1), varintField(1, 2)), keyTwice...))
	if e, ok := errors.AsType[*decode.Error](err); !ok || !strings.Contains(e.Reason, "more than once") {
		t.Errorf("got %v", err)
	}
}

// Whatever the bytes are: what is taken, protobuf takes too and means the same; what is refused, protobuf refuses, or a
// stated limit does.
func FuzzAppend(f *testing.F) {
	m := parse(f, everything3).Messages().ByName("Every")
	plan := compile(f, m, Drop, options)
	row := rowType(f, plan)
	f.Add([]byte{})
	f.Add(join(varintField(1, 1), nested(300, varintField(1, 5)...), nested(600, varintField(1, 5)...),
		nested(14, 'a', 'b')))
	f.Add(join(nested(400, 'w'), varintField(402, 3), nested(301, nested(7, 'x')...), nested(500, nested(1, 'k')...)))
	f.Add(join(nested(202, 1, 2, 0x80, 1), varintField(208, 77), nested(208, 1, 2), nested(610, nested(1, 'x')...),
		nested(602, varintField(1, 90061)...)))
	f.Add(join(nested(620, nested(1,
		join(nested(1, 'a'), nested(2, nested(6, nested(1, varintField(4, 1)...)...)...))...)...), nested(999, 1)))
	f.Add(append(join(varintField(1, 1), varintField(1, 2)), keyTwice...))
	f.Add([]byte("\xea&\r00\x91\x80\x0000000000")) // a Value whose tag takes three bytes
	for _, payloads := range limits {
		for _, payload := range payloads {
			f.Add(payload)
		}
	}
	d := plan.decoder()
	f.Fuzz(func(t *testing.T, payload []byte) {
		in := dynamicpb.NewMessage(m)
		failed := merge(payload, in)
		got, err := d.Append(nil, payload)
		if errors.Is(failed, errPanic) {
			return // nobody can tell what is right, but that it is no panic of ours
		}
		if err != nil {
			var e *decode.Error
			if !errors.As(err, &e) || e.Offset < -1 || e.Offset > len(payload) ||
				!strings.HasPrefix(e.Field, "payload") {
				t.Fatalf("%v", err)
			}
			for limit := range limits {
				if strings.Contains(e.Reason, limit) {
					return
				}
			}
			if failed == nil {
				t.Fatalf("protobuf takes it: %v", err)
			}
			return
		}
		if failed != nil {
			t.Fatalf("protobuf refuses it: %v", failed)
		}
		out := dynamicpb.NewMessage(row)
		if err := proto.Unmarshal(got, out); err != nil {
			t.Fatalf("the row is none: %v", err)
		}
		want := expect(in, row)
		if !sameEntries(want, out) {
			return // a key that is there twice stays twice
		}
		if diff := compareRows(want, out); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	})
}

// sameEntries reports whether the maps of two rows have as many entries.
func sameEntries(want, got protoreflect.Message) bool {
	same := true
	want.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.IsList() && got.Get(f).List().Len() != v.List().Len() {
			same = false
		}
		return same
	})
	return same
}
