package avro

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// symbolsOnce lets an enum have a symbol twice: a value says by its index which it is, and both are the same text.
// While Avro's parser looks at them the second has another name. Symbols are texts: others are read as they stand.
func (m *mender) symbolsOnce(symbols []any, enum string) {
	texts, twice := make([]string, len(symbols)), false
	for i, s := range symbols {
		text, ok := s.(string)
		if !ok {
			text = cmp.Or(fmt.Sprint(s), "null")
			m.mended(enum, "the symbol %s is no text; it is read as one", text)
		} else {
			m.checkName(enum, "the symbol", text)
		}
		if slices.Contains(texts[:i], text) {
			m.warn(enum, "the symbol %q is there twice; both are read as it", text)
			twice = true
		}
		texts[i], symbols[i] = text, text
	}
	if !twice {
		return
	}
	m.symbols[enum], m.changed = texts, true
	for i, text := range texts {
		if slices.Contains(texts[:i], text) {
			symbols[i] = free(text, func(name string) bool { return slices.Contains(symbols, any(name)) })
		}
	}
}

// fieldsOnce gives a field another name that its record has already: the payload has the values of both.
func (m *mender) fieldsOnce(fields []any, record string) {
	names := make([]string, len(fields))
	for i := range fields {
		f, _ := fields[i].(map[string]any)
		names[i], _ = f["name"].(string)
	}
	for i, name := range names {
		if f, ok := fields[i].(map[string]any); ok && slices.Contains(names[:i], name) {
			names[i] = free(name, func(name string) bool {
				return slices.ContainsFunc(names, func(other string) bool { return strings.EqualFold(name, other) })
			})
			m.mended(record, "the field %q is there twice; this one is read as %s", name, names[i])
			f["name"] = names[i]
			m.again[[2]string{record, names[i]}] = true
		}
	}
}

// free is a name that is not taken, with a number behind it.
func free(name string, taken func(name string) bool) string {
	for i := 2; ; i++ {
		if numbered := fmt.Sprintf("%s_%d", name, i); !taken(numbered) {
			return numbered
		}
	}
}

// nested makes a branch of a union that stands in a union, which Avro does not take: a record of one field is written
// as the field is.
func (m *mender) nested(union []any, namespace string) any {
	name, taken := "Union", func(name string) bool { return m.defined(qualified(name, namespace)) }
	if taken(name) {
		name = free(name, taken)
	}
	m.mended(m.where, "a union stands in a union, which Avro does not take; it is read as the field value of a "+
		"record %s", name)
	v := map[string]any{
		"type": "record", "name": name, "fields": []any{map[string]any{"name": "value", "type": union}},
	}
	m.named[qualified(name, namespace)] = named{v, namespace}
	return v
}

// keysOfOthers are what a type of a kind has not got, though its parser asks whether it has; keysOfNames what a type
// without a name has not got.
var (
	keysOfOthers = map[string][]string{
		"record": {"symbols", "items", "values", "size"}, "error": {"symbols", "items", "values", "size"},
		"enum": {"fields", "items", "values", "size"}, "fixed": {"fields", "symbols", "items", "values"},
		"array": {"fields", "symbols", "values", "size"}, "map": {"fields", "symbols", "items", "size"},
	}
	keysOfNames = map[string][]string{
		"array": {"name"}, "map": {"name"}, "null": {"name"}, "boolean": {"name"}, "int": {"name"}, "long": {"name"},
		"float": {"name"}, "double": {"name"}, "bytes": {"name"}, "string": {"name"},
	}
)

// foreign takes away what a type of its kind has not got.
func (m *mender) foreign(v map[string]any, kind string, keys map[string][]string) {
	for _, key := range keys[kind] {
		if _, ok := v[key]; ok {
			m.strike(v, key, m.where, "a type %s has no %s; it is read past", kind, key)
		}
	}
}
