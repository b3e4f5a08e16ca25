package config

import (
	"reflect"
	"strings"
)

// field is a field of a struct that can be configured.
type field struct {
	// name is its key; empty for an inlined struct, whose keys stand beside the others.
	name  string
	value reflect.Value
}

// fields are the fields of a struct, named as the YAML library names them.
func fields(v reflect.Value) []field {
	var out []field
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" && options != "inline" {
			name = strings.ToLower(f.Name)
		}
		out = append(out, field{name, v.Field(i)})
	}
	return out
}

// flat is fields with those of inlined structs in their place.
func flat(v reflect.Value) []field {
	var out []field
	for _, f := range fields(v) {
		if f.name == "" {
			out = append(out, flat(f.value)...)
		} else {
			out = append(out, f)
		}
	}
	return out
}

// join is the full key of what stands at key under a name; no name means key itself.
func join(key, name string) string {
	switch {
	case key == "":
		return name
	case name == "":
		return key
	default:
		return key + "." + name
	}
}
