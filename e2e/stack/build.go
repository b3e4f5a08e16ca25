package stack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Build builds sandbox, writer and ingest into a folder with the compiler's profile, as `make build` does, and the
// services with the race detector instead if that is asked for. The sandbox is what they are tested with and has the
// detector in its own tests: with it here a fifth of all processor time would be the sandbox's.
func Build(dir string, race bool) error {
	//nolint:noctx // it is what a run of tests begins with
	work, err := exec.Command("go", "env", "GOWORK").Output()
	if err != nil {
		return fmt.Errorf("find the workspace: %w", err)
	}
	profile := filepath.Join(filepath.Dir(strings.TrimSpace(string(work))), "services", "services.pgo")
	plain := []string{"-trimpath", "-pgo=" + profile}
	services := []string{
		"github.com/waybill-data/waybill/services/ingest/cmd/ingest",
		"github.com/waybill-data/waybill/services/writer/cmd/writer",
	}
	sandbox := build(dir, "CGO_ENABLED=0", append(plain, "github.com/waybill-data/waybill/sandbox/cmd/sandbox"))
	if race {
		return errors.Join(sandbox, build(dir, "CGO_ENABLED=1", append([]string{"-race"}, services...)))
	}
	return errors.Join(sandbox, build(dir, "CGO_ENABLED=0", append(plain, services...)))
}

// build runs `go build`, with flags before packages.
func build(dir, env string, args []string) error {
	//nolint:noctx // as above
	command := exec.Command("go", append([]string{"build", "-o", dir + string(filepath.Separator)}, args...)...)
	command.Env = append(os.Environ(), env)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(command.Args[1:], " "), err, out)
	}
	return nil
}
