package avro

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

func compile(t testing.TB, avsc string) *Plan {
	t.Helper()
	p, err := Compile([]byte(avsc), decode.Options{Contract: "test", Payload: "p"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func recordOf(fields string) string { return `{"type":"record","name":"R","fields":[` + fields + `]}` }

// one is a record of one field, x.
func one(typ string) string { return recordOf(`{"name":"x","type":` + typ + `}`) }

func TestBadPayloads(t *testing.T) {
	inner := `{"type":"record","name":"I","fields":[{"name":"id","type":"int"},{"name":"s","type":"string"}]}`
	for _, c := range []struct {
		schema string
		bytes  string
		field  string
		offset int
		reason string
	}{
		{one(`"int"`), "", "p.x", 0, "ends here"},
		{one(`"int"`), "\x80", "p.x", 0, "ends here"},
		{one(`"int"`), "\x80\x80\x80\x80\x10", "p.x", 0, "32 bits"},
		{one(`"long"`), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "p.x", 0, "64 bits"},
		{one(`"long"`), "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", "p.x", 0, "64 bits"},
		{one(`"boolean"`), "\x02", "p.x", 0, "neither 0 nor 1"},
		{one(`"float"`), "\x00\x00\x00", "p.x", 0, "ends here"},
		{one(`"double"`), "\x00\x00\x00\x00\x00\x00\x00", "p.x", 0, "ends here"},
		{one(`"string"`), "\x01", "p.x", 0, "negative"},
		{one(`"string"`), "\x04a", "p.x", 0, "past the end"},
		{one(`"string"`), "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "p.x", 0, "past the end"},
		{one(`"string"`), "\x04\xc3(", "p.x", 0, "UTF-8"},
		{one(`"string"`), "\x04\xed\xa0" + strings.Repeat("\x00", 60), "p.x", 0, "UTF-8"},
		{one(`"string"`), "\x02ab", "p", 2, "left over"},
		{one(`{"type":"fixed","name":"F","size":3}`), "ab", "p.x", 0, "ends here"},
		{one(`{"type":"enum","name":"E","symbols":["A"]}`), "\x02", "p.x", 0, "symbol"},
		{one(`["null","int"]`), "\x04", "p.x", 0, "neither 0 nor 1"},
		{one(`["null","int","string"]`), "\x06", "p.x", 0, "no such branch"},
		{one(`["string"]`), "\x02", "p.x", 0, "not 0"},
		{one(`{"type":"array","items":"int"}`), "\xfe\xff\xff\xff\x0f", "p.x", 0, "more than the rest"},
		{
			one(`{"type":"array","items":"int"}`), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", "p.x", 0,
			"more than the rest",
		},
		{one(`{"type":"array","items":"int"}`), "\x01\x04\x02\x00", "p.x", 3, "fill its size"},
		{one(`{"type":"array","items":"int"}`), "\x01\x01\x02\x00", "p.x", 0, "more than the rest"},
		{one(`{"type":"array","items":` + inner + `}`), "\x04\x02\x02a\x04\x04\xc3(\x00", "p.x[1].s", 5, "UTF-8"},
		{one(`{"type":"map","values":"string"}`), "\x02\x02\xff\x00\x00", "p.x[0].key", 1, "UTF-8"},
		{
			one(`{"type":"map","values":{"type":"array","items":"int"}}`), "\x02\x02k\x02\xff\xff\xff\xff\xff\x00",
			"p.x[0].value[0]", 4, "32 bits",
		},
		{one(`{"type":"int","logicalType":"date"}`), "\xfe\xff\xff\xff\x0f", "p.x", 0, "range"},
		{one(`{"type":"int","logicalType":"time-millis"}`), "\x01", "p.x", 0, "within a day"},
		{
			one(`{"type":"long","logicalType":"timestamp-millis"}`), "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "p.x",
			0, "range",
		},
		{one(`{"type":"bytes","logicalType":"decimal","precision":2,"scale":1}`), "\x02\x64", "p.x", 0, "digits"},
		{
			one(`{"type":"bytes","logicalType":"decimal","precision":76,"scale":38}`), "\x42" +
				strings.Repeat("\x7f", 33),
			"p.x", 0, "digits",
		},
	} {
		d := compile(t, c.schema).NewDecoder()
		payloads := []string{c.bytes}
		if !slices.Contains([]string{"ends here", "past the end", "more than the rest"}, c.reason) {
			// With more behind it, the common loop meets the value first.
			payloads = append(payloads, c.bytes+strings.Repeat("\x00", 2*fastInput))
		}
		for _, payload := range payloads {
			row, err := d.Append(append(make([]byte, 0, 1000), "before"...), []byte(payload))
			var e *decode.Error
			if !errors.As(err, &e) || string(row) != "before" {
				t.Errorf("%q: row %q, error %v", payload, row, err)
				continue
			}
			if e.Contract != "test" || e.Field != c.field || e.Offset != c.offset ||
				!strings.Contains(e.Reason, c.reason) {
				t.Errorf("%q: %v, want %s at byte %d: …%s…", payload, e, c.field, c.offset, c.reason)
			}
		}
	}
}

func TestBadSchemas(t *testing.T) {
	deep := `"int"`
	for i := range 16 {
		deep = fmt.Sprintf(`{"type":"record","name":"D%d","fields":[{"name":"f","type":%s}]}`, i, deep)
	}
	var fields []string
	for i := range decode.MaxColumns + 1 {
		fields = append(fields, fmt.Sprintf(`{"name":"f%d","type":"int"}`, i))
	}
	wide := recordOf(strings.Join(fields, ","))
	double := `"int"` // each type names the last one twice: 2^40 columns in little text
	for i := range 14 {
		double = fmt.Sprintf(`{"type":"record","name":"T%d","fields":[{"name":"a","type":%s},{"name":"b","type":"T%d"}]}`, i,
			double, i-1)
		if i == 0 {
			double = `{"type":"record","name":"T0","fields":[{"name":"a","type":"int"},{"name":"b","type":"int"}]}`
		}
	}
	for _, c := range []struct{ schema, field, reason string }{
		{`{`, "", "schema"},
		{`"string"`, "p", "a payload is a record"},
		{one(`["null","R"]`), "p.x", "contains itself"},
		{
			one(`{"type":"array","items":{"type":"record","name":"B","fields":[{"name":"y","type":{"type":"map",` +
				`"values":"R"}}]}}`), "p.x[].y[].value", "contains itself",
		},
		{one(`{"type":"array","items":"null"}`), "p.x[]", "no columns"},
		{
			one(`{"type":"array","items":{"type":"array","items":["null","R"]}}`), "p.x[].items[].value",
			"contains itself",
		},
		{one(`{"type":"record","name":"E","fields":[]}`), "p.x", "no columns"},
		{one(`{"type":"array","items":{"type":"fixed","name":"F","size":0}}`), "", ""},
		{recordOf(`{"name":"x","type":"int"},{"name":"X","type":"int"}`), "p.X", "case"},
		{recordOf(`{"name":"_PARTITIONTIME","type":"int"}`), "p._PARTITIONTIME", "itself"},
		{one(`{"type":"bytes","logicalType":"decimal","precision":80,"scale":2}`), "p.x", "BIGNUMERIC"},
		{one(deep), "", "nested deeper"},
		{wide, "p.f10000", "columns"},
		{double, "", "columns"},
	} {
		_, err := Compile([]byte(c.schema), decode.Options{Contract: "test", Payload: "p"})
		if err == nil {
			t.Errorf("%.100s: no error", c.schema)
			continue
		}
		var e *decode.SchemaError
		if errors.As(err, &e) && c.field != "" && e.Field != c.field || c.field != "" && e == nil ||
			!strings.Contains(err.Error(), c.reason) {
			t.Errorf("%.100s: %v, want %s: …%s…", c.schema, err, c.field, c.reason)
		}
	}
}

func TestTakenFields(t *testing.T) {
	schema := recordOf(`{"name":"s","type":"string"},{"name":"n","type":["null","long"]},{"name":"d","type":"double"},
		{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"list","type":{"type":"array",` +
		`"items":"string"}},
		{"name":"in","type":["null",{"type":"record","name":"I","fields":[{"name":"u","type":{"type":"fixed","name":"U",` +
		`"size":16,"logicalType":"uuid"}},
		{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}}]}]}`)
	id := "\x02a" + "\x02\x09" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x06" + "\x00" + "\x02" + "0123456789abcdef" +
		"\x02"
	for _, c := range []struct {
		id, at string
		unit   decode.Unit
		wantID string
		micros int64
		err    string
	}{
		{"s", "at", decode.Auto, "a", 3000, ""},
		{"n", "n", decode.Seconds, "-5", -5_000_000, ""},
		{"in.u", "n", decode.Auto, "30313233-3435-3637-3839-616263646566", -5_000_000, ""},
		{"in.e", "n", decode.Micros, "B", -5, ""},
		{"", "", decode.Auto, "", 0, ""},
		{"d", "", decode.Auto, "", 0, "event_id"},
		{"list", "", decode.Auto, "", 0, "event_id"},
		{"no", "", decode.Auto, "", 0, "no field no"},
		{"", "s", decode.Auto, "", 0, "event_time"},
		{"", "at", decode.Millis, "", 0, "unit already"},
		{"", "in.u.x", decode.Auto, "", 0, "only fields of records"},
	} {
		p, err := Compile([]byte(schema), decode.Options{
			Contract: "c", Payload: "p", EventID: c.id, EventTime: c.at, EventTimeUnit: c.unit,
		})
		if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q %q: %v, want %s", c.id, c.at, err, c.err)
		}
		if err != nil {
			continue
		}
		d := p.NewDecoder()
		if _, err := d.Append(nil, []byte(id)); err != nil {
			t.Fatal(err)
		}
		got, ok := d.EventID()
		micros, hasTime := d.EventTime()
		if string(got) != c.wantID || ok != (c.id != "") || micros != c.micros || hasTime != (c.at != "") {
			t.Errorf("%q %q: %q %v at %d %v", c.id, c.at, got, ok, micros, hasTime)
		}
	}
}

func TestAutoUnit(t *testing.T) {
	for v, want := range map[int64]int64{
		0: 0, 1_800_000_000: 1_800_000_000_000_000, 1_800_000_000_123: 1_800_000_000_123_000,
		1_800_000_000_123_456: 1_800_000_000_123_456, 1_800_000_000_123_456_789: 1_800_000_000_123_456,
		-1_800_000_000: -1_800_000_000_000_000,
	} {
		if got, ok := decode.ToMicros(v, decode.Auto); !ok || got != want {
			t.Errorf("%d is %d %v, want %d", v, got, ok, want)
		}
	}
	for _, v := range []int64{1 << 62, -1 << 63, decode.MaxMicros/1_000_000 + 1} {
		if got, ok := decode.ToMicros(v, decode.Seconds); ok {
			t.Errorf("%d s is %d", v, got)
		}
	}
	if got, ok := decode.ToMicros(-1, decode.Nanos); !ok || got != -1 {
		t.Errorf("a nanosecond before the epoch is %d %v", got, ok)
	}
}

// TestEveryCut cuts a golden payload at every byte: an error each time, never a panic.
func TestEveryCut(t *testing.T) {
	p, _ := golden(t)
	d := p.NewDecoder()
	payload := slices.MinFunc(goldenPayloads(t), func(a, b []byte) int { return len(a) - len(b) })
	for n := range payload {
		if row, err := d.Append(nil, payload[:n]); err == nil || row != nil {
			t.Fatalf("cut at %d of %d: %d bytes, %v", n, len(payload), len(row), err)
		}
	}
	if _, err := d.Append(nil, payload); err != nil {
		t.Error(err)
	}
}

// Every field that cannot be a column is reported, and what the contract wants of fields beside it.
func TestAllThatIsWrongWithASchema(t *testing.T) {
	const schema = `{"type":"record","name":"R","fields":[{"name":"ok","type":"int"},{"name":"OK","type":"int"},` +
		`{"name":"self","type":["null","R"]},
		{"name":"in","type":{"type":"record","name":"I","fields":[{"name":"big","type":{"type":"bytes",` +
		`"logicalType":"decimal","precision":80,"scale":2}}]}},
		{"name":"nulls","type":{"type":"map","values":"null"}}]}`
	_, err := Compile([]byte(schema), decode.Options{
		Contract: "test", Payload: "p", EventID: "no.such", EventTime: "in", Columns: decode.Columns{
			"ok": {Type: decode.JSON}, "gone": {Type: decode.Date},
		},
	})
	if got := decodetest.Faults(t, err); got != "p.gone p.ok p.OK p.self p.in.big p.nulls[] p.no.such p.in" {
		t.Errorf("at fault are %s: %v", got, err)
	}
}
