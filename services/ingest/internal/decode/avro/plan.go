// Package avro turns Avro payloads into the bytes of protobuf rows.
//
// Compile turns a schema into a Plan once: a flat program over the payload, and the row's descriptor. A Decoder, one for each lane, runs
// the program over payload after payload, in one pass and without allocating. A payload is one bare Avro datum (no header, no schema id); a
// single-object encoding of the contract's schema; or an object container file with exactly one datum, known by its first bytes `Obj\x01`; a
// file may have been written with another schema, which is resolved by Avro's rules. What starts like one of these and is none is read as a bare
// datum.
//
// The bytes are those that deterministic proto.Marshal makes of the same message: fields ascending, lengths minimal. (A field order other than
// the contract's in a file's schema is kept, which protobuf allows.) Every value of the payload is checked: bounds, number ranges, UTF-8,
// BigQuery's ranges of dates and timestamps. Work and memory are bounded by the payload's length: a block may hold a hundred times its size and
// 1 MiB, a file's schema is compiled to a few hundred bytes for each of its own and of the contract's instructions, and a row is at most
// decode.MaxRow.
package avro

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Plan is a compiled schema. It is immutable and safe for concurrent use; each lane runs it with a Decoder of its own.
type Plan struct {
	options     decode.Options
	schema      *typ
	program     *program
	fingerprint uint64
	// framed: the payloads come behind a schema id, so that none is a file.
	framed bool
	files  fileSchemas
}

// Compile compiles Avro schema JSON. The error is a *SchemaError where it is about one field: a schema that is not a record, contains
// itself, or that BigQuery has no columns for.
func Compile(avsc []byte, o decode.Options) (*Plan, error) {
	schema, err := parseSchema(avsc)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return schema.Compile(o)
}

// Compile compiles a schema that is its own writer's. Errors are those of the function Compile.
func (s *Schema) Compile(o decode.Options) (*Plan, error) {
	schema, err := checked(s.root, &o)
	if err != nil {
		return nil, err
	}
	program, err := newCompiler(&o).payload(schema, schema)
	if err != nil {
		return nil, err
	}
	return &Plan{options: o, schema: schema, program: program, fingerprint: s.fingerprint}, nil
}

// resolve compiles the payloads of another schema. The writer's may be foreign input: it makes at most twice as many instructions as the contract's
// own, and a few for each of its types.
func (p *Plan) resolve(writer *Schema, r Resolution) (*program, error) {
	c := newCompiler(&p.options)
	c.origin, c.lenient = r.Origin, r.Lenient
	c.most = min(maxSteps, 2*len(p.program.ops)+2*writer.parts)
	return c.payload(writer.root, p.schema)
}

// checked is the schema with the columns that are asked for, once all of it can be columns, and has what the envelope takes.
func checked(schema *typ, o *decode.Options) (*typ, error) {
	var faults decode.Misfits
	schema, err := withColumns(schema, o, &faults)
	if err != nil {
		return nil, err
	}
	_, err = describe(schema, o.Payload)
	if err := faults.Add(err); err != nil || schema.kind != kindRecord {
		return nil, cmp.Or(err, faults.Err())
	}
	for _, check := range []func(*typ, *decode.Options) error{checkID, checkTime} {
		if err := faults.Add(check(schema, o)); err != nil {
			return nil, err
		}
	}
	return schema, faults.Err()
}

// checkID checks the field that is the event's identity.
func checkID(schema *typ, o *decode.Options) error {
	if o.EventID != "" {
		t, err := find(schema, o.EventID)
		switch {
		case err != nil:
			return decode.Misfit(o.Path(o.EventID), "event_id: "+err.Error())
		case t.kind == kindString, t.kind == kindEnum, t.logical == logicalNone && (t.kind == kindInt || t.kind == kindLong), t.logical == logicalUUID:
		default:
			return decode.Misfit(o.Path(o.EventID), "event_id: wants a string, int, long, enum or uuid")
		}
	}
	return nil
}

// checkTime checks the field that says when the event happened, and settles its unit.
func checkTime(schema *typ, o *decode.Options) error {
	if o.EventTime != "" {
		t, err := find(schema, o.EventTime)
		switch {
		case err != nil:
			return decode.Misfit(o.Path(o.EventTime), "event_time: "+err.Error())
		case t.asked != nil && t.asked.Type == decode.Timestamp && o.EventTimeUnit != decode.Auto:
			return decode.Misfit(o.Path(o.EventTime), "event_time: columns says the unit already: leave it out")
		case t.asked != nil && t.asked.Type == decode.Timestamp:
			o.EventTimeUnit = t.asked.Unit
		case t.logical.isTimestamp() && o.EventTimeUnit != decode.Auto:
			return decode.Misfit(o.Path(o.EventTime), "event_time: the schema says the unit already: leave it out")
		case t.logical.isTimestamp():
			o.EventTimeUnit = [...]decode.Unit{decode.Millis, decode.Micros, decode.Nanos}[t.logical-logicalTimestampMillis]
		case t.logical == logicalNone && (t.kind == kindInt || t.kind == kindLong):
		default:
			return decode.Misfit(o.Path(o.EventTime), "event_time: wants an int, a long, a timestamp, or a text whose column is a TIMESTAMP")
		}
	}
	return nil
}

