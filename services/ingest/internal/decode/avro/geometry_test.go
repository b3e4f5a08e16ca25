package avro

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

const debeziumPoint = `{"type":"record","name":"Point","namespace":"io.debezium.data.geometry","fields":[` +
	`{"name":"x","type":"double"},{"name":"y","type":"double"},{"name":"wkb","type":["null","bytes"],"default":null},` +
	`{"name":"srid","type":["null","int"],"default":null}],"connect.name":"io.debezium.data.geometry.Point"}`

// A shape of Debezium's becomes a GEOGRAPHY where the contract says so, by its WKB.
func TestGeometry(t *testing.T) {
	p := compileWith(t, recordOf(`{"name":"x","type":["null",`+debeziumPoint+`]}`),
		decode.Columns{"x": {Type: decode.Geography}})
	const wkb = "0101000000" + "0000000000802a40" + "0000000000404a40" // POINT(13.25 52.5)
	datum := func(shape, srid string) string {
		b, err := hex.DecodeString(shape)
		if err != nil {
			t.Fatal(err)
		}
		return "\x02" + doubled(1) + doubled(2) + "\x02" + avroText(string(b)) + srid
	}
	for in, want := range map[string]string{
		datum(wkb, "\x00"):                            `x:"POINT(13.25 52.5)"`,
		datum(wkb, "\x02"+long(4326)):                 `x:"POINT(13.25 52.5)"`,
		datum(wkb, "\x02"+long(3857)):                 "!the reference system 3857 is not WGS 84",
		datum(wkb+"00", "\x00"):                       "!left over behind the shape",
		datum("0102", "\x00"):                         "!end too early",
		"\x00":                                        "",
		"\x02" + doubled(1) + doubled(2) + "\x00\x00": "",
	} {
		got := text(t, p, in)
		if reason, refused := strings.CutPrefix(want, "!"); refused && !strings.Contains(got, reason) ||
			!refused && got != want {
			t.Errorf("%x: %s, want %s", in, got, want)
		}
	}
	// A list has no null to stand for a shape that is none: it must not get shorter.
	list := compileWith(t, recordOf(`{"name":"x","type":{"type":"array","items":`+debeziumPoint+`}}`),
		decode.Columns{"x": {Type: decode.Geography}})
	item := func(shape string) string { return datum(shape, "\x00")[1:] }
	null := doubled(1) + doubled(2) + "\x00\x00"
	for in, want := range map[string]string{
		"\x04" + item(wkb) + item(wkb) + "\x00":              `x:"POINT(13.25 52.5)" x:"POINT(13.25 52.5)"`,
		"\x04" + item(wkb) + null + "\x00":                   "!p.x[1] at byte 41: a shape without wkb among the items",
		"\x02" + item("01030000000100000000000000") + "\x00": "!a part of the shape is empty",
	} {
		got := text(t, list, in)
		if reason, refused := strings.CutPrefix(want, "!"); refused && !strings.Contains(got, reason) ||
			!refused && got != want {
			t.Errorf("%x: %s, want %s", in, got, want)
		}
	}
	d := p.NewDecoder()
	var row []byte
	var err error
	good := []byte(datum(wkb, "\x02"+long(4326)))
	if n := testing.AllocsPerRun(100, func() { row, err = d.Append(row[:0], good) }); n != 0 || err != nil {
		t.Errorf("%v allocations, %v", n, err)
	}
}
