package protobuf

import (
	"encoding/json"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// FuzzColumns runs columns that are asked for on any payload: no panic, and what is taken is a row of their types.
func FuzzColumns(f *testing.F) {
	const text = `syntax = "proto3"; message M { string j = 1; bytes n = 2; optional string t = 3; repeated int64 m = ` +
		`4; repeated fixed64 d = 5; R r = 6; map<string, string> g = 7; }
		message R { optional string start = 1; optional int32 end = 2; }`
	p, err := compiled(f, text, decode.Columns{
		"j": {Type: decode.JSON}, "n": {Type: decode.Numeric}, "t": {Type: decode.Timestamp}, "m": {
			Type: decode.Timestamp, Unit: decode.Millis,
		},
		"d": {Type: decode.DateTime}, "r": {Type: decode.Range}, "r.start": {Type: decode.Date},
		"r.end":   {Type: decode.Date},
		"g.value": {Type: decode.Geography},
	}, func(o *decode.Options) { o.EventTime = "t" })
	if err != nil {
		f.Fatal(err)
	}
	row := rowType(f, p)
	f.Add(join(nested(1, '1'), nested(2, '2'), nested(3, []byte("2026-02-28T13:05:00Z")...), nested(4, 1, 2),
		nested(6, join(nested(1, []byte("1970-01-02")...), varintField(2, 9))...)))
	f.Add(join(nested(5, make([]byte, 16)...), nested(7, join(nested(1, 'k'), nested(2, []byte("POINT(1 2)")...))...),
		varintField(4, 5)))
	d := p.NewDecoder()
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, err := d.Append(nil, payload)
		if err != nil {
			if got != nil {
				t.Fatal("a row and an error")
			}
			return
		}
		m := dynamicpb.NewMessage(row)
		if err := proto.Unmarshal(got, m); err != nil {
			t.Fatal(err)
		}
		if len(m.GetUnknown()) > 0 {
			t.Fatalf("%x has fields that the row has not", got)
		}
		text := m.Get(row.Fields().ByName("j")).String()
		if text != "" && !json.Valid([]byte(text)) {
			t.Fatalf("%q is no JSON", text)
		}
	})
}
