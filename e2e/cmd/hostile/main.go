// Command hostile sends clients that mean no good to a writer, and measures what becomes of it and of honest lanes.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/waybill-data/waybill/e2e/hostile"
	"github.com/waybill-data/waybill/pkg/cli"
)

type command struct {
	Each time.Duration `default:"5s" help:"How long each attack lasts (${default})."`
	Rate float64       `default:"1000" help:"Events a second over the honest lanes (${default})."`
	Bin  string        `default:"bin" help:"Folder of the binaries sandbox, writer and ingest." type:"path"`
	Keep bool          `help:"Keep data and logs also when all is well."`
}

func main() {
	const description = "Clients that mean no good, at a writer with honest lanes. `make hostile` calls it."
	os.Exit(cli.Main("hostile", description, &command{}))
}

// Run does it.
func (c *command) Run(ctx context.Context, std cli.Streams) (err error) {
	if c.Each < time.Second || c.Each > time.Minute || c.Rate < 100 || c.Rate > 20_000 {
		return errors.New("--each must be within 1s and 1m, --rate within 100 and 20000")
	}
	dir, err := os.MkdirTemp("", "waybill-hostile-")
	if err != nil {
		return err
	}
	defer func() {
		if err == nil && !c.Keep || ctx.Err() != nil {
			err = errors.Join(err, os.RemoveAll(dir))
			return
		}
		fmt.Fprintf(std.Err, "\ndata and logs are in %s\n", filepath.Join(dir, "logs"))
	}()
	report, err := hostile.Run(ctx, hostile.Config{Dir: dir, Bin: c.Bin, Each: c.Each, Rate: c.Rate, Out: std.Out})
	if err != nil {
		return err
	}
	fmt.Fprintln(std.Out, &report)
	if !report.OK() {
		return fmt.Errorf("the goals are an answering process, less than %d MB, and less than %.0f times the p99",
			hostile.MostBytes>>20, hostile.MostTimes)
	}
	return nil
}
