package main

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/sandbox"
	"github.com/waybill-data/waybill/sandbox/sandboxtest"
)

// asProgram has this test's program be the sandbox.
const asProgram = "WAYBILL_TEST_AS_SANDBOX"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// The command lines of docs/sandbox.md do what the page says, in a shell and in their order. No pipeline runs beside
// them, so verify finds every record missing.
func TestCommandsOfThePage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/sandbox.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)from a shell:.*?```sh\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("the page has no commands")
	}
	config, err := os.ReadFile("../../../examples/delivery-v6/ingest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := sandboxtest.Start(t, sandbox.Config{Dir: filepath.Join(dir, ".waybill")})
	if err := os.WriteFile(filepath.Join(dir, "ingest.yaml"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(dir, "bin", "sandbox")); err != nil {
		t.Fatal(err)
	}
	shown := 0
	for line := range strings.SplitSeq(string(block[1]), "\n") {
		switch {
		case strings.HasPrefix(line, "curl -s localhost:19059"):
			path, _, _ := strings.Cut(strings.TrimPrefix(line, "curl -s localhost:19059"), " ")
			response, err := http.Get(s.Endpoints().Admin + path)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", line, response.Status)
			}
			_ = response.Body.Close()
		case line != "" && line[0] != '#':
			command := exec.CommandContext(t.Context(), "sh", "-c", line)
			command.Dir, command.Env = dir, append(os.Environ(), asProgram+"=1")
			out, err := command.CombinedOutput()
			missing := strings.Contains(line, "verify") && strings.Contains(string(out), "NOT verified: events 1000")
			if err != nil && !missing {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
			shown++
		}
	}
	if shown < 10 {
		t.Errorf("the page shows %d commands: this looks in the wrong place", shown)
	}
	http.DefaultClient.CloseIdleConnections()
}
