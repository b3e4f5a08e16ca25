package json

import (
	stdjson "encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/avro"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// Schema is a parsed schema, as a schema registry has it. It is immutable.
type Schema struct {
	root     *shape.Node
	warnings []string
}

// Parse parses a schema. references are the documents that a JSON Schema refers to, directly or not.
func Parse(schema []byte, language Language, references ...Reference) (*Schema, error) {
	if len(schema) > decode.MaxSchema {
		return nil, fmt.Errorf("schema of %d bytes is longer than %d", len(schema), decode.MaxSchema)
	}
	read := readAvro
	if language == JSONSchema {
		read = readJSONSchema
	}
	s, err := read(schema, references)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return s, nil
}

// readAvro reads an Avro schema. The JSON is the natural one, not Avro's JSON encoding: a union's value stands by
// itself, bytes are base64.
func readAvro(schema []byte, _ []Reference) (*Schema, error) {
	parsed, err := avro.Parse(string(schema))
	if err != nil {
		return nil, err
	}
	root := parsed.Shape(true)
	tellApart(root)
	composeAll(root)
	return &Schema{root, parsed.Warnings()}, nil
}

// tellApart finds unions of types that JSON does not tell apart.
func tellApart(n *shape.Node) {
	if n.Kind == shape.Union && !distinct(n) {
		n.Fault = "JSON does not tell the types of the union apart: two of them are written alike; keep one of the two"
	}
	for _, p := range n.Parts {
		tellApart(p)
	}
}

// distinct reports whether no two branches take the same kind of JSON.
func distinct(union *shape.Node) bool {
	var kinds takes
	for _, b := range union.Parts {
		k := takesOf(b)
		if kinds&k != 0 {
			return false
		}
		kinds |= k
	}
	return true
}

// takes are the kinds of JSON values, as a set.
type takes uint8

const (
	takesBool takes = 1 << iota
	takesNumber
	takesString
	takesObject
	takesArray
)

// takesOf says which JSON values can be one of the type.
func takesOf(n *shape.Node) takes {
	if composedOf(n) != nil {
		return takesObject
	}
	switch n.Kind {
	case shape.Null:
		if n.Fault == "" {
			return 0
		}
	case shape.Bool:
		return takesBool
	case shape.Int32, shape.Int64, shape.Float, shape.Double:
		return takesNumber
	case shape.Decimal:
		return takesNumber | takesString
	case shape.Timestamp, shape.Date, shape.Time, shape.DateTime:
		if n.Numbers {
			return takesNumber | takesString
		}
		return takesString
	case shape.String, shape.Enum, shape.Bytes, shape.Interval:
		return takesString
	case shape.Geography:
		return takesString | takesObject
	case shape.Record, shape.Range, shape.Map:
		return takesObject
	case shape.Array:
		return takesArray
	}
	return takesBool | takesNumber | takesString | takesObject | takesArray
}

// become says why a value cannot be the column of an override.
func become(n *shape.Node, c *decode.Column) (reason string) {
	if n.One != 0 && c.Type != decode.JSON {
		return c.Check(n.One)
	}
	from := takesOf(n)
	switch c.Type {
	case decode.Range:
		if n.Kind != shape.Record && n.Kind != shape.Range {
			return "a RANGE is a record of start and end alone, both DATE, both DATETIME or both TIMESTAMP"
		}
		return ""
	case decode.JSON:
		return ""
	case decode.Geography:
		from &= takesString | takesObject
	case decode.Interval:
		from &= takesString
	case decode.Float:
		from &= takesNumber
	case decode.String:
		from &= takesString | takesNumber | takesBool
	default:
		from &= takesString | takesNumber
	}
	if n.Kind == shape.Date && c.Type != decode.Date && c.Type != decode.String ||
		n.Kind == shape.Time && c.Type != decode.Time && c.Type != decode.String {
		from = 0 // days, or a time of day, are no moment
	}
	counted := from&takesNumber != 0
	switch {
	case from == 0:
		return fmt.Sprintf("of type %s, which does not become %s", n.Kind, c.Type)
	case c.Unit != decode.Auto && !counted:
		return "only a number has a unit"
	case c.Type == decode.Time && counted && c.Unit == decode.Auto && n.Kind != shape.Time:
		return "a TIME of a number needs a unit: s, ms, us or ns"
	}
	n.Numbers = counted
	return (&decode.Column{Type: c.Type, Precision: c.Precision, Scale: c.Scale}).Check(decode.FromText)
}

// Relaxed is the schema without requirements: every field may be missing, and is null then, or be null.
func (s *Schema) Relaxed() *Schema {
	root := s.root.Clone()
	relax(root)
	return &Schema{root, nil}
}

func relax(n *shape.Node) {
	if n.Kind == shape.Record {
		for _, p := range n.Parts {
			p.Nullable, p.Required, p.NotNull, p.Default, p.HasDefault, p.NoDefault = true, false, false, nil, false, ""
		}
	}
	for _, p := range n.Parts {
		relax(p)
	}
}

// With returns the schema whose columns are those of s and those of newer, and what newer has brought. The columns of s
// keep their numbers: new fields go to the end of their record, new branches to the end of their union.
func (s *Schema) With(newer *Schema, payload string) (*Schema, decode.Changes) {
	root, changes := shape.Grow(s.root, newer.root, payload, shape.Rules{
		Fit: func(have, want *shape.Node) shape.Fit {
			switch pair := [2]shape.Kind{have.Kind, want.Kind}; {
			case widens[pair]:
				return shape.Widens
			case have.Kind == want.Kind, holds[pair]:
				return shape.Fits
			}
			return shape.Conflicts
		},
		Both: func(have, want *shape.Node) []decode.Target {
			if have.Kind == shape.Array || want.Kind == shape.Array {
				return nil // of a list each item is JSON
			}
			return []decode.Target{decode.JSON}
		},
		Branch: func(union, want *shape.Node) int {
			if at := union.Part(want.Name); at >= 0 {
				return at
			}
			return slices.IndexFunc(union.Parts, func(b *shape.Node) bool { return takesOf(b)&takesOf(want) != 0 })
		},
		NewBranch: func(*shape.Node) string { return "" },
	})
	return &Schema{root, s.warnings}, changes
}

// widens are the pairs of kinds, the contract's first, of which the second holds more in a column of the same type.
// holds are those whose first takes every value of the second as it is.
var (
	widens = map[[2]shape.Kind]bool{
		{shape.Int32, shape.Int64}: true, {shape.Float, shape.Double}: true, {shape.Enum, shape.String}: true,
	}
	holds = map[[2]shape.Kind]bool{
		{shape.Int64, shape.Int32}: true, {shape.Double, shape.Float}: true, {shape.Double, shape.Int32}: true,
		{shape.Double, shape.Int64}: true,
		{shape.Float, shape.Int32}:  true, {shape.Float, shape.Int64}: true, {shape.String, shape.Enum}: true,
	}
)

// fallbackOf is the JSON of what stands for a field that is missing; nil for nothing. The default of an Avro schema is
// written as natural JSON: bytes become base64, and the bytes of a decimal its text.
func fallbackOf(n *shape.Node) ([]byte, error) {
	if text, ok := n.Default.(stdjson.RawMessage); ok || !n.HasDefault || n.Default == nil {
		return text, nil
	}
	value, err := natural(n, n.Default)
	if err != nil {
		return nil, err
	}
	return stdjson.Marshal(value)
}

func natural(n *shape.Node, value any) (any, error) {
	switch v := value.(type) {
	case []byte:
		switch n = as(n, shape.Bytes, shape.Decimal); n.Kind {
		case shape.Bytes:
			return v, nil
		case shape.Decimal:
			text, reason := decode.AppendUnscaled(nil, v, n.Precision, n.Scale)
			if reason != "" {
				return nil, errors.New(reason)
			}
			return string(text), nil
		}
		return nil, errors.New("bytes are no default of a " + n.Kind.String())
	case []any:
		if n = as(n, shape.Array); len(n.Parts) == 0 {
			return v, nil // one column of the whole
		}
		if n = as(n, shape.Array).Parts[0]; n.Kind == shape.Item {
			n = n.Parts[0]
		}
		items := make([]any, len(v))
		for i := range v {
			var err error
			if items[i], err = natural(n, v[i]); err != nil {
				return nil, err
			}
		}
		return items, nil
	case map[string]any:
		if n = as(n, shape.Record, shape.Map); len(n.Parts) == 0 {
			return v, nil
		}
		fields := make(map[string]any, len(v))
		for name, inner := range v {
			at := 1
			if n.Kind == shape.Record {
				if at = n.Part(name); at < 0 {
					return nil, errors.New("the record has no field " + name)
				}
			}
			var err error
			if fields[name], err = natural(n.Parts[at], inner); err != nil {
				return nil, err
			}
		}
		return fields, nil
	}
	return value, nil
}

// as is the branch of a union that is of one of the kinds, or the type itself.
func as(n *shape.Node, kinds ...shape.Kind) *shape.Node {
	if n.Kind == shape.Union {
		for _, b := range n.Parts {
			if slices.Contains(kinds, b.Kind) {
				return b
			}
		}
	}
	return n
}
