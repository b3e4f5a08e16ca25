// Package raw puts a payload into the row as it is: into a BYTES column, a STRING column, or a JSON column.
//
//	plan, err := raw.Compile(raw.JSON, decode.Options{Contract: "events", Payload: "payload"})
//
// Text is checked to be UTF-8, JSON to be one value that BigQuery takes; nothing is changed in either.
package raw

import (
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Kind is what a payload is taken for.
type Kind uint8

// The kinds.
const (
	// Bytes takes any payload.
	Bytes Kind = iota
	// String takes UTF-8 text.
	String
	// JSON takes one JSON value.
	JSON
)

// Kinds lists the kinds by their name in the configuration.
var Kinds = map[string]Kind{"bytes": Bytes, "string": String, "json": JSON}

// Plan puts payloads into one column. It is immutable and safe for concurrent use.
type Plan struct {
	kind    Kind
	options decode.Options
}

// Compile makes the plan. The error is a *decode.SchemaError: an option names a field, and such a payload has none.
func Compile(kind Kind, o decode.Options) (*Plan, error) {
	for _, named := range []struct{ option, path string }{{"event_id", o.EventID}, {"event_time", o.EventTime}} {
		if named.path != "" {
			return nil, decode.FaultAt(o.Path(named.path), named.option+": a raw payload has no fields")
		}
	}
	return &Plan{kind, o}, nil
}

// AddPayload adds the payload's column.
func (p *Plan) AddPayload(row *descriptorpb.DescriptorProto, column string, number int32) error {
	f := &descriptorpb.FieldDescriptorProto{
		Name: &column, Number: &number,
		Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		Type:  descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
	}
	switch p.kind {
	case JSON:
		f.Options = decode.ColumnOptions(&columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_JSON})
	case Bytes:
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum()
	}
	row.Field = append(row.Field, f)
	return nil
}

// NewDecoder returns a decoder. It has no state.
func (p *Plan) NewDecoder() decode.Decoder { return &decoder{plan: p} }

type decoder struct {
	decode.Taken // nothing
	plan         *Plan
}

func (d *decoder) Append(dst, payload []byte) ([]byte, error) {
	var at int
	var reason string
	switch d.plan.kind {
	case JSON:
		at, reason = decode.CheckJSON(payload)
	case String:
		at, reason = decode.CheckUTF8(payload)
	}
	if reason != "" {
		return dst, d.plan.options.Refuse(at, reason)
	}
	return append(dst, payload...), nil
}
