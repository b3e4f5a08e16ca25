package json

import (
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// composed is an object of Debezium's that is one value: bytes in base64, and a whole number beside them.
type composed struct {
	bytes, number string // the names of its fields
	source        decode.Source
}

// kindComposed is the kind of their steps; no column is of it.
const kindComposed = shape.Range + 1

// These are a decimal with a scale of its own (io.debezium.data.VariableScaleDecimal), and a shape in the OGC's
// well-known binary with its reference system (io.debezium.data.geometry.Point, Geometry and Geography).
var (
	variable = &composed{"value", "scale", decode.FromDecimal}
	geometry = &composed{"wkb", "srid", decode.FromShape}
)

// compose marks an object that a source calls by such a name, and that has the fields of one. So far it is a RECORD.
func compose(n *shape.Node, name string) {
	c := geometry
	switch {
	case n.Kind != shape.Record:
		return
	case name == "io.debezium.data.VariableScaleDecimal":
		c = variable
	case !strings.HasPrefix(name, "io.debezium.data.geometry."):
		return
	}
	text, number := n.Part(c.bytes), n.Part(c.number)
	if text >= 0 && (n.Parts[text].Kind == shape.String || n.Parts[text].Kind == shape.Bytes) &&
		(number >= 0 && n.Parts[number].Kind.IsWhole() || number < 0 && c == geometry) {
		n.Source, n.One = c, c.source
	}
}

// composeAll marks such objects in the tree of an Avro schema.
func composeAll(n *shape.Node) {
	compose(n, n.Named)
	for _, p := range n.Parts {
		composeAll(p)
	}
}

// composedOf is what a value is composed of that is one; nil if of nothing, or if its column is a RECORD or JSON.
func composedOf(n *shape.Node) *composed {
	c, _ := n.Source.(*composed)
	if n.From != shape.Record || n.Kind == shape.Record || n.Kind == shape.JSON {
		return nil
	}
	return c
}

// composed decodes an object that is one value. Its other fields are checked to be JSON, and nothing more.
func (d *Decoder) composed(s *step, p, o int) (int, int) {
	if jsonscan.Peek(d.src, p) != '{' {
		return d.wants(p, "an object"), o
	}
	at := p
	var number int64
	size, numbered := -1, false // of the bytes, which lie where the row goes on
	p = jsonscan.Space(d.src, p+1)
	more := jsonscan.Peek(d.src, p) != '}'
	if !more {
		p++
	}
	for more {
		name, value := d.key(p)
		if value < 0 {
			return value, o
		}
		switch isNull := jsonscan.Peek(d.src, value) == 'n'; {
		case string(name) == s.composed.bytes && size >= 0, string(name) == s.composed.number && numbered:
			d.fail(p, "the field is there twice")
			return d.in(shown(name)), o
		case string(name) == s.composed.bytes && !isNull:
			if size, p = d.base64(value, o); p < 0 {
				return d.in(s.composed.bytes), o
			}
		case string(name) == s.composed.number && !isNull:
			if number, p = d.integer(value); p < 0 {
				return d.in(s.composed.number), o
			}
			numbered = true
		default:
			if p = d.skip(value, jsonscan.MaxNesting); p < 0 {
				return p, o
			}
		}
		if p, more = d.next(p, '}'); p < 0 {
			return p, o
		}
	}
	var bytes []byte
	if size >= 0 {
		d.scratch = append(d.scratch[:0], d.out[o:o+size]...)
		bytes = d.scratch
	}
	row, reason := d.out[:o], "a decimal has both its value and its scale"
	switch {
	case s.composed == geometry:
		row, reason = s.cell.AppendShape(row, bytes, number)
	case size >= 0 && numbered:
		row, reason = s.cell.AppendScaled(row, bytes, number, &d.Taken)
	}
	if reason != "" {
		return d.fail(at, reason), o
	}
	d.out = row[:cap(row)]
	return p, len(row)
}
