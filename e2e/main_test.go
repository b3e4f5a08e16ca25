package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

// bin holds the binaries under test, built once.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

// together has one test more beside the others than there are processors, unless -parallel says how many: these tests
// wait for processes, not for their own work. Two at a time left two processors idle for 42 % of the time.
func together() error {
	requested := false
	flag.Visit(func(f *flag.Flag) { requested = requested || f.Name == "test.parallel" })
	if requested {
		return nil
	}
	return flag.Set("test.parallel", strconv.Itoa(runtime.GOMAXPROCS(0)+1))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "waybill-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin = dir
	if err := together(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	build := func(env, flags []string, programs ...string) error {
		command := exec.Command("go",
			slices.Concat([]string{"build"}, flags, []string{"-o", dir + string(filepath.Separator)}, programs)...)
		command.Env = append(os.Environ(), env...)
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("build %v: %w\n%s", programs, err, out)
		}
		return nil
	}
	// The sandbox is what they are tested with, built as `make build` does. Its own tests have the race detector; with
	// it here a fifth of all processor time would be the sandbox's.
	plain := []string{"-trimpath", "-pgo=" + filepath.Join("..", "services", "services.pgo")}
	if err := errors.Join(
		build(nil, buildFlags, "github.com/waybill-data/waybill/services/ingest/cmd/ingest",
			"github.com/waybill-data/waybill/services/writer/cmd/writer"),
		build([]string{"CGO_ENABLED=0"}, plain, "github.com/waybill-data/waybill/sandbox/cmd/sandbox"),
	); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
			goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}
