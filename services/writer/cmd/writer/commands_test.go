package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/pkg/cli/clitest"
)

func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestCommandLine(t *testing.T) {
	nobody := filepath.Join(t.TempDir(), "writer.yaml")
	text := "bigquery: {project: test-project, dataset: d, insecure: true, endpoint: {grpc: 127.0.0.1:1, rest: " +
		"http://127.0.0.1:1}}\n" +
		"admin: {listen: 127.0.0.1:1}\n"
	if err := os.WriteFile(nobody, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"nothing", nil, 0, "Usage: writer"},
		{"help", []string{"serve", "--help"}, 0, "writer.yaml"},
		{"typing error", []string{"srve"}, 2, "srve"},
		{"version", []string{"version"}, 0, "writer "},
		{"no file", []string{"serve", "-c", "none.yaml"}, 1, "there is no such file"},
		{"nobody at home", []string{"health", "-c", nobody}, 1, "nobody responds"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, out, errs := command(t, test.args...)
			if code != test.code || !strings.Contains(out+errs, test.want) {
				t.Errorf("exit status %d, want %d, and %q in:\n%s%s", code, test.code, test.want, out, errs)
			}
		})
	}
}

// Each command says in its help which exit statuses it has, and what for, and all but serve, which runs on, can print
// JSON.
func TestCommandsAreForScripts(t *testing.T) { clitest.ForScripts(t, &commands{}, 5) }

// check fails, with remedies, when BigQuery does not respond.
func TestCheckFails(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for two time-outs")
	}
	path := filepath.Join(t.TempDir(), "writer.yaml")
	text := "bigquery: {project: test-project, dataset: d, insecure: true, endpoint: {grpc: 127.0.0.1:1, rest: " +
		"http://127.0.0.1:1}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := command(t, "check", "-c", path)
	if code != 1 || !strings.Contains(out, "dataset test-project.d") ||
		!strings.Contains(out, "bigquery.endpoint.rest") ||
		!strings.Contains(out, "bigquery.endpoint.grpc") {
		t.Errorf("exit status %d:\n%s%s", code, out, errs)
	}
}
