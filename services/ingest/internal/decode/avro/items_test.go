package avro

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

// What nests in arrays: a RECORD with one column stands around what is no column by itself.
func TestItems(t *testing.T) {
	for _, c := range []struct{ items, datum, want string }{
		{`["null","int"]`, "\x06\x02\x02\x00\x02\x04\x00", `x:{value:1} x:{} x:{value:2}`},
		{`["int","null"]`, "\x02\x02\x00", `x:{}`},
		{`{"type":"array","items":"int"}`, "\x04\x02\x02\x00\x00\x00", `x:{items:1} x:{}`},
		{
			`{"type":"array","items":{"type":"array","items":"int"}}`, "\x02\x02\x02\x02\x00\x00\x00",
			`x:{items:{items:1}}`,
		},
		{`{"type":"map","values":"int"}`, "\x02\x02\x02k\x02\x00\x00", `x:{items:{key:"k" value:1}}`},
		{`["null",{"type":"array","items":"int"}]`, "\x04\x00\x02\x02\x02\x00\x00", `x:{} x:{items:1}`},
		{
			`["null","int","string"]`, "\x06\x00\x02\x02\x04\x02a\x00",
			`x:{} x:{value:{int_value:1}} x:{value:{string_value:"a"}}`,
		},
	} {
		if got := text(t, compile(t, one(`{"type":"array","items":`+c.items+`}`)), c.datum); got != c.want {
			t.Errorf("%s: %s, want %s", c.items, got, c.want)
		}
	}
	d := compile(t, one(`{"type":"array","items":{"type":"array","items":["null","string"]}}`)).NewDecoder()
	_, err := d.Append(nil, []byte("\x04\x00\x04\x00\x02\x02\xff\x00\x00"))
	var e *decode.Error
	if !errors.As(err, &e) || e.Field != "p.x[1].items[1].value" {
		t.Error(err)
	}
}

func TestDurations(t *testing.T) {
	p := compile(t, one(`{"type":"fixed","name":"D","size":12,"logicalType":"duration"}`))
	for datum, want := range map[string]string{
		"\x0e\x00\x00\x00\x03\x00\x00\x00\xb5\xef\xd8\x00": `x:"1-2 3 3:56:57.141000"`,
		"\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff": `x:"0-0 0 1193:2:47.295000"`,
		"\xc0\xd4\x01\x00\xe0\xd8\x37\x00\x00\x00\x00\x00": `x:"10000-0 3660000 0:0:0"`,
		"\xc1\xd4\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00": "refused: test: p.x at byte 0: the " +
			"interval is out of BigQuery's range",
		"\x00\x00\x00\x00\xe1\xd8\x37\x00\x00\x00\x00\x00": "refused: test: p.x at byte 0: the " +
			"interval is out of BigQuery's range",
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00": "refused: test: p.x at byte 0: the payload ends here",
	} {
		if got := text(t, p, datum); !strings.HasPrefix(got, want) {
			t.Errorf("%x: %s, want %s", datum, got, want)
		}
	}
}

func TestBigDecimals(t *testing.T) {
	p := compile(t, one(`{"type":"bytes","logicalType":"big-decimal"}`))
	value := func(number string, scale int64) string { return avroText(avroText(number) + long(scale)) }
	for datum, want := range map[string]string{
		value("\x30\x39", 2):                 `x:"123.45"`,
		value("\xff", 0):                     `x:"-1"`,
		value("\x01", 38):                    `x:"0.00000000000000000000000000000000000001"`,
		value("\x01", 39):                    "refused: test: p.x at byte 0: the scale 39",
		value("\x01", -1):                    "refused: test: p.x at byte 0: the scale -1",
		value(strings.Repeat("\x7f", 17), 0): "refused: test: p.x at byte 0: the decimal has more digits",
		avroText("\x02\x01"):                 "refused: test: p.x at byte 0: the big-decimal is not",
		avroText("\x02\x01\x00\x00"):         "refused: test: p.x at byte 0: the big-decimal is not",
		avroText(""):                         "refused: test: p.x at byte 0: the big-decimal is not",
	} {
		if got := text(t, p, datum); !strings.HasPrefix(got, want) {
			t.Errorf("%x: %s, want %s", datum, got, want)
		}
	}
}

// FuzzColumns compiles any schema with columns asked for at its fields, and runs it on any payload.
func FuzzColumns(f *testing.F) {
	f.Add([]byte(one(`["null","string"]`)), []byte("\x02\x0f1-2 3 4:5:6"), byte(decode.Interval))
	f.Add([]byte(one(`{"type":"record","name":"S","fields":[{"name":"start","type":{"type":"int",`+
		`"logicalType":"date"}},{"name":"end","type":{"type":"int","logicalType":"date"}}]}`)), []byte(
		"\x02\x04"), byte(decode.Range))
	f.Add([]byte(one(`{"type":"array","items":["null",{"type":"array","items":"long"}]}`)),
		[]byte("\x02\x02\x02\x02\x00\x00"), byte(decode.Timestamp))
	f.Fuzz(func(t *testing.T, schema, payload []byte, target byte) {
		column := decode.Column{Type: 1 + decode.Target(target)%decode.Range}
		parsed, err := parseSchema(string(schema))
		if err != nil || parsed.root.kind != kindRecord {
			return
		}
		for _, field := range parsed.root.fields {
			p, err := Compile(schema, decode.Options{
				Contract: "c", Payload: "p",
				Columns: decode.Columns{field.name: column},
			})
			if err != nil {
				continue
			}
			m := dynamicpb.NewMessage(decodetest.Payload(t, p))
			row, err := p.decoder().Append(nil, payload)
			if err != nil {
				if row != nil {
					t.Fatal("a row and an error")
				}
				continue
			}
			if err := proto.Unmarshal(row, m); err != nil {
				t.Fatal(err)
			}
		}
	})
}
