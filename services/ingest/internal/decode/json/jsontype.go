package json

import (
	"slices"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// typed reads a schema of one type, null apart.
func (s *shaper) typed(n *node, name, path string) (*typ, error) {
	switch name {
	case "boolean":
		return &typ{kind: kindBool}, nil
	case "integer":
		return &typ{kind: kindInt64}, nil
	case "number":
		return &typ{kind: kindDouble}, nil
	case "string":
		return s.text(n, path)
	case "array":
		return s.array(n, path)
	case "object":
		return s.object(n, path)
	}
	return nil, decode.Misfit(path, "there is no type "+name+" in JSON Schema: choose string, integer, number, boolean, object, array or null")
}

// formats are those of strings that have a column type of their own.
var formats = map[string]kind{"date-time": kindTimestamp, "date": kindDate, "time": kindTime}

func (s *shaper) text(n *node, path string) (*typ, error) {
	if k, ok := formats[n.get("format").text()]; ok {
		return &typ{kind: k}, nil
	}
	if encoding := n.get("contentEncoding"); encoding != nil {
		if encoding.text() != "base64" {
			return nil, decode.Misfit(path, "contentEncoding "+string(encoding.raw)+" is not supported: write base64, or leave it out to keep the text")
		}
		return &typ{kind: kindBytes}, nil
	}
	values := valuesOf(n)
	if values == nil {
		return &typ{kind: kindString}, nil
	}
	t := &typ{kind: kindEnum}
	for _, v := range values {
		if v.kind == takesString {
			t.symbols = append(t.symbols, v.text())
		}
	}
	return t, nil
}

// array is REPEATED, or JSON where BigQuery has no REPEATED column for the items.
func (s *shaper) array(n *node, path string) (*typ, error) {
	items := n.get("items")
	if items == nil || items.kind == takesArray || n.get("prefixItems") != nil {
		return &typ{kind: kindJSON}, nil
	}
	found, err := s.read(items, path+"[]")
	if err != nil {
		return nil, err
	}
	if found.typ.kind == kindNull || found.typ.kind == kindJSON {
		return &typ{kind: kindJSON}, nil
	}
	return arrayOf(found.typ, found.nullable), nil
}

// object is a RECORD of its properties. Without any it is a map, if the schema says what its values are, else JSON.
func (s *shaper) object(n *node, path string) (*typ, error) {
	if properties := n.get("properties"); properties != nil && len(properties.members) > 0 {
		return s.record(n, properties.members, path)
	}
	values := n.get("additionalProperties")
	if patterns := n.get("patternProperties"); patterns != nil {
		if len(patterns.members) != 1 || !values.is(false) {
			return &typ{kind: kindJSON}, nil
		}
		values = patterns.members[0].value
	}
	if values == nil || values.kind == takesBool || len(values.members) == 0 {
		return &typ{kind: kindJSON}, nil
	}
	found, err := s.read(values, path+"[].value")
	if err != nil {
		return nil, err
	}
	if found.typ.kind == kindNull {
		return &typ{kind: kindJSON}, nil
	}
	return &typ{kind: kindMap, items: found.typ, nullItems: found.nullable}, nil
}

func (s *shaper) record(n *node, properties []member, path string) (*typ, error) {
	t := &typ{kind: kindRecord}
	required := names(n.get("required"))
	for i := range properties {
		p := &properties[i]
		at := path + "." + p.name
		found, err := s.read(p.value, at)
		if err != nil {
			if err := s.faults.Add(err); err != nil {
				return nil, err
			}
			continue
		}
		f := field{name: p.name, doc: p.value.get("description").text(), typ: found.typ, nullable: found.nullable, number: int32(i + 1)}
		if f.doc == "" {
			f.doc = found.typ.doc
		}
		if slices.Contains(required, p.name) {
			f.require()
		}
		if value := p.value.get("default"); value != nil && value.kind != 0 && found.typ.kind != kindNull {
			f.fallback = value.raw
		}
		t.fields = append(t.fields, f)
	}
	return t, nil
}
