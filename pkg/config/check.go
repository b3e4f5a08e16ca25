package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// check asks every Checker at v and below. v is addressable.
func (l *loader) check(v reflect.Value, key string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			l.check(v.Elem(), key)
		}
	case reflect.Struct:
		if placed, ok := reflect.TypeAssert[Placed](v.Addr()); ok {
			placed.SetPlace(Place{l.file, key, l.lines})
		}
		if checker, ok := reflect.TypeAssert[Checker](v.Addr()); ok {
			// What failed to be read holds its default, which is not what the file says: no second problem about it.
			read := slices.Clone(l.problems)
			checker.Check(func(sub, message, remedy string) {
				if at := join(key, sub); !read.about(at) {
					l.report(at, l.line(at), message, remedy)
				}
			})
		}
		for _, f := range fields(v) {
			l.check(f.value, join(key, f.name))
		}
	case reflect.Slice:
		for i := range v.Len() {
			l.check(v.Index(i), fmt.Sprintf("%s[%d]", key, i))
		}
	case reflect.Map:
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, name := range names {
			value := reflect.New(v.Type().Elem()).Elem() // what a map holds has no address of its own
			value.Set(v.MapIndex(name))
			l.check(value, join(key, name.String()))
		}
	default: // plain values have nothing to say
	}
}

// about says whether there is a problem with key, or with what it lies in or consists of.
func (p Problems) about(key string) bool {
	return slices.ContainsFunc(p, func(problem Problem) bool {
		return problem.Key == key || within(key, problem.Key) || within(problem.Key, key)
	})
}

// within says whether key lies in outer: kafka.brokers[1] in kafka.brokers and in kafka. The file as a whole does not
// count.
func within(key, outer string) bool {
	return outer != "" && len(key) > len(outer) && strings.HasPrefix(key, outer) &&
		strings.ContainsRune(".[", rune(key[len(outer)]))
}

// line is where key stands, or the nearest key around it.
func (l *loader) line(key string) int { return nearest(l.lines, key) }

func nearest(lines map[string]int, key string) int {
	for key != "" {
		if line, ok := lines[key]; ok {
			return line
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return 0
}
