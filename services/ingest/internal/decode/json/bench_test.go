package json

import (
	"slices"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// scanSchema and scanPayload are a small event as it is usual: 9 columns, 270 bytes.
const scanSchema = `{"type":"record","name":"Scan","fields":[
	{"name":"seq","type":"long"},{"name":"scan_id","type":"string"},{"name":"hub","type":"string"},{"name":"status",` +
	`"type":"string"},
	{"name":"weight_g","type":"int"},{"name":"price","type":"double"},{"name":"insured","type":"boolean"},
	{"name":"scanned_at","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"remark","type":"string"}]}`

const scanPayload = `{"seq":123456,"scan_id":"0f8fad5bd9cb469fa165708677289501","hub":"Rotterdam Maasvlakte",` +
	`"status":"OUT_FOR_DELIVERY",` +
	`"weight_g":12345,"price":123.45,"insured":false,"scanned_at":1763861532123456,"remark":"label read by the tunnel ` +
	`scanner; weight and size agree with the ship"}`

// reversed turns the order of fields around.
func reversed(fields string) string {
	parts := strings.Split(fields, ",")
	slices.Reverse(parts)
	return strings.Join(parts, ",")
}

func BenchmarkScan(b *testing.B) {
	for _, c := range []struct{ name, payload string }{
		{"json-270", scanPayload},
		{"rfc3339", strings.Replace(scanPayload, "1763861532123456", `"2026-11-23T01:32:12.123456Z"`, 1)},
		{"another-order", "{" + reversed(scanPayload[1:len(scanPayload)-1]) + "}"},
		{"spaced", strings.NewReplacer(",", ",\n  ", ":", ": ").Replace(scanPayload)},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, err := Compile([]byte(scanSchema), Avro, Settings{}, decode.Options{
				Contract: "c", Payload: "scan", EventID: "scan_id", EventTime: "scanned_at",
			})
			if err != nil {
				b.Fatal(err)
			}
			d, row, payload := p.NewDecoder(), make([]byte, 0, 1024), []byte(c.payload)
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				if row, err = d.Append(row[:0], payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// No row allocates, whatever its kinds of values are.
func TestNoAllocations(t *testing.T) {
	check := func(p *Plan, payload string) {
		d, row := p.NewDecoder(), make([]byte, 0, 4096)
		if _, err := d.Append(row, []byte(payload)); err != nil {
			return
		}
		in := []byte(payload)
		if n := testing.AllocsPerRun(100, func() { _, _ = d.Append(row, in) }); n != 0 {
			t.Errorf("%s: %v allocations", payload, n)
		}
	}
	p, err := Compile([]byte(scanSchema), Avro, Settings{}, decode.Options{
		Contract: "c", Payload: "scan", EventID: "scan_id", EventTime: "scanned_at",
	})
	if err != nil {
		t.Fatal(err)
	}
	check(p, scanPayload)
	for avroType, cases := range values {
		p := compile(t, one(avroType), Settings{Lenient: true})
		for _, c := range cases {
			check(p, `{"x":`+strings.TrimPrefix(c[0], "~")+`}`)
		}
	}
}
