package avro

import (
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

// BenchmarkJSON writes a JSON column of a record with parts.
func BenchmarkJSON(b *testing.B) {
	p, err := Compile([]byte(recordOf(`{"name":"x","type":{"type":"record","name":"I","fields":[`+
		`{"name":"id","type":"long"},{"name":"name","type":"string"},{"name":"prices","type":{"type":"array",`+
		`"items":"double"}},{"name":"counts","type":{"type":"map","values":"long"}},`+
		`{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"paid","type":"boolean"},`+
		`{"name":"note","type":["null","string"]}]}}`)),
		decode.Options{Contract: "c", Payload: "p", Columns: decode.Columns{"x": {Type: decode.JSON}}})
	if err != nil {
		b.Fatal(err)
	}
	payload := []byte(long(123456789) + avroText("a product with a name") +
		"\x06" + doubled(1.5) + doubled(2.25) + doubled(1000) + "\x00" + "\x04\x02a\x02\x02b\x04\x00" +
		long(1772283900250000) + "\x01" + "\x02" + avroText("é \"quoted\""))
	decodetest.Bench(b, p, payload)
}
