package stack

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

// Build builds sandbox, writer and ingest into a folder, with flags of `go build`.
func Build(dir string, flags ...string) error {
	args := append([]string{"build"}, flags...)
	args = append(args, "-o", dir+string(filepath.Separator),
		"github.com/waybill-data/waybill/services/ingest/cmd/ingest",
		"github.com/waybill-data/waybill/services/writer/cmd/writer",
		"github.com/waybill-data/waybill/sandbox/cmd/sandbox")
	//nolint:noctx // it is what a run of tests begins with
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("build the services: %w\n%s", err, out)
	}
	return nil
}
