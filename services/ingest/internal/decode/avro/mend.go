package avro

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/avro"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// mender makes a schema readable that other tools wrote and take, and that Avro's parser does not: what is invalid in
// it and not used costs a warning, and not the schema. A logical type that is invalid is none (Avro specification,
// "Logical types"); names are texts; a default that is no value of its field's type is none until it is needed.
type mender struct {
	named map[string]named
	// real are the full names of types by their aliases.
	real   map[string]string
	fields []defaulted
	// faults say, by record and field, why a default is none.
	faults map[[2]string]string
	// symbols are those of the enums that have one twice, by the full name of the enum.
	symbols map[string][]string
	// again are the fields, by record and name, whose record has another of their name before them.
	again    map[[2]string]bool
	warnings []string
	changed  bool
	// placeholders are how many branches of unions have one.
	placeholders int
	where        string // the field being read
}

// named is a named type, and the namespace that its parts stand in.
type named struct {
	schema    map[string]any
	namespace string
}

// defaulted is a field with a default.
type defaulted struct {
	record, name, namespace string
	field                   map[string]any
}

// lax are names as they come: enum symbols and namespaces are texts, and a column may get a name of its own.
var lax = avro.WithLaxNames(func(string) error { return nil })

// parseTexts parses a schema, the last of the texts, which uses named types of those before it. The whole schema has
// them inside.
func (m *mender) parseTexts(texts []string) (*avro.Schema, error) {
	m.named, m.real, m.faults = map[string]named{}, map[string]string{}, map[[2]string]string{}
	m.symbols, m.again = map[string][]string{}, map[[2]string]bool{}
	trees, given := make([]any, len(texts)), texts
	texts = make([]string, len(given))
	for i, text := range given {
		if !json.Valid([]byte(text)) {
			text = withoutComments(text)
		}
		texts[i] = text
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&trees[i]); err != nil || d.More() {
			trees[i] = nil // the parser says why
			continue
		}
		trees[i] = m.schema(trees[i], "")
	}
	for i := range m.fields {
		m.unpack(&m.fields[i])
	}
	for range 4 { // a default may rest on that of a field within
		if !m.check() {
			break
		}
	}
	parsed, err := m.parse(texts, trees)
	if err != nil && strings.Contains(err.Error(), "default") {
		for i := range m.fields {
			m.drop(&m.fields[i], "the schema has defaults that Avro does not take: "+err.Error())
		}
		parsed, err = m.parse(texts, trees)
	}
	return parsed, err
}

func (m *mender) parse(texts []string, trees []any) (parsed *avro.Schema, err error) {
	var cache avro.SchemaCache
	for i, text := range texts {
		if m.changed && trees[i] != nil {
			mended, err := json.Marshal(trees[i])
			if err != nil {
				return nil, err
			}
			text = string(mended)
		}
		if len(texts) == 1 {
			return avro.Parse(text, lax)
		}
		if parsed, err = cache.Parse(text, lax); err != nil {
			if i < len(texts)-1 {
				err = fmt.Errorf("reference %d: %w", i+1, err)
			}
			return nil, err
		}
	}
	return parsed.Root().Schema(lax) // the same schema with the definitions inside
}

func (m *mender) warn(where, format string, args ...any) {
	if len(m.warnings) < mostWarnings {
		m.warnings = append(m.warnings, cmp.Or(where, "the schema")+": "+fmt.Sprintf(format, args...))
	}
}

const mostWarnings = 50

// mended warns of what has been changed in the schema.
func (m *mender) mended(where, format string, args ...any) {
	m.warn(where, format, args...)
	m.changed = true
}

// strike takes away what is no use in a type or a field, and warns of it.
func (m *mender) strike(v map[string]any, key, where, format string, args ...any) {
	m.mended(where, format, args...)
	delete(v, key)
}

