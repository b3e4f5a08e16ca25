package config

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Place is where a struct of a configuration stands, for problems that are found once it is loaded. The zero value is a
// configuration that came from elsewhere.
type Place struct {
	file, key string
	lines     map[string]int
}

// Placed is implemented by the structs of a configuration that want to know where they stand. It gets that before
// Check; what a map holds is not.
type Placed interface {
	SetPlace(p Place)
}

// File is the configuration file; empty when the configuration came from elsewhere.
func (p Place) File() string { return p.file }

// Key is the full key of the struct; empty when it is the file as a whole, or came from elsewhere.
func (p Place) Key() string { return p.key }

// Problem is a problem of the struct at a key relative to it, with file and line.
func (p Place) Problem(key, message, remedy string) Problem {
	key = join(p.key, key)
	line := nearest(p.lines, key)
	if line == 0 {
		line = p.lines[p.key] // a file that is one entry: its first line
	}
	return Problem{Key: key, File: p.file, Line: line, Message: message, Remedy: remedy}
}

// LoadEntries reads a file that is a list of entries, or one entry, each over the zero value. The error is Problems,
// sorted by line; what could be read has been read.
func LoadEntries[T any](path string) ([]T, error) {
	data, err := read(path)
	if err != nil {
		return nil, Problems{{File: path, Message: err.Error(), Remedy: "name a file that can be read"}}
	}
	l := &loader{file: path, dir: filepath.Dir(path), lookup: os.LookupEnv, lines: map[string]int{}, left: maxNodes}
	var entries []T
	switch root := l.parse(data); {
	case root == nil && !l.unreadable:
		l.report("", 0, "the file holds nothing", "write an entry, or a list of them, or remove the file")
	case root == nil:
	case root.Kind == yaml.SequenceNode:
		into := reflect.ValueOf(&entries).Elem()
		l.decode(root, into, "")
		l.check(into, "")
	default:
		entries = make([]T, 1)
		into := reflect.ValueOf(entries).Index(0)
		l.decode(root, into, "")
		l.check(into, "")
	}
	return entries, l.problems.sorted()
}

// Merge joins what several steps found, each problem once and by line: a later check may find again what an earlier one
// has found. An error that is no Problems is a problem of the file.
func Merge(file string, errs ...error) error {
	var all Problems
	seen := map[string]bool{}
	for _, err := range errs {
		if err == nil {
			continue
		}
		some, ok := err.(Problems) //nolint:errorlint // what Load returns is not wrapped
		if !ok {
			some = Problems{{Message: err.Error()}}
		}
		for _, p := range some {
			if p.File == "" {
				p.File = file
			}
			if id := fmt.Sprintf("%q %q %q", p.File, p.Key, p.Message); !seen[id] {
				seen[id] = true
				all = append(all, p)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	order := map[string]int{} // files in the order in which they were read
	for _, p := range all {
		if _, known := order[p.File]; !known {
			order[p.File] = len(order)
		}
	}
	slices.SortStableFunc(all, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), byLine(a, b))
	})
	return all
}
