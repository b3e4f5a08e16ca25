package avro

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// sameBranch begins the name of what stands for a branch that a union has twice while Avro's parser looks at it; the
// index of the first follows.
const sameBranch = "waybill_same_branch_"

// union lets a union have a branch twice: a value says by its index which it is of, and both are the same. Two types
// that only look alike, such as a long and a timestamp, are no such thing: the parser refuses them.
func (m *mender) union(branches []any, names []string, namespace string) {
	var keys []string
	for i, b := range branches {
		key := cmp.Or(names[i], branchKey(b, namespace))
		first := slices.Index(keys, key)
		if keys = append(keys, key); first < 0 || key == "" {
			continue
		}
		m.mended(m.where, "the union has the branch %.60s twice, which are one column", key)
		m.placeholders++
		branches[i] = map[string]any{
			"type": "fixed", "size": 1, "namespace": "",
			"name": fmt.Sprintf("%s%d_of_%d", sameBranch, first, m.placeholders),
		}
	}
}

// resolved is the full name of a type that is named without a namespace, or the name of a primitive one: the namespace
// around it goes before none.
func (m *mender) resolved(name, namespace string) string {
	full := qualified(name, namespace)
	_, primitive := kindsByName[name]
	if primitive || !m.defined(full) && m.defined(name) {
		return name
	}
	return full
}

// branchKey is the same for definitions that are the same. A definition of a named type is none of another.
func branchKey(branch any, namespace string) string {
	schema, _ := branch.(map[string]any)
	kind, _ := schema["type"].(string)
	switch kind {
	case "record", "error", "enum", "fixed":
		own, ok := schema["namespace"].(string)
		if !ok {
			own = namespace
		}
		name, _ := schema["name"].(string)
		return qualified(name, own)
	case "array", "map":
		text, _ := json.Marshal(schema)
		return string(text)
	}
	if schema["logicalType"] == nil {
		return kind
	}
	return fmt.Sprint(kind, schema["logicalType"], schema["precision"], schema["scale"])
}

// nulls reads a null as what it is meant to be: the namespace as none, as the empty text says it, and no doc.
func (m *mender) nulls(v map[string]any) {
	if own, ok := v["namespace"]; ok {
		if _, text := own.(string); own == nil {
			v["namespace"], m.changed = "", true
		} else if !text {
			m.strike(v, "namespace", fmt.Sprint(v["name"]), "the namespace %v is no text; it is read past", own)
		}
	}
	if doc, ok := v["doc"]; ok && doc == nil {
		delete(v, "doc")
		m.changed = true
	}
}

// firstOf is the index of the branch that a placeholder stands for; false for any other type.
func firstOf(name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, sameBranch)
	if !ok {
		return 0, false
	}
	digits, _, _ := strings.Cut(rest, "_")
	at, err := strconv.Atoi(digits)
	return at, err == nil
}

// aliases takes away what is no alias: they have a say only where a file was written with another schema. taken are the
// names that others have; nil where none can be in the way.
func (m *mender) aliases(v map[string]any, where string, taken []string) []string {
	given, ok := v["aliases"]
	if !ok {
		return taken
	}
	list, isList := given.([]any)
	text, one := given.(string)
	if one {
		list = []any{text}
	}
	ok, odd := isList, !isList && !one
	kept := []any{}
	for _, alias := range list {
		text, isText := alias.(string)
		switch {
		case !isText:
			ok, odd = false, true
		case taken != nil && slices.Contains(taken, text):
			ok = false
			m.warn(where, "the alias %q is the name or an alias of a field already; it is read past", text)
		default:
			kept = append(kept, alias)
			if taken != nil {
				taken = append(taken, text)
			}
		}
	}
	if ok {
		return taken
	}
	switch {
	case odd:
		m.warn(where, "not all of its aliases are such; those that are none are read past")
	case one:
		m.warn(where, "its aliases are no list; they are read as one")
	}
	m.changed = true
	if v["aliases"] = kept; len(kept) == 0 {
		delete(v, "aliases")
	}
	return taken
}

// remember keeps the aliases of a type: some tools let schemas name the type by them.
func (m *mender) remember(v map[string]any, name, namespace string) {
	aliases, _ := v["aliases"].([]any)
	for _, alias := range aliases {
		text, _ := alias.(string)
		if text = qualified(text, namespace); m.real[text] == "" {
			m.real[text] = name
		}
	}
}

// aliased is the name of a type; its own one where an alias stands for it, which Avro has for files alone.
func (m *mender) aliased(name, namespace string) string {
	full := m.resolved(name, namespace)
	own := m.real[full]
	if _, primitive := kindsByName[name]; primitive || own == "" || m.defined(full) {
		return name
	}
	m.mended(m.where, "%q is an alias of the type %s, which is read in its place", name, own)
	return own
}

// fieldAliases takes away the aliases of fields that are in each other's way.
func (m *mender) fieldAliases(fields []any, record string) {
	taken := []string{}
	each := func(do func(f map[string]any, name string)) {
		for _, f := range fields {
			if f, ok := f.(map[string]any); ok {
				name, _ := f["name"].(string)
				do(f, name)
			}
		}
	}
	each(func(_ map[string]any, name string) { taken = append(taken, name) })
	each(func(f map[string]any, name string) { taken = m.aliases(f, record+"."+name, taken) })
}
