// Package within makes the payload's column of one record inside of the payload, such as the row in the envelope of a
// change, and takes one text beside it.
//
// Any format decodes the whole payload into its columns, of which the contract keeps no others than it needs
// (decode.Options.Only). In the bytes that come of it the record lies in one piece: it is moved to where they begin.
package within

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Plan is the plan of a whole payload, cut down to a record in it. Immutable and safe for concurrent use.
type Plan struct {
	decode.Plan

	options *decode.Options
	// path is where the record is, by the numbers of fields; operation the number of the text beside it, 0 for none.
	path      []protowire.Number
	operation protowire.Number
}

// New cuts a plan down. path leads through records to the record; operation names a field of the payload that is a
// text, and is empty for none. The error is a *decode.SchemaError whose reason starts with "payload_path: " or
// "operation: ".
func New(whole decode.Plan, o *decode.Options, path, operation string) (*Plan, error) {
	p := &Plan{Plan: whole, options: o}
	row, at, err := p.whole("payload", 16)
	if err != nil {
		return nil, err
	}
	if operation != "" {
		f := field(at, operation)
		if f == nil || f.GetType() != descriptorpb.FieldDescriptorProto_TYPE_STRING || typed(f) || repeated(f) {
			return nil, decode.FaultAt(o.Payload+"."+operation,
				"operation: wants a text of the payload itself, whose column is a STRING")
		}
		p.operation = protowire.Number(f.GetNumber())
	}
	names := strings.Split(path, ".")
	for i, name := range names {
		f := field(at, name)
		if f == nil || f.GetType() != descriptorpb.FieldDescriptorProto_TYPE_MESSAGE || repeated(f) || typed(f) {
			return nil, decode.FaultAt(o.Payload+"."+strings.Join(names[:i+1], "."),
				"payload_path: wants a record, and the records around it, by their names in the schema")
		}
		p.path = append(p.path, protowire.Number(f.GetNumber()))
		at = nested(row, f.GetTypeName())
	}
	return p, nil
}

// typed says that the options of a field make it another column than that of its type, such as a RANGE.
func typed(f *descriptorpb.FieldDescriptorProto) bool {
	option, _ := proto.GetExtension(f.GetOptions(), columnv1.E_Column).(*columnv1.Column)
	return option.GetType() != columnv1.ColumnType_COLUMN_TYPE_UNSPECIFIED
}

func repeated(f *descriptorpb.FieldDescriptorProto) bool {
	return f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED
}

func field(m *descriptorpb.DescriptorProto, name string) *descriptorpb.FieldDescriptorProto {
	if at := slices.IndexFunc(m.GetField(),
		func(f *descriptorpb.FieldDescriptorProto) bool { return f.GetName() == name }); at >= 0 {
		return m.Field[at]
	}
	return nil
}

// nested is a message type of a row; an empty one if there is none.
func nested(row *descriptorpb.DescriptorProto, name string) *descriptorpb.DescriptorProto {
	for _, m := range row.GetNestedType() {
		if m.GetName() == name {
			return m
		}
	}
	return &descriptorpb.DescriptorProto{}
}

// whole is a row of the whole payload alone, and the payload's message in it.
func (p *Plan) whole(column string, number int32) (row, payload *descriptorpb.DescriptorProto, err error) {
	row = &descriptorpb.DescriptorProto{Name: proto.String("Row")}
	if err := p.Plan.AddPayload(row, column, number); err != nil {
		return nil, nil, err
	}
	f := row.Field[0]
	if f.GetType() != descriptorpb.FieldDescriptorProto_TYPE_MESSAGE {
		return nil, nil, decode.FaultAt(p.options.Payload, "payload_path: the payload is no record")
	}
	return row, nested(row, f.GetTypeName()), nil
}

