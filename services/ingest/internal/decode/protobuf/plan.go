// Package protobuf turns protobuf payloads into the bytes of protobuf rows.
//
// The row's payload message has the field numbers of the payload's own, so most of a payload is right as it stands. A
// decoder walks it once, checks it, and copies it in runs; only what a row has otherwise is written anew: an enum as
// the name of its symbol, a google.protobuf.Timestamp as microseconds, a Duration, wrapper, Struct, Value, ListValue or
// empty message as the one value it stands for. Fields that the schema does not have are left out or refused.
//
// A field without presence (most of proto3's scalars) that is absent has its default value, and the row holds that: it
// is appended at the end of its message. A field with presence that is absent is NULL, unless the schema states a
// default. So fields are in the order in which they came, defaults behind them, and lists are packed or not as they
// came: a reader of protobuf takes all of it.
//
// A singular field that is there twice, or two members of a oneof, are legal and no encoder writes them: such a payload
// is parsed and encoded again before it is walked, so that the row holds what protobuf says it means. That alone
// allocates.
package protobuf

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// Unknown is what becomes of fields that the schema does not have.
type Unknown uint8

const (
	// Drop leaves them out of the row: a newer producer does not stop an older contract.
	Drop Unknown = iota
	// Refuse makes the record a dead letter.
	Refuse
)

// Plan is a compiled message. It is immutable and safe for concurrent use.
type Plan struct {
	*shape.Columns
	options decode.Options
	unknown Unknown
	// message is the type of the payloads as their writer has it.
	message protoreflect.MessageDescriptor
	// writer is the file of that schema where message indexes come before the message, nil where none do; indexes are
	// those of the message.
	writer  protoreflect.FileDescriptor
	indexes []int
	record  *shape.Node
	root    *node
	depth   int // levels of messages in the payload
	words   int // words of seen fields that the deepest way needs
}

// Compile compiles a message of a FileDescriptorSet, as `buf build -o x.binpb` and `protoc --include_imports -o x.pb`
// write it. The error is a *decode.SchemaError where it is about one field: a message that contains itself, a group, or
// what BigQuery has no columns for.
func Compile(set []byte, message string, unknown Unknown, o decode.Options) (*Plan, error) {
	parsed, err := ParseSet(set, message, o.Payload)
	if err != nil {
		return nil, err
	}
	return parsed.Compile(unknown, o)
}

// ParseSet finds a message of a FileDescriptorSet by its full name. payload is the name of the payload's column, for
// errors.
func ParseSet(set []byte, message, payload string) (*Schema, error) {
	files, err := parseSet(set)
	if err != nil {
		return nil, err
	}
	m, err := findMessage(files, message, payload)
	if err != nil {
		return nil, err
	}
	return &Schema{m, shapeOf(m)}, nil
}

// Compile compiles the schema. Errors are those of the function Compile.
func (s *Schema) Compile(unknown Unknown, o decode.Options) (*Plan, error) {
	t := shape.New(s.root.Clone(), &o)
	columns, err := t.Compile(&o)
	if err != nil {
		return nil, err
	}
	c := compiler{options: &o, texts: map[protoreflect.FullName]*text{}}
	root := c.node(t.Root, t.Path, 0)
	return &Plan{
		Columns: columns, options: o, unknown: unknown, message: s.message, record: t.Root, root: root, depth: c.depth,
		words: root.deepest(),
	}, c.faults.Err()
}

// NewDecoder returns a decoder with no state but its memory.
func (p *Plan) NewDecoder() decode.Decoder { return p.decoder() }

func (p *Plan) decoder() *Decoder {
	return &Decoder{plan: p, machine: machine{
		refuse: p.unknown == Refuse, unit: p.options.EventTimeUnit, dates: p.options.Dates,
		frames: make([]frame, p.depth+1), seen: make([]uint64, p.words),
	}}
}

// Decoder runs a plan. Not safe for concurrent use.
type Decoder struct {
	machine
	plan    *Plan
	indexes []int // of the payload last appended, where there are any
}

// Append implements decode.Decoder.
func (d *Decoder) Append(dst, payload []byte) ([]byte, error) {
	message := payload
	if d.plan.writer != nil {
		var err error
		d.Forget()
		if message, err = d.unwrap(payload); err != nil {
			return dst, err
		}
	}
	row, ok := d.machine.decode(d.plan.root, dst, message)
	var fault *decode.Error
	switch {
	case !ok:
		fault = d.fault(message)
	case d.machine.twice:
		row, fault = d.again(dst, message)
	}
	if fault == nil {
		return row, nil
	}
	if fault.Offset >= 0 {
		fault.Offset += len(payload) - len(message)
	}
	return dst, fault
}

// again decodes a payload in which a singular field is there twice.
func (d *Decoder) again(dst, payload []byte) ([]byte, *decode.Error) {
	m := dynamicpb.NewMessage(d.plan.message)
	err := merge(payload, m)
	var once []byte
	if err == nil {
		once, err = proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(m)
	}
	if err != nil {
		return dst, d.plan.options.Refuse(-1, "a singular field is there more than once, and they do not merge: "+
			err.Error())
	}
	row, ok := d.machine.decode(d.plan.root, dst, once)
	if !ok {
		e := d.fault(once)
		e.Offset = -1
		e.Reason += " (once the occurrences of singular fields are merged)"
		return dst, e
	}
	return row, nil
}

// merge parses a payload as protobuf does. Where the key of a map's entry comes again with another wire type, protobuf
// v1.36.12 panics for dynamic messages: that is an error here.
func merge(payload []byte, m proto.Message) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	return proto.UnmarshalOptions{AllowPartial: true}.Unmarshal(payload, m)
}

var errPanic = errors.New("protobuf cannot tell what it means")

// fault says what the machine stopped at.
func (d *Decoder) fault(payload []byte) *decode.Error {
	f := &d.machine.fault
	field := locate(d.plan.root, d.plan.options.Payload, payload, f.at, f.missing != "")
	if f.missing != "" {
		field = fmt.Sprintf("%s.%s", field, f.missing)
	}
	return &decode.Error{Contract: d.plan.options.Contract, Field: field, Offset: f.at, Reason: f.reason}
}
