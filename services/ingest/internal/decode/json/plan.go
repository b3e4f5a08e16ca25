// Package json turns JSON payloads into the bytes of protobuf rows.
//
// Compile turns a schema, Avro's or JSON Schema, into a Plan once. A Decoder, one for each lane, runs it over payload
// after payload, in one pass and without allocating. A payload is one JSON object in UTF-8 (RFC 8259), its fields in
// any order. The syntax is taken strictly: no comments, no trailing commas, no leading zeros, no byte order mark, no
// lone surrogates, nothing behind the object, no field twice.
//
// The bytes are those that proto.Marshal makes of the same message, but that fields stand in the order of the payload,
// which protobuf allows. Every value is checked: number ranges, digits of decimals, UTF-8, BigQuery's ranges of dates
// and timestamps; decimals never go through a float. Work and memory are bounded by the payload's length.
package json

import (
	"hash/maphash"
	"slices"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// Language is what a schema is written in.
type Language uint8

// An Avro schema (.avsc) is read as the shape of natural JSON, not of Avro's JSON encoding.
const (
	Avro Language = iota
	JSONSchema
)

// Unknown is what becomes of fields that the schema does not know.
type Unknown uint8

// Refuse makes the record a dead letter, Drop leaves the field out, Keep puts it into the column _extra.
const (
	Refuse Unknown = iota
	Drop
	Keep
)

// Settings are what an entry says about its JSON beside the schema.
type Settings struct {
	Unknown Unknown
	// Lenient takes what a strict reading refuses, where it loses nothing: numbers and booleans in quotes, numbers and
	// booleans for text, "NaN" and "Infinity" for floats, unknown symbols of an enum, and null or nothing for what the
	// schema requires.
	Lenient bool
}

// Plan is a compiled schema. It is immutable and safe for concurrent use; each lane runs it with a Decoder of its own.
type Plan struct {
	*shape.Columns
	options  decode.Options
	settings Settings
	schema   *shape.Node
	root     *object
	extra    *step // of the column of unknown fields, if they are kept
	follows  int   // the length of Decoder.follows
	guesses  int   // how many messages there are to guess the length of
	warnings []string
}

// Compile compiles a schema. The error is a *decode.SchemaError where it is about one field, decode.SchemaErrors where
// about several: a payload that is no object or contains itself, a union that JSON does not tell apart, or a field that
// BigQuery has no column for.
func Compile(schema []byte, language Language, s Settings, o decode.Options) (*Plan, error) {
	parsed, err := Parse(schema, language)
	if err != nil {
		return nil, err
	}
	return parsed.Compile(s, o)
}

// extraName is the column that unknown fields are kept in.
const extraName = "_extra"

// Compile compiles the schema. Errors are those of the function Compile.
func (s *Schema) Compile(settings Settings, o decode.Options) (_ *Plan, err error) {
	t := shape.New(s.root.Clone(), &o)
	t.Become, t.AsRow = become, true
	t.Whole = func(_ *shape.Node, c *decode.Column) bool { return c.Type == decode.JSON }
	fields := t.Root.Parts
	if settings.Unknown == Keep && t.Root.Kind == shape.Record {
		extra := of(shape.JSON)
		extra.Name, extra.Number, extra.Doc = extraName, t.Root.Last()+1,
			"Fields that the schema does not know, by their place in the payload."
		t.Root.Parts = slices.Concat(fields, []*shape.Node{extra})
	}
	p := &Plan{options: o, settings: settings, schema: t.Root, warnings: slices.Clip(s.warnings)}
	if p.Columns, err = t.Compile(&p.options); err != nil {
		return nil, err
	}
	c := compiler{plan: p}
	p.root = c.object(fields, t.Path)
	if settings.Unknown == Keep {
		p.extra = c.step(t.Root.Parts[len(fields)], t.Path.Field(extraName))
	}
	return p, c.faults.Err()
}

// Warnings are what is wrong with the schema and does not matter, each with the place in it.
func (p *Plan) Warnings() []string { return p.warnings }

// NewDecoder returns a decoder with no state but its memory.
func (p *Plan) NewDecoder() decode.Decoder { return p.decoder() }

func (p *Plan) decoder() *Decoder {
	d := &Decoder{plan: p, lenient: p.settings.Lenient, guess: make([]uint8, p.guesses)}
	for i := range d.guess {
		d.guess[i] = 1
	}
	d.follows = make([]uint16, p.follows)
	d.extra.keep, d.keys.seed = p.settings.Unknown == Keep, maphash.MakeSeed()
	return d
}

// slack is the room that every value finds in the output beyond what is left of the payload: a tag, a number in its
// longest form, and the tail of a word-wise copy.
const slack = 160

// Decoder runs a plan. Not safe for concurrent use.
type Decoder struct {
	decode.Taken
	plan    *Plan
	lenient bool

	// src is the payload, out the output with its capacity as length.
	src, out []byte
	from     int // where the row starts in out
	// seen is a stack of bit sets, one for each object being read: the fields met.
	seen []uint64
	used int
	// guess is how many bytes the length of each message took last: a right guess saves moving the message.
	guess []uint8
	// follows holds for each object the field that came first last time, and for each of its fields the one that came
	// next: payloads of one producer have their fields in one order, so that most names are compared and not looked up.
	follows []uint16
	// scratch holds a text without its escapes.
	scratch []byte

	extra extra
	keys  keys
	fault fault
}

// Append implements decode.Decoder.
func (d *Decoder) Append(dst, payload []byte) ([]byte, error) {
	d.src, d.out, d.from = payload, dst[:cap(dst)], len(dst)
	d.used = 0
	d.extra.reset()
	d.keys.drop(0)
	d.Forget()
	p, o := d.payload(len(dst))
	out := d.out
	d.src, d.out = nil, nil
	d.scratch, d.extra.text, d.keys.slots = decode.Trim(d.scratch), decode.Trim(d.extra.text), decode.Trim(d.keys.slots)
	if p < 0 {
		return dst, d.fault.take(&d.plan.options)
	}
	return out[:o], nil
}

// payload decodes the whole payload to d.out[o:].
func (d *Decoder) payload(o int) (int, int) {
	src := d.src
	p := jsonscan.Space(src, 0)
	if jsonscan.Peek(src, p) != '{' {
		if len(src) >= 3 && string(src[:3]) == "\xef\xbb\xbf" {
			return d.fail(0, "a byte order mark, which JSON must not start with"), 0
		}
		return d.fail(p, "a payload is an object, this is "+kindAt(src, p)), 0
	}
	d.room(p, o)
	if p, o = d.object(d.plan.root, p+1, o); p < 0 {
		return p, o
	}
	if p = jsonscan.Space(src, p); p != len(src) {
		return d.fail(p, "bytes are left over behind the object"), 0
	}
	return p, d.writeExtra(o)
}

// room makes sure that the rest of the payload fits into the output behind o.
func (d *Decoder) room(p, o int) {
	if need := len(d.src) - p + slack; len(d.out)-o < need {
		d.grow(o, need)
	}
}

func (d *Decoder) grow(o, need int) {
	out := slices.Grow(d.out[:o], need)
	d.out = out[:cap(out)]
}
