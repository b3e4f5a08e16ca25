package decode_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/avro"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/json"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/protobuf"
)

// datePlan compiles a schema with one field, x, that is a date or time of some form, and a list of the same, xs.
type datePlan func(t *testing.T, o decode.Options) decode.Plan

// dateForm is a form of dates and times, and how values of it are written: one alone, or one in a list.
type dateForm struct {
	plan datePlan
	one  func(micros int64) []byte
	list func(micros int64) []byte
	days bool
}

func dateForms() map[string]dateForm {
	long := func(v int64) []byte { return binary.AppendVarint(nil, v) }
	text := func(s string) []byte { return append(long(int64(len(s))), s...) }
	ofAvro := func(typ string, columns decode.Columns, write func(int64) []byte, days bool) dateForm {
		return dateForm{
			plan: func(t *testing.T, o decode.Options) decode.Plan {
				o.Columns = columns
				return compiled[*avro.Plan](t)(compileAvro(
					`{"type":"record","name":"R","fields":[{"name":"x","type":["null",`+typ+
						`]},{"name":"xs","type":{"type":"array","items":`+typ+`}}]}`, o))
			},
			one:  func(micros int64) []byte { return append(append(long(1), write(micros)...), 0) },
			list: func(micros int64) []byte { return append(append([]byte{0, 2}, write(micros)...), 0) },
			days: days,
		}
	}
	days := func(micros int64) int64 { return int64(math.Floor(float64(micros) / decode.DayMicros)) }
	stamp := func(micros int64) string { return string(decode.AppendDateTime(nil, micros)) }
	ofJSON := func(schema string, columns decode.Columns, write func(int64) string, days bool) dateForm {
		return dateForm{
			plan: func(t *testing.T, o decode.Options) decode.Plan {
				o.Columns = columns
				return compiled[*json.Plan](t)(json.Compile(
					[]byte(`{"properties":{"x":`+schema+`,"xs":{"items":`+schema+`}}}`),
					json.JSONSchema, json.Settings{}, o))
			},
			one:  func(micros int64) []byte { return fmt.Appendf(nil, `{"x":%s}`, write(micros)) },
			list: func(micros int64) []byte { return fmt.Appendf(nil, `{"xs":[%s]}`, write(micros)) },
			days: days,
		}
	}
	ofProto := func(typ string, columns decode.Columns, wire protowire.Type, write func(int64) []byte) dateForm {
		field := func(number protowire.Number, micros int64) []byte {
			return append(protowire.AppendTag(nil, number, wire), write(micros)...)
		}
		return dateForm{
			plan: func(t *testing.T, o decode.Options) decode.Plan {
				o.Columns = columns
				return compiled[*protobuf.Plan](t)(compileProtobuf(`syntax = "proto3";
					import "google/protobuf/timestamp.proto"; message M { optional `+typ+` x = 1; repeated `+typ+
					` xs = 2; }`, "", o))
			},
			one:  func(micros int64) []byte { return field(1, micros) },
			list: func(micros int64) []byte { return field(2, micros) },
		}
	}
	requested := func(c decode.Column) decode.Columns { return decode.Columns{"x": c, "xs": c} }
	varint := func(v int64) []byte { return protowire.AppendVarint(nil, uint64(v)) }
	return map[string]dateForm{
		"avro timestamp":       ofAvro(`{"type":"long","logicalType":"timestamp-micros"}`, nil, long, false),
		"avro local timestamp": ofAvro(`{"type":"long","logicalType":"local-timestamp-micros"}`, nil, long, false),
		"avro date": ofAvro(`{"type":"int","logicalType":"date"}`, nil,
			func(v int64) []byte { return long(days(v)) }, true),
		"avro text": ofAvro(`"string"`, requested(decode.Column{Type: decode.Timestamp}),
			func(v int64) []byte { return text(stamp(v)) }, false),
		"avro number": ofAvro(`"long"`, requested(decode.Column{Type: decode.DateTime, Unit: decode.Micros}), long,
			false),
		"json timestamp": ofJSON(`{"format":"date-time"}`, nil, func(v int64) string { return `"` + stamp(v) + `Z"` },
			false),
		"json date": ofJSON(`{"format":"date"}`, nil, func(v int64) string { return `"` + stamp(v)[:10] + `"` },
			true),
		"json number": ofJSON(`{"type":"integer"}`,
			requested(decode.Column{Type: decode.Timestamp, Unit: decode.Micros}),
			func(v int64) string { return fmt.Sprint(v) }, false),
		"protobuf Timestamp": ofProto("google.protobuf.Timestamp", nil, protowire.BytesType, func(v int64) []byte {
			seconds := v / 1_000_000
			if v%1_000_000 < 0 {
				seconds--
			}
			body := append(append([]byte{8}, varint(seconds)...),
				append([]byte{16}, varint((v-seconds*1_000_000)*1000)...)...)
			return protowire.AppendBytes(nil, body)
		}),
		"protobuf number": ofProto("int64", requested(decode.Column{Type: decode.Timestamp, Unit: decode.Micros}),
			protowire.VarintType, varint),
		"protobuf text": ofProto("string", requested(decode.Column{Type: decode.DateTime}), protowire.BytesType,
			func(v int64) []byte { return protowire.AppendString(nil, stamp(v)) }),
	}
}

