// Command upgrade replaces writers and ingests by those of another version and back, under load, and compares every
// offset.
package main

import (
	"context"
	"errors"
	"os"

	"github.com/waybill-data/waybill/e2e/fleet"
	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/pkg/cli"
)

type command struct {
	Bin       string  `default:"bin" type:"path" help:"Folder of this version's sandbox, writer and ingest."`
	Source    string  `default:"." type:"path" help:"This version's source."`
	OldBin    string  `required:"" type:"path" help:"Folder of the other version's writer and ingest."`
	OldSource string  `required:"" type:"path" help:"The other version's source."`
	Ref       string  `default:"the other version" help:"What to call the other version."`
	Rate      float64 `default:"1600" help:"Events a second, over 32 lanes."`
	Keep      bool    `help:"Keep data and logs also when all is well."`
}

func main() {
	const description = "Two versions side by side, both ways, under load. `make test-upgrade` calls it."
	os.Exit(cli.Main("upgrade", description, &command{}))
}

var errBroken = errors.New("an event is lost or doubled: see above")

// Run does it.
func (c *command) Run(ctx context.Context, std cli.Streams) (err error) {
	if err := fleet.CheckRate(c.Rate); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "waybill-upgrade-")
	if err != nil {
		return err
	}
	defer func() { err = stack.Tidy(ctx, dir, c.Keep, err, std.Err) }()
	report, err := fleet.Upgrade(ctx, fleet.UpgradeConfig{
		Dir: dir, Bin: c.Bin, OldBin: c.OldBin, OldSource: c.OldSource, Source: c.Source,
		Rate: c.Rate, Out: std.Out,
	})
	if err != nil {
		return err
	}
	if err := report.PrintUpgrade(std.Out, c.Ref); err != nil {
		return err
	}
	if !report.Same() {
		return errBroken
	}
	return nil
}
