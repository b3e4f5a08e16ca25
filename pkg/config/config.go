// Package config loads the configuration file of a service: strict YAML, so that a typing error is an error and not a
// default.
//
//	c := Defaults()                          // defaults live in one place, in Go
//	if err := config.Load(path, &c); err != nil {
//		return err                       // Problems: every one of them, each with its place and remedy
//	}
//
// # The file
//
// Keys are those of the `yaml` tags, an unknown or repeated one is a problem. A key without a value keeps its default.
// A list of plain values may be written as one value with commas, which is what a variable can hold. Aliases work,
// merge keys (`<<`) do not.
//
// # Variables
//
// In values, not in keys or comments:
//
//	${NAME}           the variable; a problem when it is not set
//	${NAME:-default}  the variable, or the default when it is not set or empty
//	${NAME:?message}  the variable, or a problem with this message when it is not set or empty
//	$${NAME}          the text ${NAME}
//
// # Checks
//
// A struct with a Check method, at any depth, is asked once its values are read. A key that could not be read is not
// asked about again.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 4 << 20

// Checker is implemented by the structs of a configuration that have something to say about their values.
type Checker interface {
	// Check reports what is wrong: the key, relative to the struct ("" for the struct itself), what is wrong with it,
	// and what to do about it.
	Check(report func(key, message, remedy string))
}

// Older is implemented by the structs of a configuration that had more keys in older versions.
type Older interface {
	// Older says for each key that is gone what is so without it.
	Older() map[string]string
}

// Load reads the file into the struct that `into` points to, over the defaults that it holds. The error is Problems,
// sorted by line; what could be read has been read.
func Load(path string, into any) error {
	data, err := read(path)
	if err != nil {
		return Problems{{File: path, Message: err.Error(), Remedy: "say where the configuration is with --config FILE"}}
	}
	return load(path, data, os.LookupEnv, into)
}

// LoadParts is Load for a program that needs some sections of the file alone, named by their keys. The error has what
// is wrong with those and with the file as a whole; whatever else it says, and lacks, is left to those who need it.
func LoadParts(path string, into any, sections ...string) error {
	err := Load(path, into)
	all, ok := errors.AsType[Problems](err)
	if !ok {
		return err
	}
	var of Problems
	for _, p := range all {
		if p.Key == "" || slices.ContainsFunc(sections, func(s string) bool { return p.Key == s || within(p.Key, s) }) {
			of = append(of, p)
		}
	}
	return of.sorted()
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("there is no such file")
	case err != nil:
		return nil, err
	case info.Size() > maxFile:
		return nil, fmt.Errorf("the file has %d bytes, a configuration at most %d", info.Size(), maxFile)
	}
	return os.ReadFile(path)
}

// load is Load with the file's bytes and the environment given.
func load(file string, data []byte, lookup func(string) (string, bool), into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() || target.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("config: cannot load into %T, want a pointer to a struct", into))
	}
	l := &loader{file: file, dir: filepath.Dir(file), lookup: lookup, lines: map[string]int{}, left: maxNodes}
	if root := l.parse(data); root != nil {
		l.decode(root, target.Elem(), "")
	}
	if !l.unreadable {
		l.check(target.Elem(), "")
	}
	return l.problems.sorted()
}

// loader is one call of Load.
type loader struct {
	file   string
	dir    string // where relative files of secrets are
	lookup func(string) (string, bool)
	// lines is where each key stands, for problems found after reading.
	lines    map[string]int
	problems Problems
	// unreadable is set when the file is not YAML: its values cannot be judged.
	unreadable bool
	// left is how many more nodes may be decoded.
	left int
}

// parse returns the top node; nil for an empty or unreadable file.
func (l *loader) parse(data []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	if err == nil {
		if err = decoder.Decode(&second); err == nil {
			l.report("", second.Line, "a second document begins", "keep the file to one document: remove the line ---")
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		l.unreadable = true
		line, message := yamlError(err)
		l.report("", line, message, "write valid YAML: look at indentation, colons and quotes")
		return nil
	}
	if len(document.Content) == 0 {
		return nil
	}
	return document.Content[0]
}

func (l *loader) report(key string, line int, message, remedy string) {
	l.problems = append(l.problems, Problem{Key: key, File: l.file, Line: line, Message: message, Remedy: remedy})
}