// schema mends a schema and what is in it.
func (m *mender) schema(v any, namespace string) any {
	switch v := v.(type) {
	case nil:
		m.mended(m.where, "a type is a null without quotes; it is read as \"null\"")
		return "null"
	case string:
		return m.aliased(v, namespace)
	case []any:
		if len(v) == 0 {
			m.warn(m.where, "the union has no branches, so that nothing can be of it: it has no column")
		}
		names := make([]string, len(v)) // of the branches that are named, by what is defined up to there
		for i := range v {
			v[i] = m.schema(v[i], namespace)
			if inner, ok := v[i].([]any); ok {
				v[i] = m.nested(inner, namespace)
			}
			if name, ok := v[i].(string); ok {
				names[i] = m.resolved(name, namespace)
			}
		}
		m.union(v, names, namespace)
	case map[string]any:
		switch inner := v["type"].(type) {
		case string:
			v["type"] = m.aliased(inner, namespace)
		case []any:
			m.changed = true
			return m.schema(inner, namespace)
		case map[string]any: // of old tools: {"type": {"type": "string"}}
			m.changed = true
			whole := maps.Clone(v)
			maps.Copy(whole, inner)
			if inner["type"] == nil {
				delete(whole, "type")
			}
			return m.schema(whole, namespace)
		}
		kind, _ := v["type"].(string)
		m.foreign(v, kind, keysOfNames)
		m.object(v, namespace)
	}
	return v
}

// object mends a schema that is an object.
func (m *mender) object(v map[string]any, namespace string) {
	m.nulls(v)
	kind, _ := v["type"].(string)
	m.foreign(v, kind, keysOfOthers)
	name, _ := v["name"].(string)
	switch kind {
	case "record", "error", "enum", "fixed":
		if own, ok := v["namespace"].(string); ok {
			namespace = own
		}
		if at := strings.LastIndexByte(name, '.'); at >= 0 {
			namespace, name = name[:at], name[at+1:]
		}
		name = qualified(name, namespace)
		for part := range strings.SplitSeq(name, ".") {
			m.checkName(name, "the name", part)
		}
		m.aliases(v, name, nil)
		name = m.once(v, name, namespace)
		m.named[name] = named{v, namespace}
		m.remember(v, name, namespace)
	default:
		name = m.where
	}
	m.decimal(v, name)
	switch kind {
	case "record", "error":
		fields, _ := v["fields"].([]any)
		m.fieldsOnce(fields, name)
		m.fieldAliases(fields, name)
		for _, f := range fields {
			if f, ok := f.(map[string]any); ok {
				m.field(f, name, namespace)
			}
		}
	case "enum":
		symbols, _ := v["symbols"].([]any)
		m.symbolsOnce(symbols, name)
		if symbol, ok := v["default"]; ok && !slices.Contains(symbols, symbol) {
			m.strike(v, "default", name, "the default %v is none of the symbols: unknown ones are refused", symbol)
		}
	case "array":
		m.inner(v, "items", namespace)
	case "map":
		m.inner(v, "values", namespace)
	}
}

// inner mends a schema within another one, if it is there.
func (m *mender) inner(v map[string]any, key, namespace string) {
	if inner, ok := v[key]; ok {
		v[key] = m.schema(inner, namespace)
	}
}

// once gives a type another name that is defined already, as generators do that have one name for all: what names it
// means the first.
func (m *mender) once(v map[string]any, name, namespace string) string {
	reason := "the type is defined more than once"
	if k, ok := kindsByName[name]; ok && k <= kindString {
		reason = "the type is called as one of Avro's own"
	} else if !m.defined(name) {
		return name
	}
	other := free(name, m.defined)
	m.mended(name, "%s; this one is read as %s", reason, other)
	v["name"], v["namespace"] = other[strings.LastIndexByte(other, '.')+1:], namespace
	return other
}

// defined reports whether a type of a full name has been read.
func (m *mender) defined(name string) bool { return m.named[name].schema != nil }

// checkName warns of what is no name by Avro's rules.
func (m *mender) checkName(where, what, name string) {
	if !decode.IsName(name) {
		m.warn(where, "%s %q is no name by Avro's rules; it is read as it is", what, name)
	}
}

// qualified is the full name of a type in a namespace.
func qualified(name, namespace string) string {
	if namespace == "" || strings.Contains(name, ".") {
		return name
	}
	return namespace + "." + name
}

