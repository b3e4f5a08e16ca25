package walk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Package is one package whose conditions are walked.
type Package struct {
	// Path is the import path below the module's, such as services/writer/internal/lane.
	Path string
	// Files are the base names that are mutated; the rest of the package stays as it is. Empty: all of them.
	Files []string
}

// built is a package with all its mutants in one test binary.
type built struct {
	Package
	dir, binary string
	mutants     []Mutant
	// tests are its top-level tests with their time, the quickest first.
	tests []timed
	// reach maps a mutant's condition to the tests that come by it.
	reach map[int][]timed
}

// timed is a test and how long it took.
type timed struct {
	name string
	took time.Duration
}

// build compiles the mutated package. dir takes what that needs.
func build(ctx context.Context, p Package, dir string) (*built, error) {
	b := &built{Package: p, reach: map[int][]timed{}}
	listed, err := run(ctx, "", nil, "go", "list", "-json=Dir,Name,GoFiles", modulePath+p.Path)
	if err != nil {
		return nil, err
	}
	var about struct {
		Dir, Name string
		GoFiles   []string
	}
	if err := json.Unmarshal([]byte(listed), &about); err != nil {
		return nil, fmt.Errorf("read what go list says of %s: %w", p.Path, err)
	}
	b.dir = about.Dir
	for _, f := range p.Files {
		if !slices.Contains(about.GoFiles, f) {
			return nil, fmt.Errorf("%s has no file %s: change the list of what is walked", p.Path, f)
		}
	}
	replace := map[string]string{}
	put := func(name string, text []byte) error {
		to := filepath.Join(dir, strings.ReplaceAll(p.Path, "/", "-")+"-"+name)
		replace[filepath.Join(about.Dir, name)] = to
		return os.WriteFile(to, text, 0o600)
	}
	for _, name := range about.GoFiles {
		if len(p.Files) > 0 && !slices.Contains(p.Files, name) {
			continue
		}
		source, err := os.ReadFile(filepath.Join(about.Dir, name))
		if err != nil {
			return nil, err
		}
		text, mutants, err := rewrite(name, source, len(b.mutants))
		if err != nil {
			return nil, err
		}
		b.mutants = append(b.mutants, mutants...)
		if err := put(name, text); err != nil {
			return nil, err
		}
	}
	if err := put(helperFile, helper(about.Name, 0, len(b.mutants))); err != nil {
		return nil, err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, err
	}
	list := filepath.Join(dir, strings.ReplaceAll(p.Path, "/", "-")+"-overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return nil, err
	}
	b.binary = filepath.Join(dir, strings.ReplaceAll(p.Path, "/", "-")+".test")
	_, err = run(ctx, "", []string{"CGO_ENABLED=0"}, "go", "test", "-vet=off", "-trimpath", "-overlay", list, "-c", "-o", b.binary, modulePath+p.Path)
	if err != nil {
		return nil, fmt.Errorf("build %s with its conditions wrapped: %w", p.Path, err)
	}
	return b, nil
}

// Name is the package's in tables.
func (p Package) Name() string {
	return strings.ReplaceAll(strings.TrimPrefix(p.Path, "services/"), "/internal", "")
}

// explore runs each test alone, unmutated, and notes which conditions it comes by.
func (b *built) explore(ctx context.Context, skip func(test string) bool) error {
	listed, err := run(ctx, b.dir, nil, b.binary, "-test.list", "^(Test|Example|Fuzz)")
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(listed) {
		if skip(name) {
			continue
		}
		reached := filepath.Join(filepath.Dir(b.binary), path.Base(b.Path)+"-"+name+".reached")
		start := time.Now()
		if _, err := run(ctx, b.dir, []string{reachedVariable + "=" + reached}, b.binary, "-test.run", "^"+name+"$"); err != nil {
			return fmt.Errorf("with nothing mutated, %s of %s fails: %w", name, b.Path, err)
		}
		t := timed{name, time.Since(start)}
		b.tests = append(b.tests, t)
		text, err := os.ReadFile(reached)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for line := range strings.FieldsSeq(string(text)) {
			id, err := strconv.Atoi(line)
			if err != nil {
				return fmt.Errorf("read what %s reaches: %w", name, err)
			}
			b.reach[id] = append(b.reach[id], t)
		}
	}
	for _, tests := range b.reach {
		slices.SortFunc(tests, func(a, b timed) int { return int(a.took - b.took) })
	}
	return nil
}

// run runs a command in a folder and returns what it prints.
func run(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	// A test whose own processes hold the pipe open is not waited for.
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w\n%s%s", filepath.Base(name), err, tail(out.String()), tail(errs.String()))
	}
	return out.String(), nil
}

// tail is the end of a text, enough of it to see what went wrong.
func tail(text string) string {
	const most = 4000
	if len(text) > most {
		text = "…" + text[len(text)-most:]
	}
	return text
}
