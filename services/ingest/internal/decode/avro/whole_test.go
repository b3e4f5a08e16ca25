package avro

import (
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// An array is one JSON column where its items are none by themselves, and where a contract says that it is whole.
func TestWholeArrays(t *testing.T) {
	for _, c := range []struct {
		items  string
		column decode.Column
		datum  string
		want   string
	}{
		{`"long"`, decode.Column{Type: decode.JSON}, "\x04" + long(1) + long(-2) + "\x00", `x:"[1,-2]"`},
		{`"long"`, decode.Column{Type: decode.JSON}, "\x00", `x:"[]"`},
		{`["null","long"]`, decode.Column{Type: decode.JSON}, "\x04\x00\x02" + long(7) + "\x00", `x:"[null,7]"`},
		{
			`{"type":"array","items":"long"}`,
			decode.Column{Type: decode.JSON},
			"\x04\x02" + long(1) + "\x00\x00\x00", `x:"[[1],[]]"`,
		},
		{`"string"`, decode.Column{Type: decode.JSON}, "\x04" + avroText("1") + avroText("2") + "\x00", `x:"1" x:"2"`},
		{
			`"string"`,
			decode.Column{Type: decode.JSON, Whole: true},
			"\x04" + avroText("1") + avroText("2") + "\x00", `x:"[\"1\",\"2\"]"`,
		},
		{
			`{"type":"record","name":"I","fields":[{"name":"a","type":"int"}]}`,
			decode.Column{Type: decode.JSON, Whole: true},
			"\x04\x02\x04\x00", `x:"[{\"a\":1},{\"a\":2}]"`,
		},
	} {
		avsc := recordOf(`{"name":"x","type":{"type":"array","items":` + c.items + `}}`)
		got := text(t, compileWith(t, avsc, decode.Columns{"x": c.column}), c.datum)
		if strings.ReplaceAll(got, "  ", " ") != c.want {
			t.Errorf("%s: %s, want %s", c.items, got, c.want)
		}
	}
}