func (m *mender) field(f map[string]any, record, namespace string) {
	m.nulls(f)
	name, _ := f["name"].(string)
	m.checkName(record, "the field", name)
	if order, ok := f["order"]; ok && order != "ascending" && order != "descending" && order != "ignore" {
		m.strike(f, "order", record+"."+name, "there is no order %v; it has no meaning here", order)
	}
	switch kind, _ := f["type"].(string); kind {
	case "record", "error", "enum", "fixed", "array", "map":
		m.object(f, namespace) // the field is the definition itself, as some tools write it
	default:
		m.where = record + "." + name
		if logical, ok := f["logicalType"]; ok {
			m.strike(f, "logicalType", m.where, "logicalType %v is beside the type and not in it, where Avro passes "+
				"over it: the column is that of the type, unless columns asks for another", logical)
		}
		m.inner(f, "type", namespace)
	}
	if _, ok := f["default"]; ok {
		m.fields = append(m.fields, defaulted{record, name, namespace, f})
	}
}

// check takes the defaults away that are no values of their fields; found says that there were such.
func (m *mender) check() (found bool) {
	for i := range m.fields {
		f := &m.fields[i]
		if m.faults[f.key()] != "" || m.fits(f.field["type"], f.field["default"], f.namespace, true) {
			continue
		}
		text, _ := json.Marshal(f.field["default"])
		m.drop(f, fmt.Sprintf("its default %.60s is no value of its type", bytes.TrimSpace(text)))
		found = true
	}
	return found
}

func (f *defaulted) key() [2]string { return [2]string{f.record, f.name} }

func (m *mender) drop(f *defaulted, reason string) {
	if m.faults[f.key()] == "" {
		m.faults[f.key()] = reason
		m.strike(f.field, "default", f.record+"."+f.name, "%s: a record that needs it is refused", reason)
	}
}

// fits reports whether a default is a value of a type. Of a union it is one of any branch (Avro 1.12), but for the text
// null, which is meant to be null. outer: the type is the field's own.
func (m *mender) fits(t, v any, namespace string, outer bool) bool {
	if union, ok := t.([]any); ok {
		if slices.Contains(union, any("null")) && v == "null" {
			return false
		}
		return slices.ContainsFunc(union, func(b any) bool { return m.fits(b, v, namespace, false) })
	}
	schema, _ := t.(map[string]any)
	kind, ok := t.(string)
	if !ok {
		kind, _ = schema["type"].(string)
	}
	if n, ok := m.named[m.resolved(kind, namespace)]; ok {
		schema, namespace = n.schema, n.namespace
		kind, _ = schema["type"].(string)
	}
	text, isText := v.(string)
	number, isNumber := v.(json.Number)
	switch kind {
	case "null":
		return v == nil
	case "boolean":
		_, ok := v.(bool)
		return ok
	case "int", "long":
		n, ok := decimalWhole(string(number))
		return isNumber && ok && (kind == "long" || n == int64(int32(n)))
	case "float", "double":
		if isText && outer {
			_, err := strconv.ParseFloat(text, 64)
			return err == nil
		}
		return isNumber
	case "string":
		return isText
	case "enum":
		symbols, _ := schema["symbols"].([]any)
		return isText && slices.Contains(symbols, v)
	case "bytes", "fixed":
		size, _ := whole(schema["size"])
		runes := []rune(text)
		return isText && !slices.ContainsFunc(runes, func(r rune) bool { return r > 0xff }) &&
			(kind == "bytes" || len(runes) == int(size))
	case "array":
		items, ok := v.([]any)
		return ok && !slices.ContainsFunc(items, func(v any) bool {
			return !m.fits(schema["items"], v, namespace, false)
		})
	case "map":
		values, ok := v.(map[string]any)
		for _, v := range values {
			ok = ok && m.fits(schema["values"], v, namespace, false)
		}
		return ok
	}
	values, ok := v.(map[string]any)
	fields, _ := schema["fields"].([]any)
	if schema == nil {
		return true // a type that is not known: the parser says so
	}
	for _, f := range fields {
		f, _ := f.(map[string]any)
		name, _ := f["name"].(string)
		value, there := values[name]
		if _, has := f["default"]; there || !has {
			ok = ok && there && m.fits(f["type"], value, namespace, false)
		}
	}
	return ok
}

// decimalWhole is the value of a number that is whole, however it is written.
func decimalWhole(text string) (int64, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	v, err := strconv.ParseFloat(text, 64)
	return int64(v), err == nil && v == math.Trunc(v) && math.Abs(v) < 1<<53
}
