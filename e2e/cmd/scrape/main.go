// Command scrape runs Waybill on the sandbox under load while things go wrong, and keeps what /metrics of each process
// says all along, as Prometheus would get it: tools/promtool/panels evaluates dashboards and alert rules over it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/pkg/cli"
)

type command struct {
	Into  string        `default:"bin/scrapes" help:"Folder for the pages, JOB/INSTANCE/MILLISECONDS.txt; what it held is removed." type:"path"`
	Bin   string        `default:"bin" help:"Folder of the binaries sandbox, writer and ingest." type:"path"`
	Every time.Duration `default:"1s" help:"Time between two scrapes of a process."`
	For   time.Duration `default:"20s" help:"How long the load lasts at least."`
}

func main() {
	const description = "Keep what /metrics says while things go wrong. `make test-alerts` calls it."
	os.Exit(cli.Main("scrape", description, &command{}))
}

// Run does it.
func (c *command) Run(ctx context.Context, std cli.Streams) (err error) {
	if c.Every <= 0 || c.For < 0 {
		return fmt.Errorf("--every must be positive and --for not negative, got %v and %v", c.Every, c.For)
	}
	if err := emptied(c.Into); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "waybill-scrape-")
	if err != nil {
		return err
	}
	s, err := stack.New(stack.Config{
		Dir: dir, Bin: c.Bin, Writers: 2, Ingests: 2, Contracts: contracts, KafkaYAML: stack.Quick,
	})
	if err != nil {
		return err
	}
	defer func() { err = stack.Tidy(ctx, dir, false, errors.Join(err, s.Down(time.Minute)), std.Out) }()
	return c.play(ctx, s, std.Out)
}

// play starts everything, has things go wrong one after the other, and scrapes all the time.
func (c *command) play(ctx context.Context, s *stack.Stack, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	load := newLoad(s)
	// The schema of the parcels is there before their contract is compiled.
	for _, up := range []func(context.Context) error{s.UpSandbox, load.parcel, s.UpServices} {
		if err := up(ctx); err != nil {
			return err
		}
	}
	began := time.Now()
	pages := newScraper(c.Into, s)
	scraped := pages.start(ctx, c.Every)
	produced := load.start(ctx)
	err := load.trouble(ctx, out)
	if err == nil {
		err = stack.Pause(ctx, c.For-time.Since(began))
	}
	// The last scrapes are those of a load that lasts.
	err = errors.Join(err, scraped(), produced())
	if err == nil {
		fmt.Fprintf(out, "scrape: %d pages of %d processes in %.0f s, in %s\n", pages.count, len(pages.targets),
			time.Since(began).Seconds(), c.Into)
	}
	return err
}

// mark is in each folder that scrape made: it is never right to delete another one.
const mark = "made-by-scrape"

// emptied makes an empty folder, of one that an earlier run made or of none.
func emptied(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(dir, mark)); err != nil {
			return fmt.Errorf("%s is not a folder of an earlier run: give --into another one", dir)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, mark), nil, 0o644)
}
