package protobuf

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// The envelope takes identity and time from fields of each type that has one; a zero without presence is none.
func TestTaken(t *testing.T) {
	m := parse(t, everything3).Messages().ByName("Every")
	for _, tt := range []struct {
		id      string
		payload []byte
		want    string // empty for none
	}{
		{"text", nested(14, 'a', 'b'), "ab"},
		{"text", nested(14), ""},
		{"text", nil, ""},
		{"otext", nested(102), "?"},
		{"i32", varintField(1, ^uint64(0)), "-1"},
		{"i64", varintField(2, ^uint64(0)), "-1"},
		{"i64", varintField(2, 0), ""},
		{"u32", varintField(3, 1<<32-1), "4294967295"},
		{"u64", varintField(4, 1<<63-1), "9223372036854775807"},
		{"s32", varintField(5, 3), "-2"},
		{"s64", varintField(6, 3), "-2"},
		{"f32", protowire.AppendFixed32([]byte{7<<3 | 5}, 1<<32-1), "4294967295"},
		{"sf32", protowire.AppendFixed32([]byte{9<<3 | 5}, 1<<32-1), "-1"},
		{"sf64", protowire.AppendFixed64([]byte{10<<3 | 1}, 7), "7"},
		{"color", varintField(16, 1), "RED"},
		{"color", varintField(16, 77), "77"},
		{"color", nil, ""},
		{"ocolor", varintField(103, 0), "COLOR_UNKNOWN"},
		{"oi32", varintField(101, 0), "0"},
		{"point.label", nested(300, nested(7, 'p')...), "p"},
		{"point.label", nested(300), ""},
		{"wtext", nested(610, nested(1, 'w')...), "w"},
		{"wtext", nested(610), "?"},
		{"wi32", nested(611), "0"},
		{"wi32", nested(611, varintField(1, 9)...), "9"},
		{"count", varintField(402, 8), "8"},
	} {
		o := options
		o.EventID = tt.id
		d := compile(t, m, Drop, o).NewDecoder()
		if _, err := d.Append(nil, tt.payload); err != nil {
			t.Fatal(err)
		}
		id, ok := d.EventID()
		if ok != (tt.want != "") || ok && string(id) != tt.want && tt.want != "?" {
			t.Errorf("%s: got %q, %v, want %q", tt.id, id, ok, tt.want)
		}
	}
	for _, tt := range []struct {
		time    string
		unit    decode.Unit
		payload []byte
		want    int64 // 0 for none
	}{
		{"at", decode.Auto, nested(600, varintField(1, 5)...), 5_000_000},
		{"at", decode.Auto, nil, 0},
		{"i64", decode.Auto, varintField(2, 1_700_000_000_000), 1_700_000_000_000_000},
		{"i64", decode.Seconds, varintField(2, 7), 7_000_000},
		{"i64", decode.Seconds, nil, 0},
		{"u32", decode.Auto, varintField(3, 1_700_000_000), 1_700_000_000_000_000},
		{"wi32", decode.Millis, nested(611, varintField(1, 7)...), 7000},
	} {
		o := options
		o.EventTime, o.EventTimeUnit = tt.time, tt.unit
		d := compile(t, m, Drop, o).NewDecoder()
		if _, err := d.Append(nil, tt.payload); err != nil {
			t.Fatal(err)
		}
		if micros, ok := d.EventTime(); ok != (tt.want != 0) || ok && micros != tt.want {
			t.Errorf("%s: got %d, %v, want %d", tt.time, micros, ok, tt.want)
		}
	}
	o := options
	o.EventTime, o.EventTimeUnit = "i64", decode.Seconds
	if _, err := compile(t, m, Drop, o).NewDecoder().Append(nil, varintField(2, 1<<62+1<<61)); err == nil {
		t.Error("a time out of range is taken")
	}
}
