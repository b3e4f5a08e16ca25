package json

import (
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// plain are the types that say all of their columns.
var plain = map[string]shape.Kind{"boolean": shape.Bool, "integer": shape.Int64, "number": shape.Double}

// typed reads a schema of one type, null apart.
func (s *shaper) typed(n *node, name string) *shape.Node {
	switch name {
	case "boolean", "integer", "number":
		return of(plain[name])
	case "string":
		return stringOf(n)
	case "array":
		return s.array(n)
	case "object":
		return s.object(n)
	}
	return fail("there is no type %s in JSON Schema: choose string, integer, number, boolean, object, array or null",
		name)
}

// formats are those of strings that have a column type of their own.
var formats = map[string]shape.Kind{"date-time": shape.Timestamp, "date": shape.Date, "time": shape.Time}

func stringOf(n *node) *shape.Node {
	if k, ok := formats[n.get("format").text()]; ok {
		return of(k)
	}
	if encoding := n.get("contentEncoding"); encoding != nil {
		if encoding.text() != "base64" {
			return fail("contentEncoding %s is not supported: write base64, or leave it out to keep the text",
				encoding.raw)
		}
		return of(shape.Bytes)
	}
	values := valuesOf(n)
	if values == nil {
		return of(shape.String)
	}
	t := of(shape.Enum)
	for _, v := range values {
		if v.kind == takesString {
			t.Symbols = append(t.Symbols, v.text())
		}
	}
	return t
}

// array is REPEATED, or JSON where BigQuery has no REPEATED column for the items.
func (s *shaper) array(n *node) *shape.Node {
	items := n.get("items")
	if items == nil || items.kind == takesArray || n.get("prefixItems") != nil {
		return of(shape.JSON)
	}
	found := s.read(items)
	if found.Fault == "" && (found.Kind == shape.Null || found.Kind == shape.JSON) {
		return of(shape.JSON)
	}
	return shape.ArrayOf("", found)
}

// object is a RECORD of its properties. Without any it is a map, if the schema says what its values are, else JSON.
func (s *shaper) object(n *node) *shape.Node {
	if properties := n.get("properties"); properties != nil && len(properties.members) > 0 {
		return s.record(n, properties.members)
	}
	values := n.get("additionalProperties")
	if patterns := n.get("patternProperties"); patterns != nil {
		if len(patterns.members) != 1 || !values.is(false) {
			return of(shape.JSON)
		}
		values = patterns.members[0].value
	}
	if values == nil || values.kind == takesBool || len(values.members) == 0 {
		return of(shape.JSON)
	}
	found := s.read(values)
	if found.Kind == shape.Null && found.Fault == "" {
		return of(shape.JSON)
	}
	found.NotNull = !found.Nullable
	return shape.MapOf("", found)
}

func (s *shaper) record(n *node, properties []member) *shape.Node {
	record := of(shape.Record)
	for i := range properties {
		p := &properties[i]
		f := s.read(p.value)
		f.Name, f.Number = p.name, int32(i+1)
		if doc := p.value.get("description").text(); doc != "" {
			f.Doc = doc
		}
		if value := p.value.get("default"); value != nil && value.kind != 0 && f.Kind != shape.Null {
			f.Default, f.HasDefault = value.raw, true
		}
		record.Parts = append(record.Parts, f)
	}
	require(record, names(n.get("required")))
	return record
}