// AddPayload implements decode.Plan: the column is the record, and of message types there are those that it is made of.
func (p *Plan) AddPayload(row *descriptorpb.DescriptorProto, column string, number int32) error {
	all := proto.CloneOf(row)
	if err := p.Plan.AddPayload(all, column, number); err != nil {
		return err
	}
	f := all.Field[len(all.Field)-1]
	for _, number := range p.path {
		m := nested(all, f.GetTypeName())
		at := slices.IndexFunc(m.GetField(), func(f *descriptorpb.FieldDescriptorProto) bool {
			return f.GetNumber() == int32(number)
		})
		if at < 0 {
			return fmt.Errorf("the record of column %s is not where it was", column)
		}
		f = m.Field[at]
	}
	f = proto.CloneOf(f)
	f.Name, f.Number, f.OneofIndex, f.Proto3Optional = &column, &number, nil, nil
	row.Field = append(row.Field, f)
	needed := map[string]bool{}
	need(all, f.GetTypeName(), needed)
	for _, m := range all.NestedType[len(row.NestedType):] {
		if needed[m.GetName()] {
			row.NestedType = append(row.NestedType, m)
		}
	}
	return nil
}

// need finds the message types that one is made of.
func need(row *descriptorpb.DescriptorProto, name string, needed map[string]bool) {
	if needed[name] {
		return
	}
	needed[name] = true
	for _, f := range nested(row, name).GetField() {
		if f.GetType() == descriptorpb.FieldDescriptorProto_TYPE_MESSAGE {
			need(row, f.GetTypeName(), needed)
		}
	}
}

// NewDecoder implements decode.Plan.
func (p *Plan) NewDecoder() decode.Decoder { return &Decoder{Decoder: p.Plan.NewDecoder(), plan: p} }

// Decoder runs a Plan. Not safe for concurrent use.
type Decoder struct {
	decode.Decoder
	plan      *Plan
	operation []byte
	hasText   bool
	absent    bool
}

// maxOperation bounds what is kept of an operation, in bytes.
const maxOperation = 1 << 10

// Append implements decode.Decoder. Where there is no record it appends nothing, and Absent says so.
func (d *Decoder) Append(dst, payload []byte) ([]byte, error) {
	d.hasText, d.absent = false, false
	out, err := d.Decoder.Append(dst, payload)
	if err != nil {
		return out, err
	}
	record := out[len(dst):]
	for i, number := range d.plan.path {
		beside := protowire.Number(0)
		if i == 0 {
			beside = d.plan.operation
		}
		var text []byte
		record, text = find(record, number, beside)
		if text != nil {
			if len(text) > maxOperation {
				return dst, d.plan.options.Refuse(0, fmt.Sprintf("the operation has %d bytes, more than %d", len(text),
					maxOperation))
			}
			d.operation, d.hasText = append(d.operation[:0], text...), true
		}
		if record == nil {
			d.absent = true
			return dst, nil
		}
	}
	return out[:len(dst)+copy(out[len(dst):], record)], nil
}

// Operation is the text beside the record of the payload last appended; ok is false if there is none. It is valid until
// the next Append.
func (d *Decoder) Operation() (text []byte, ok bool) { return d.operation, d.hasText }

// Absent says that there was no record in the payload last appended: the column is null.
func (d *Decoder) Absent() bool { return d.absent }

// find finds a message and a text in the fields of another message, which a decoder has written: each is there once at
// most. Nil is none.
func find(fields []byte, message, text protowire.Number) (found, beside []byte) {
	for len(fields) > 0 {
		number, kind, tag := protowire.ConsumeTag(fields)
		n := protowire.ConsumeFieldValue(number, kind, fields[max(tag, 0):])
		if tag < 0 || n < 0 {
			break
		}
		if value, _ := protowire.ConsumeBytes(fields[tag:]); kind == protowire.BytesType {
			switch number {
			case message:
				found = value
			case text:
				beside = value
			}
		}
		fields = fields[tag+n:]
	}
	return found, beside
}
