package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds the values of a file with its aliases followed: a few lines of aliases can stand for billions of
// values.
const maxNodes = 100_000

// decode reads node into v, which stands at key. Problems are reported, and v then keeps what it held.
func (l *loader) decode(node *yaml.Node, v reflect.Value, key string) {
	if l.left--; l.left < 0 {
		if l.left == -1 {
			l.report(key, node.Line, fmt.Sprintf("the file has more than %d values", maxNodes), "use fewer aliases")
		}
		return
	}
	if _, seen := l.lines[key]; !seen {
		l.lines[key] = node.Line
	}
	if node.Kind == yaml.AliasNode {
		l.decode(node.Alias, v, key)
		return
	}
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" {
		return // a key without a value keeps its default
	}
	if v.Kind() == reflect.Pointer {
		fresh := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			fresh.Elem().Set(v.Elem())
		}
		before := len(l.problems)
		l.decode(node, fresh.Elem(), key)
		if len(l.problems) == before {
			v.Set(fresh)
		}
		return
	}
	if isText(v) {
		l.scalar(node, v, key)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		l.mapping(node, key, func(name string, at, value *yaml.Node) {
			l.field(name, at, value, v, key)
		})
	case reflect.Map:
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		l.mapping(node, key, func(name string, _, value *yaml.Node) {
			element := reflect.New(v.Type().Elem()).Elem()
			l.decode(value, element, join(key, name))
			v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), element)
		})
	case reflect.Slice:
		l.list(node, v, key)
	default:
		l.scalar(node, v, key)
	}
}

// mapping calls each for the entries of node.
func (l *loader) mapping(node *yaml.Node, key string, each func(name string, at, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		l.report(key, node.Line, "is "+kind(node)+", not a group of keys",
			"write `key: value` lines below it, indented")
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		at, value := node.Content[i], node.Content[i+1]
		if at.Kind != yaml.ScalarNode {
			l.report(key, at.Line, "has a key that is "+kind(at), "write a plain word as key")
			continue
		}
		if line, again := seen[at.Value]; again {
			l.report(join(key, at.Value), at.Line, fmt.Sprintf("stands twice, first in line %d", line),
				"remove one of them")
			continue
		}
		seen[at.Value] = at.Line
		each(at.Value, at, value)
	}
}

// field decodes into the field of a struct that a key names.
func (l *loader) field(name string, at, value *yaml.Node, into reflect.Value, key string) {
	var known []string
	for _, f := range flat(into) {
		if f.name == name {
			l.lines[join(key, name)] = at.Line
			l.decode(value, f.value, join(key, name))
			return
		}
		known = append(known, f.name)
	}
	if older, ok := reflect.TypeAssert[Older](into.Addr()); ok {
		if became := older.Older()[name]; became != "" {
			l.report(join(key, name), at.Line, "is a key of older versions: "+became, "remove it")
			return
		}
	}
	l.report(join(key, name), at.Line, "unknown key", suggest(name, known))
}

// list decodes a sequence, or one value with commas for a list of plain values.
func (l *loader) list(node *yaml.Node, v reflect.Value, key string) {
	content := node.Content
	if node.Kind == yaml.ScalarNode && isPlain(v.Type().Elem()) {
		text, ok := l.value(node, key)
		if !ok {
			return
		}
		content = nil
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				// Variables have been put in: what they hold is not looked through again.
				part = strings.ReplaceAll(part, "${", "$${")
				content = append(content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: part, Line: node.Line})
			}
		}
	} else if node.Kind != yaml.SequenceNode {
		l.report(key, node.Line, "is "+kind(node)+", not a list",
			"write each entry on a line of its own, behind a dash")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(content), len(content))
	for i, entry := range content {
		l.decode(entry, out.Index(i), key+"["+strconv.Itoa(i)+"]")
	}
	v.Set(out)
}

// scalar decodes a plain value.
func (l *loader) scalar(node *yaml.Node, v reflect.Value, key string) {
	if node.Kind != yaml.ScalarNode {
		l.report(key, node.Line, "is "+kind(node)+", not a plain value", "write one value behind the colon")
		return
	}
	text, ok := l.value(node, key)
	if !ok {
		return
	}
	if message, remedy := l.set(v, text); message != "" {
		l.report(key, node.Line, message, remedy)
	}
}

// set parses text into v; a message says why it cannot.
func (l *loader) set(v reflect.Value, text string) (message, remedy string) {
	switch target := v.Addr().Interface().(type) {
	case *Secret:
		secret, err := readSecret(text, l.dir)
		if err != nil {
			return err.Error(), "write the path of a readable file behind file:"
		}
		*target = secret
		return "", ""
	case encoding.TextUnmarshaler:
		if err := target.UnmarshalText([]byte(text)); err != nil {
			if e, ok := errors.AsType[*formError](err); ok {
				return e.message, e.remedy
			}
			return err.Error(), "correct the value"
		}
		return "", ""
	}
	bits := 0
	if v.CanInt() || v.CanUint() || v.CanFloat() {
		bits = v.Type().Bits()
	}
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Sprintf("%q is neither true nor false", text), "write true or false"
		}
		v.SetBool(text == "true")
	case v.CanInt():
		n, err := strconv.ParseInt(text, 0, bits)
		if err != nil {
			return fmt.Sprintf("%q is not a whole number of %d bits", text, bits), "write a whole number"
		}
		v.SetInt(n)
	case v.CanUint():
		n, err := strconv.ParseUint(text, 0, bits)
		if err != nil {
			return fmt.Sprintf("%q is not a whole number from 0 of %d bits", text, bits),
				"write a whole number, not below 0"
		}
		v.SetUint(n)
	case v.CanFloat():
		f, err := strconv.ParseFloat(text, bits)
		if err != nil || f-f != 0 { // Infinity and NaN are no settings.
			return fmt.Sprintf("%q is not a number", text), "write a number, such as 0.5"
		}
		v.SetFloat(f)
	default:
		panic(fmt.Sprintf("config: a field of type %s cannot be configured", v.Type()))
	}
	return "", ""
}

// kind names what stands in the file, for messages.
func kind(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a group of keys"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "a plain value"
	}
}

func isText(v reflect.Value) bool {
	_, text := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr())
	return text || v.Type() == reflect.TypeFor[Secret]()
}

func isPlain(t reflect.Type) bool {
	return isText(reflect.New(t).Elem()) || !slices.Contains([]reflect.Kind{
		reflect.Struct, reflect.Map, reflect.Slice, reflect.Pointer,
	}, t.Kind())
}
