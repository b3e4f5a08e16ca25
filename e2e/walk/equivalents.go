package walk

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const equivalentsFile = "e2e/walk/equivalents.txt"

//go:embed equivalents.txt
var equivalentsText string

// equivalents are mutants that no test can tell from the code, by package and key, with the reason.
type equivalents map[string]*equivalent

type equivalent struct {
	reason string
	used   bool
}

// readEquivalents reads lines of the form `package file func condition => change | reason`; # begins a comment.
func readEquivalents() (equivalents, error) {
	list := equivalents{}
	number := 0
	for line := range strings.Lines(equivalentsText) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndex(line, " | ")
		if i < 0 || strings.TrimSpace(line[i+3:]) == "" {
			return nil, fmt.Errorf("%s:%d: an equivalent mutant needs its reason behind \" | \"", equivalentsFile,
				number)
		}
		key := strings.TrimSpace(line[:i])
		if list[key] != nil {
			return nil, fmt.Errorf("%s:%d: %s is there already", equivalentsFile, number, key)
		}
		list[key] = &equivalent{reason: strings.TrimSpace(line[i+3:])}
	}
	return list, nil
}

// reason is why the mutant is equivalent, empty when it is not said to be.
func (e equivalents) reason(p Package, m Mutant) string {
	found := e[p.Name()+" "+m.Key()]
	if found == nil {
		return ""
	}
	found.used = true
	return found.reason
}

// unused lists the entries that name no mutant.
func (e equivalents) unused() []string {
	var keys []string
	for key, entry := range e {
		if !entry.used {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Stale lists the entries of the list of equivalent mutants that name no mutant of the packages. It builds nothing.
func Stale(ctx context.Context, packages []Package) ([]string, error) {
	known, err := readEquivalents()
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		s, err := p.sources(ctx)
		if err != nil {
			return nil, err
		}
		for _, name := range s.GoFiles {
			source, err := os.ReadFile(filepath.Join(s.Dir, name))
			if err != nil {
				return nil, err
			}
			_, mutants, err := rewrite(name, source, 0)
			if err != nil {
				return nil, err
			}
			for _, m := range mutants {
				known.reason(p, m)
			}
		}
	}
	return known.unused(), nil
}