// find returns the type of the field at a dotted path through records.
func find(t *typ, path string) (*typ, error) {
	for name := range strings.SplitSeq(path, ".") {
		if t.kind != kindRecord {
			return nil, fmt.Errorf("%s is in a %s, only fields of records can be named", name, t.kind)
		}
		at := -1
		for i := range t.fields {
			if t.fields[i].name == name {
				at = i
			}
		}
		if at < 0 {
			return nil, fmt.Errorf("the schema has no field %s here", name)
		}
		t, _ = t.fields[at].typ.column()
	}
	return t, nil
}

// Bytes is about what the plan takes in memory beyond what it shares with the contract's.
func (p *Plan) Bytes() int { return p.program.bytes() }

// NewDecoder returns a decoder with no state but its memory.
func (p *Plan) NewDecoder() decode.Decoder { return p.decoder() }

func (p *Plan) decoder() *Decoder {
	return &Decoder{plan: p, machine: newMachine(p.options.Contract)}
}

// Decoder runs a plan. Not safe for concurrent use.
type Decoder struct {
	plan    *Plan
	machine *machine
	files   files
}

// Append appends to dst the body of the payload message (neither tag nor length before it). On error dst comes back at its old
// length, and the error is a *Error.
func (d *Decoder) Append(dst, payload []byte) ([]byte, error) {
	if d.plan.framed || len(payload) == 0 || payload[0] != containerMagic[0] && payload[0] != singleObject[0] {
		return d.bare(dst, payload)
	}
	row, err := dst, error(nil)
	switch {
	case isContainer(payload):
		row, err = d.file(dst, payload)
	case bytes.HasPrefix(payload, singleObject):
		row, err = d.single(dst, payload)
	default:
		return d.bare(dst, payload)
	}
	if err != nil { // a datum may start with these bytes as well
		if row, e := d.machine.run(d.plan.program, dst, payload); e == nil {
			return row, nil
		}
	}
	return row, err
}

// bare decodes a datum that stands by itself.
func (d *Decoder) bare(dst, payload []byte) ([]byte, error) {
	row, e := d.machine.run(d.plan.program, dst, payload)
	if e != nil {
		return dst, e
	}
	return row, nil
}

// file decodes an object container file.
func (d *Decoder) file(dst, payload []byte) ([]byte, error) {
	program, datum, shift, err := d.open(payload)
	defer func() { d.files.block = decode.Trim(d.files.block) }()
	if err != nil {
		return dst, err
	}
	row, e := d.machine.run(program, dst, datum)
	if e == nil {
		return row, nil
	}
	if shift >= 0 {
		e.Offset += shift
	} else {
		e.Reason += " (counted in the decompressed block)"
	}
	return dst, e
}

// singleObject is how a datum begins that names its schema by a fingerprint, of eight bytes, little-endian (Avro specification, "Single-object
// encoding").
var singleObject = []byte{0xc3, 0x01}

// single decodes a single-object encoding.
func (d *Decoder) single(dst, payload []byte) ([]byte, error) {
	o, head := &d.plan.options, len(singleObject)+8
	if len(payload) < head {
		return dst, &decode.Error{Contract: o.Contract, Field: o.Payload, Reason: "single-object encoding (C3 01): the payload ends within the fingerprint"}
	}
	if theirs := binary.LittleEndian.Uint64(payload[len(singleObject):]); theirs != d.plan.fingerprint {
		return dst, &decode.Error{Contract: o.Contract, Field: o.Payload, Reason: fmt.Sprintf("single-object encoding (C3 01) of the schema with the "+
			"fingerprint %016x; the contract's schema has %016x: give the contract the schema that the record was written with", theirs, d.plan.fingerprint)}
	}
	row, e := d.machine.run(d.plan.program, dst, payload[head:])
	if e != nil {
		e.Offset += head
		return dst, e
	}
	return row, nil
}

// EventID returns the identity of the event in the payload last appended, as text. It is valid until the next Append and may alias that
// payload; ok is false if the contract names no field, or it was null.
func (d *Decoder) EventID() (id []byte, ok bool) {
	return d.machine.taken.id, d.machine.taken.hasID
}

// EventTime returns when the event in the payload last appended happened, in microseconds since the epoch, within BigQuery's
// range; ok is false if the contract names no field, or it was null.
func (d *Decoder) EventTime() (micros int64, ok bool) {
	return d.machine.taken.micros, d.machine.taken.hasTime
}
