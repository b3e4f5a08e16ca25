package walk

import (
	"bytes"
	"cmp"
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
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
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
	// flags are those of every run of the tests.
	flags   []string
	mutants []Mutant
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

// sources are a package's folder and name, and the files that are mutated.
type sources struct {
	Dir, Name string
	GoFiles   []string
}

func (p Package) sources(ctx context.Context) (s sources, err error) {
	listed, err := run(ctx, "", nil, "go", "list", "-json=Dir,Name,GoFiles", modulePath+p.Path)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(listed), &s); err != nil {
		return s, fmt.Errorf("read what go list says of %s: %w", p.Path, err)
	}
	for _, f := range p.Files {
		if !slices.Contains(s.GoFiles, f) {
			return s, fmt.Errorf("%s has no file %s: change the list of what is walked", p.Path, f)
		}
	}
	if len(p.Files) > 0 {
		s.GoFiles = slices.DeleteFunc(s.GoFiles, func(f string) bool { return !slices.Contains(p.Files, f) })
	}
	return s, nil
}

// build compiles the mutated package. dir takes what that needs.
func build(ctx context.Context, p Package, dir string) (*built, error) {
	b := &built{Package: p, reach: map[int][]timed{}}
	sources, err := p.sources(ctx)
	if err != nil {
		return nil, err
	}
	b.dir = sources.Dir
	replace := map[string]string{}
	put := func(name string, text []byte) error {
		to := filepath.Join(dir, strings.ReplaceAll(p.Path, "/", "-")+"-"+name)
		replace[filepath.Join(sources.Dir, name)] = to
		return os.WriteFile(to, text, 0o600)
	}
	for _, name := range sources.GoFiles {
		source, err := os.ReadFile(filepath.Join(sources.Dir, name))
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
	if err := put(helperFile, helper(sources.Name, 0, len(b.mutants))); err != nil {
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
	_, err = run(ctx, "", []string{"CGO_ENABLED=0"}, "go", "test", "-vet=off", "-trimpath", "-overlay", list, "-c",
		"-o", b.binary, modulePath+p.Path)
	if err != nil {
		return nil, fmt.Errorf("build %s with its conditions wrapped: %w", p.Path, err)
	}
	b.flags, err = flags(ctx, p.Path)
	return b, err
}

// rapidFlags keep a law that fails from leaving its case behind in the tree, where it would be tried before all others
// from then on, and from looking for a smaller one: that it fails is all that counts.
var rapidFlags = []string{"-rapid.nofailfile", "-rapid.shrinktime=1ns"}

// flags are those that the tests of a package run with. Tests without laws do not know rapid's.
func flags(ctx context.Context, path string) ([]string, error) {
	listed, err := run(ctx, "", nil, "go", "list", "-test", "-deps", modulePath+path)
	if err != nil {
		return nil, err
	}
	if slices.Contains(strings.Fields(listed), "pgregory.net/rapid") {
		return rapidFlags, nil
	}
	return nil, nil
}

// Name is the package's in tables.
func (p Package) Name() string {
	return strings.ReplaceAll(strings.TrimPrefix(p.Path, "services/"), "/internal", "")
}

// explore runs each test alone, unmutated, so many at a time, and notes which conditions it comes by. shaky hears of a
// test that fails once and passes then: what it said of a mutant would prove nothing, so it is left out.
func (b *built) explore(ctx context.Context, parallel int, skip func(test string) bool, shaky func(test string)) error {
	listed, err := run(ctx, b.dir, nil, b.binary, "-test.list", "^(Test|Example|Fuzz)")
	if err != nil {
		return err
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, parallel))
	for name := range strings.FieldsSeq(listed) {
		if skip(name) {
			continue
		}
		group.Go(func() error {
			t, reached, err := b.alone(ctx, name)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				return err
			case t.took == 0:
				shaky(name)
				return nil
			}
			b.tests = append(b.tests, t)
			for _, id := range reached {
				b.reach[id] = append(b.reach[id], t)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, tests := range b.reach {
		slices.SortFunc(tests, func(a, b timed) int {
			return cmp.Or(cmp.Compare(a.took, b.took), strings.Compare(a.name, b.name))
		})
	}
	return nil
}

// alone runs one test and says which conditions it reaches. One that fails and passes then has taken no time.
func (b *built) alone(ctx context.Context, name string) (timed, []int, error) {
	note := filepath.Join(filepath.Dir(b.binary), path.Base(b.Path)+"-"+name+".reached")
	try := func() error {
		_, err := run(ctx, b.dir, []string{reachedVariable + "=" + note}, b.binary,
			append(slices.Clone(b.flags), "-test.run", "^"+name+"$")...)
		return err
	}
	start := time.Now()
	if err := try(); err != nil {
		if try() != nil {
			return timed{}, nil, fmt.Errorf("with nothing mutated, %s of %s fails: %w", name, b.Path, err)
		}
		return timed{name: name}, nil, nil
	}
	t := timed{name, time.Since(start)}
	text, err := os.ReadFile(note)
	if errors.Is(err, os.ErrNotExist) {
		return t, nil, nil
	}
	if err != nil {
		return t, nil, err
	}
	var reached []int
	for line := range strings.FieldsSeq(string(text)) {
		id, err := strconv.Atoi(line)
		if err != nil {
			return t, nil, fmt.Errorf("read what %s reaches: %w", name, err)
		}
		reached = append(reached, id)
	}
	return t, reached, nil
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
		return out.String(), fmt.Errorf("%s: %w\n%s%s", filepath.Base(name), err, tail(out.String()),
			tail(errs.String()))
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
