package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	module = "github.com/waybill-data/waybill/"
	// variable names the removed protection; see pkg/mutant. Released binaries do not contain this text.
	variable = "WAYBILL_MUTANT"
)

// binaries is what was built.
type binaries struct {
	// dir takes the data of scenarios; real and mutated are folders with sandbox, writer and ingest.
	dir, real, mutated string
	// tests are test binaries with the tag, and folders are where they run, by package.
	tests, folders map[string]string
}

// build compiles the test binaries with the tag and, for the scenarios, the services. The released ones must be there.
func build(ctx context.Context, dir, bin string, services bool) (*binaries, error) {
	b := &binaries{
		dir: dir, real: bin, mutated: filepath.Join(dir, "bin"), tests: map[string]string{},
		folders: map[string]string{},
	}
	if err := os.Mkdir(b.mutated, 0o755); err != nil {
		return nil, err
	}
	var packages []string
	for _, m := range mutants {
		if !slices.Contains(packages, m.script.pkg) {
			packages = append(packages, m.script.pkg)
		}
	}
	for _, p := range packages {
		name := filepath.Join(dir, strings.ReplaceAll(p, "/", "-")+".test")
		if _, err := goTool(ctx, "test", "-trimpath", "-tags", "mutants", "-c", "-o", name, module+p); err != nil {
			return nil, err
		}
		folder, err := goTool(ctx, "list", "-f", "{{.Dir}}", module+p)
		if err != nil {
			return nil, err
		}
		b.tests[p], b.folders[p] = name, strings.TrimSpace(folder)
	}
	if !services {
		return b, nil
	}
	for _, name := range []string{"ingest", "writer"} {
		text, err := os.ReadFile(filepath.Join(bin, name))
		if err != nil {
			return nil, fmt.Errorf("the released build: %w; `make build` makes it", err)
		}
		if bytes.Contains(text, []byte(variable)) {
			return nil, fmt.Errorf("%s has mutants in it: build it without the tag", filepath.Join(bin, name))
		}
	}
	_, err := goTool(ctx, "build", "-trimpath", "-ldflags", "-s -w", "-tags", "mutants", "-o",
		b.mutated+string(filepath.Separator), module+"services/ingest/cmd/ingest", module+"services/writer/cmd/writer")
	if err != nil {
		return nil, err
	}
	return b, os.Symlink(filepath.Join(bin, "sandbox"), filepath.Join(b.mutated, "sandbox"))
}

// goTool runs the go command without cgo, as releases are built.
func goTool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s%s", strings.Join(args, " "), err, text, stderr.Bytes())
	}
	return string(text), nil
}

// scriptLimit bounds one script in real time; they take milliseconds.
const scriptLimit = 30 * time.Second

// play runs one test of a mutant, or of none. It returns the output, whether the test passed, and how long the process
// took.
func (b *binaries) play(ctx context.Context, s script,
	mutant string,
) (output string, passed bool, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, scriptLimit)
	defer cancel()
	parts := strings.Split(s.test, "/")
	for i := range parts {
		parts[i] = "^" + strings.ReplaceAll(parts[i], ".", `\.`) + "$"
	}
	cmd := exec.CommandContext(ctx, b.tests[s.pkg], "-test.run", strings.Join(parts, "/"), "-test.v")
	cmd.Dir = b.folders[s.pkg]
	cmd.Env = append(os.Environ(), variable+"="+mutant)
	start := time.Now()
	text, err := cmd.CombinedOutput()
	took = time.Since(start)
	output = string(text)
	switch {
	case ctx.Err() != nil:
		return output, false, took, fmt.Errorf("%s of %s did not end within %v", s.test, s.pkg, scriptLimit)
	case err == nil && strings.Contains(output, "--- PASS: "+s.test+" "):
		return output, true, took, nil
	case err != nil && strings.Contains(output, "--- FAIL: "+s.test+" "):
		return output, false, took, nil
	}
	return output, false, took, fmt.Errorf("%s of %s was not run:\n%s", s.test, s.pkg, output)
}

// controlScripts runs the scripts with nothing removed.
func (b *binaries) controlScripts(ctx context.Context, out io.Writer, chosen []mutant) error {
	var total time.Duration
	for _, m := range chosen {
		output, passed, took, err := b.play(ctx, m.script, "")
		if err != nil {
			return fmt.Errorf("with nothing removed: %w", err)
		}
		if !passed {
			return fmt.Errorf("with nothing removed, %s fails:\n%s", m.script.test, output)
		}
		total += took
	}
	fmt.Fprintf(out, "  control: with nothing removed the scripts pass: %d (%d ms)\n", len(chosen),
		total.Milliseconds())
	return nil
}

// killByScript names the test that fails without the protection.
func (b *binaries) killByScript(ctx context.Context, m mutant) (string, time.Duration, error) {
	_, passed, took, err := b.play(ctx, m.script, m.name)
	if err != nil || passed {
		return "", took, err
	}
	parts := strings.Split(m.script.pkg, "/") // services/writer/internal/lane
	return parts[1] + "/" + parts[3] + " " + m.script.test, took, nil
}
