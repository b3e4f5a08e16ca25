package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/pkg/cli/clitest"
)

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	broken := file("broken.yaml", "kafka: {group: g, gruop: x}\nlog: {level: loud}\n")
	away := file("away.yaml",
		"kafka: {brokers: '127.0.0.1:1', group: g}\nwriter: {endpoints: '127.0.0.1:1'}\nadmin: {listen: ':1', "+
			"insecure: true}\n")
	for name, tt := range map[string]struct {
		args []string
		code int
		out  []string // on standard output
		err  []string // on standard error
	}{
		"nothing": {code: 0, out: []string{"Usage: ingest <command>", "serve", "check", "health", "version"}},
		"help":    {args: []string{"serve", "--help"}, out: []string{"Usage: ingest serve", "WAYBILL_INGEST_CONFIG"}},
		"version": {args: []string{"version"}, out: []string{"ingest "}},
		"bad flag": {
			args: []string{"serve", "--bad"}, code: 2,
			err: []string{`ingest: unknown flag --bad (see "ingest serve --help")`},
		},
		"bad command": {
			args: []string{"fly"}, code: 2, err: []string{`ingest: unexpected argument fly (see "ingest --help")`},
		},
		"no file": {
			args: []string{"serve", "-c", filepath.Join(dir, "none.yaml")}, code: 1,
			err: []string{"there is no such file"},
		},
		"problems": {
			args: []string{"serve", "-c", broken}, code: 1,
			err: []string{"kafka.brokers", "kafka.gruop", "writer.target", "log.level", "broken.yaml:1"},
		},
		"check fails": {
			args: []string{"check", "-c", away}, code: 1,
			out: []string{"ok    configuration", "FAIL  brokers", "FAIL  writer 127.0.0.1:1", "2 failed"},
		},
		"nobody serves": {
			args: []string{"health", "-c", away}, code: 1, err: []string{"nobody responds", "connection refused"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr strings.Builder
			if code := run(t.Context(), tt.args, &stdout, &stderr); code != tt.code {
				t.Errorf("exit status %d, want %d", code, tt.code)
			}
			for _, want := range tt.out {
				if !strings.Contains(stdout.String(), want) {
					t.Errorf("no %q on standard output", want)
				}
			}
			for _, want := range tt.err {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("no %q on standard error", want)
				}
			}
			if t.Failed() {
				t.Logf("stdout:\n%s\nstderr:\n%s", &stdout, &stderr)
			}
		})
	}
}

// Each command says in its help which exit statuses it has, and what for, and all but serve, which runs on, can print
// JSON.
func TestCommandsAreForScripts(t *testing.T) { clitest.ForScripts(t, &commands{}, 25) }