// become is the value of a field in the row of a payload: of x, or of xs; empty for none.
func become(t *testing.T, p decode.Plan, payload []byte) (value string, far int, err error) {
	t.Helper()
	m := dynamicpb.NewMessage(decodetest.Payload(t, p))
	d := p.NewDecoder()
	body, err := d.Append(nil, payload)
	if err != nil {
		return "", d.FarDates(), err
	}
	if err := proto.Unmarshal(body, m); err != nil {
		t.Fatal(err)
	}
	if room := make([]byte, 0, 1024); testing.AllocsPerRun(100, func() { _, _ = d.Append(room, payload) }) != 0 {
		t.Errorf("%q: a row takes an allocation", payload)
	}
	x, xs := m.Descriptor().Fields().ByName("x"), m.Descriptor().Fields().ByName("xs")
	switch {
	case m.Has(x):
		value = fmt.Sprint(m.Get(x).Interface())
	case m.Get(xs).List().Len() > 0:
		value = fmt.Sprint(m.Get(xs).List().Get(0).Interface())
	}
	return value, d.FarDates(), nil
}

// Dates and times that are far away are dead letters, null, or the nearest that is not, of every format and form; all
// others are what they are without a word about them. What is in a list cannot be null.
func TestFarDates(t *testing.T) {
	const day = decode.DayMicros
	from, to := int64(-25567*day), int64(84006*day-1) // 1900-01-01, 2199-12-31
	for name, form := range dateForms() {
		shown := func(micros int64) string {
			switch {
			case form.days:
				return fmt.Sprint(int64(math.Floor(float64(micros) / day)))
			case strings.Contains(name, "local") || name == "avro number" || name == "protobuf text":
				return string(decode.AppendDateTime(nil, micros))
			}
			return fmt.Sprint(micros)
		}
		plain := form.plan(t, decode.Options{Contract: "c", Payload: "payload"})
		for _, beyond := range []decode.Beyond{decode.RefuseFar, decode.NullFar, decode.ClampFar} {
			o := decode.Options{
				Contract: "c", Payload: "payload",
				Dates: &decode.Dates{From: from, To: to, Beyond: beyond},
			}
			p := form.plan(t, o)
			for _, micros := range []int64{from, to, 0, 1_772_283_900_250_000} {
				for _, payload := range [][]byte{form.one(micros), form.list(micros)} {
					got, far, err := become(t, p, payload)
					want, _, _ := become(t, plain, payload)
					if got != want || got != shown(micros) || far != 0 || err != nil {
						t.Errorf("%s, %d: %s, want %s; %d far, %v", name, micros, got, want, far, err)
					}
				}
			}
			values := map[int64]int64{decode.MinMicros: from, decode.MaxMicros: to, from - 1: from, to + 1: to}
			if !strings.Contains(name, "text") && !strings.Contains(name, "json timestamp") &&
				!strings.Contains(name, "json date") {
				values[decode.MinMicros-1], values[decode.MaxMicros+1] = from, to
				if !form.days {
					values[math.MaxInt64], values[math.MinInt64] = to, from
				}
			}
			for micros, clamped := range values {
				got, far, err := become(t, p, form.one(micros))
				list, _, listed := become(t, p, form.list(micros))
				switch {
				case beyond == decode.RefuseFar:
					if err == nil || listed == nil || far != 0 {
						t.Errorf("%s: %d is %s, %d far", name, micros, got, far)
					}
				case beyond == decode.NullFar:
					if got != "" || err != nil || far != 1 {
						t.Errorf("%s: %d is %q, %d far, %v", name, micros, got, far, err)
					}
					if listed == nil || !strings.Contains(listed.Error(), "REPEATED") {
						t.Errorf("%s: %d in a list is %q, %v", name, micros, list, listed)
					}
				case got != shown(clamped) || list != got || far != 1 || err != nil:
					t.Errorf("%s: %d is %s, in a list %s, want %s; %d far, %v", name, micros, got, list, shown(clamped),
						far, err)
				}
			}
		}
	}
}

// The event's time is settled likewise, whether its column is a date or a number.
func TestFarEventTimes(t *testing.T) {
	dates := &decode.Dates{From: 0, To: 1_000_000, Beyond: decode.NullFar}
	for name, form := range dateForms() {
		for _, beyond := range []decode.Beyond{decode.NullFar, decode.ClampFar} {
			if form.days || strings.Contains(name, "local") || name == "protobuf text" {
				continue
			}
			dates.Beyond = beyond
			o := decode.Options{Contract: "c", Payload: "payload", EventTime: "x", Dates: dates}
			if name == "avro number" { // a DATETIME, and the number by itself the event's time
				o.EventTimeUnit = decode.Micros
			}
			d := form.plan(t, o).NewDecoder()
			for _, micros := range []int64{500_000, 2_000_000} {
				if _, err := d.Append(nil, form.one(micros)); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				got, ok := d.EventTime()
				if ok != (micros == 500_000 || beyond == decode.ClampFar) || ok && got != min(micros, 1_000_000) {
					t.Errorf("%s, %v: the event's time is %d, %v", name, beyond, got, ok)
				}
				// It is the column's value as well: one value that is far away is one.
				if far := d.FarDates(); (far == 1) != (micros == 2_000_000) || far > 1 {
					t.Errorf("%s, %v, %d: %d are far away", name, beyond, micros, far)
				}
			}
		}
	}
	p := compiled[*avro.Plan](t)(compileAvro(recordOf(`{"name":"at","type":"long"}`), decode.Options{
		Contract: "c", Payload: "payload", EventTime: "at", EventTimeUnit: decode.Micros,
		Dates: &decode.Dates{To: 9, Beyond: decode.ClampFar},
	}))
	d := p.NewDecoder()
	if row, err := d.Append(nil, []byte{20}); err != nil || string(row) != "\x08\x0a" {
		t.Errorf("%x, %v", row, err)
	}
	if got, ok := d.EventTime(); got != 9 || !ok {
		t.Error(got, ok)
	}
}
