package e2e

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/waybill-data/waybill/e2e/stack"
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
	if err := stack.Build(dir, raced); err != nil {
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
