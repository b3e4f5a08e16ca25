// Command containers runs docker-compose.yml with several writers, replaces them one by one under load, and compares
// every offset.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/waybill-data/waybill/e2e/fleet"
	"github.com/waybill-data/waybill/pkg/cli"
)

type command struct {
	Compose string `default:"docker compose" help:"The command that is docker compose, with its first arguments."`
	Docker  string `default:"docker" help:"The command of the engine."`
	Writers int    `default:"3" help:"How many writers."`
}

func main() {
	const description = "Containers of writers are updated under load. `make test-images` calls it."
	os.Exit(cli.Main("containers", description, &command{}))
}

var errBroken = errors.New("an event is lost or doubled: see above")

// Run does it.
func (c *command) Run(ctx context.Context, std cli.Streams) error {
	if c.Writers < 1 || c.Writers > 10 {
		return fmt.Errorf("--writers must be between 1 and 10, got %d", c.Writers)
	}
	report, err := fleet.Containers(ctx, fleet.ContainersConfig{
		Compose: strings.Fields(c.Compose), Docker: strings.Fields(c.Docker), Writers: c.Writers, Out: std.Out,
	})
	if err != nil {
		return err
	}
	if missed := report.SilenceMissed(); missed != "" {
		fmt.Fprintf(std.Out, "not met: %s\n", missed)
	}
	if err := report.PrintContainers(std.Out); err != nil {
		return err
	}
	if !report.Verified.OK() || report.Verified.Events == 0 {
		return errBroken
	}
	return nil
}
