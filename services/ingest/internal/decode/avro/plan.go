// Package avro turns Avro payloads into the bytes of protobuf rows.
//
// Parse reads a schema, and Schema.Compile turns it into a Plan once: a flat program over the payload, and the row's
// descriptor. A Decoder, one for each lane, runs the program over payload after payload, in one pass and without
// allocating. A payload is one bare Avro datum (no header, no schema id); a single-object encoding of the contract's
// schema; or an object container file with exactly one datum, known by its first bytes `Obj\x01`; a file may have been
// written with another schema, which is resolved by Avro's rules. What starts like one of these and is none is read as
// a bare datum.
//
// The bytes are those that deterministic proto.Marshal makes of the same message: fields ascending, lengths minimal. (A
// field order other than the contract's in a file's schema is kept, which protobuf allows.) Every value of the payload
// is checked: bounds, number ranges, UTF-8, BigQuery's ranges of dates and timestamps. Work and memory are bounded by
// the payload's length: a block may hold a hundred times its size and 1 MiB, a file's schema is compiled to a few
// hundred bytes for each of its own and of the contract's instructions, and a row is at most decode.MaxRow.
package avro

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// Plan is a compiled schema. It is immutable and safe for concurrent use; each lane runs it with a Decoder of its own.
type Plan struct {
	*shape.Columns
	options     decode.Options
	schema      *Schema     // of the payloads
	root        *shape.Node // of the columns
	program     *program
	fingerprint uint64
	// framed: the payloads come behind a schema id, so that none is a file.
	framed   bool
	files    fileSchemas
	warnings []string
}

// Compile compiles a schema that is its own writer's. The error is a *decode.SchemaError where it is about one field,
// decode.SchemaErrors where about several: a schema that is not a record, contains itself, or that BigQuery has no
// columns for.
func (s *Schema) Compile(o decode.Options) (*Plan, error) {
	t := shape.New(s.Shape(false), &o)
	t.Whole = func(n *shape.Node, c *decode.Column) bool { return n.Kind == shape.Union && c.Type == decode.JSON }
	columns, err := t.Compile(&o)
	if err != nil {
		return nil, err
	}
	p := &Plan{Columns: columns, options: o, schema: s, root: t.Root, fingerprint: s.fingerprint, warnings: s.warnings}
	c := newCompiler(&p.options)
	c.lenient = s.grown != nil // by another schema: its own payloads come by resolve
	p.program, err = c.payload(s, s.root, p.root)
	return p, err
}

// resolve compiles the payloads of another schema. The writer's may be foreign input: it makes at most twice as many
// instructions as the contract's own, and a few for each of its types.
func (p *Plan) resolve(writer *Schema, r Resolution) (*program, error) {
	c := newCompiler(&p.options)
	c.origin, c.lenient = r.Origin, r.Lenient
	c.most = min(maxSteps, 2*len(p.program.ops)+2*writer.parts)
	return c.payload(writer.like(p.schema.root), p.schema.root, p.root)
}

// Bytes is about what the plan takes in memory beyond what it shares with the contract's.
func (p *Plan) Bytes() int { return p.program.bytes() }

// Schema is that of the payloads, as it was compiled.
func (p *Plan) Schema() *Schema { return p.schema }

// Warnings are what is wrong with the schema and does not matter, each with the place in it.
func (p *Plan) Warnings() []string { return p.warnings }

// NewDecoder returns a decoder with no state but its memory.
func (p *Plan) NewDecoder() decode.Decoder { return p.decoder() }

func (p *Plan) decoder() *Decoder {
	return &Decoder{plan: p, machine: newMachine(p.options.Contract)}
}

// Decoder runs a plan. Not safe for concurrent use.
type Decoder struct {
	*machine
	plan  *Plan
	files files
}

// Append implements decode.Decoder.
func (d *Decoder) Append(dst, payload []byte) ([]byte, error) {
	var row []byte
	var fault *decode.Error
	prog, datum, shift := d.plan.program, payload, 0
	odd := !d.plan.framed && len(payload) > 0 && (payload[0] == containerMagic[0] || payload[0] == singleObject[0])
	file, single := odd && isContainer(payload), odd && bytes.HasPrefix(payload, singleObject)
	switch {
	case file:
		prog, datum, shift, fault = d.open(payload)
	case single:
		datum, shift, fault = d.single(payload)
	}
	if fault == nil {
		row, fault = d.machine.run(prog, dst, datum)
		switch {
		case fault == nil:
		case shift < 0:
			fault.Reason += " (counted in the decompressed block)"
		default:
			fault.Offset += shift
		}
	}
	d.files.block = decode.Trim(d.files.block)
	if fault == nil {
		return row, nil
	}
	if file || single { // a datum may start with these bytes as well
		if row, other := d.machine.run(d.plan.program, dst, payload); other == nil {
			return row, nil
		}
	}
	return dst, fault
}

// singleObject is how a datum begins that names its schema by a fingerprint, of eight bytes, little-endian (Avro
// specification, "Single-object encoding").
var singleObject = []byte{0xc3, 0x01}

// single finds the datum in a single-object encoding, and where it starts.
func (d *Decoder) single(payload []byte) (datum []byte, shift int, fault *decode.Error) {
	o, head := &d.plan.options, len(singleObject)+8
	if len(payload) < head {
		return nil, 0, o.Refuse(0, "single-object encoding (C3 01): the payload ends within the fingerprint")
	}
	if theirs := binary.LittleEndian.Uint64(payload[len(singleObject):]); theirs != d.plan.fingerprint {
		return nil, 0, o.Refuse(0, fmt.Sprintf("single-object encoding (C3 01) of the schema with the fingerprint "+
			"%016x; the contract's schema has %016x: give the contract the schema that the record was written with",
			theirs, d.plan.fingerprint))
	}
	return payload[head:], head, nil
}
