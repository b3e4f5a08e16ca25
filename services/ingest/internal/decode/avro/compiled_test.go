package avro

import "github.com/waybill-data/waybill/services/ingest/internal/decode"

// Compile parses and compiles the text of a schema.
func Compile(avsc []byte, o decode.Options) (*Plan, error) {
	schema, err := Parse(string(avsc))
	if err != nil {
		return nil, err
	}
	return schema.Compile(o)
}
