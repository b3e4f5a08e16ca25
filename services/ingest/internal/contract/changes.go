package contract

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/waybill-data/waybill/pkg/config"
)

// Says tells what an entry says otherwise than an earlier one, key by key of the configuration file: a key within
// another one has the name of that before it, such as freshness.goal or columns.total.type.
func Says(old, e *Entry) (what []string) {
	was, is := map[string]string{}, map[string]string{}
	says(was, "", reflect.ValueOf(old.Config))
	says(is, "", reflect.ValueOf(e.Config))
	all := maps.Clone(was)
	maps.Copy(all, is)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if was[key] != is[key] {
			what = append(what, fmt.Sprintf("%s is %s in place of %s", key, cmp.Or(is[key], "not set"),
				cmp.Or(was[key], "nothing")))
		}
	}
	return what
}

// says notes a value as the configuration file has it, by its key. What is not set is not noted.
func says(out map[string]string, key string, v reflect.Value) {
	switch {
	case v.IsZero():
	case v.Type() == reflect.TypeFor[config.Duration]():
		out[key] = config.Spoken(time.Duration(v.Int()))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" && f.IsExported() {
				says(out, inside(key, name), v.Field(i))
			}
		}
	case v.Kind() == reflect.Map:
		for _, name := range v.MapKeys() {
			says(out, inside(key, name.String()), v.MapIndex(name))
		}
	default:
		out[key] = quoted(v.Interface())
	}
}

func inside(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

// quoted is a text, a number or a list of them as JSON, with what HTML would escape as it is.
func quoted(v any) string {
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(text.String())
}
