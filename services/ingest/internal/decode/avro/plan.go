// Package avro turns Avro payloads into the bytes of protobuf rows.
//
// Compile turns a schema into a Plan once: a flat program over the payload, and the row's descriptor. A Decoder, one for each lane, runs
// the program over payload after payload, in one pass and without allocating. A payload is one bare Avro datum (no header, no schema id),
// or an object container file with exactly one datum, known by its first bytes `Obj\x01`; a file may have been written with another
// schema, which is resolved by Avro's rules.
//
// The bytes are those that deterministic proto.Marshal makes of the same message: fields ascending, lengths minimal. (A field order other than
// the contract's in a file's schema is kept, which protobuf allows.) Every value of the payload is checked: bounds, number ranges, UTF-8,
// BigQuery's ranges of dates and timestamps. Work and memory are bounded by the payload's length, decompressed to at most 32 MiB.
package avro

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Plan is a compiled schema. It is immutable and safe for concurrent use; each lane runs it with a Decoder of its own.
type Plan struct {
	options decode.Options
	schema  *typ
	program *program
	// framed: the payloads come behind a schema id, so that none is a file.
	framed bool
}

// Compile compiles Avro schema JSON. The error is a *SchemaError where it is about one field: a schema that is not a record, contains
// itself, or that BigQuery has no columns for.
func Compile(avsc []byte, o decode.Options) (*Plan, error) {
	schema, err := parseSchema(avsc)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return compileTypes(schema.only(), o)
}

// compileTypes compiles a schema that is its own writer's.
func compileTypes(schema *typ, o decode.Options) (*Plan, error) {
	schema, err := checked(schema, &o)
	if err != nil {
		return nil, err
	}
	program, err := compileProgram(schema, schema, &o)
	if err != nil {
		return nil, err
	}
	return &Plan{options: o, schema: schema, program: program}, nil
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
	program, datum, shift := d.plan.program, payload, 0
	if !d.plan.framed && isContainer(payload) {
		var err error
		if program, datum, shift, err = d.open(payload); err != nil {
			return dst, err
		}
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
