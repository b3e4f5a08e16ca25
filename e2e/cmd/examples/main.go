// Command examples runs the folder examples and compares what comes out with what they say. `make examples` calls it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/waybill-data/waybill/e2e/examples"
)

type command struct {
	Names []string `arg:"" optional:"" name:"example" help:"Examples to run; all without a name."`
	Bin   string   `default:"bin" help:"Folder of the binaries sandbox, writer and ingest." type:"path"`
	Root  string   `default:"." help:"Folder of the source." type:"path"`
}

func main() {
	var c command
	kong.Parse(&c, kong.Name("examples"), kong.Description("Runs the examples on the sandbox and compares what comes out with what they say."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := c.run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "examples: %v\n", err)
		os.Exit(1)
	}
}

func (c *command) run(ctx context.Context, out io.Writer) error {
	chosen, err := c.chosen()
	if err != nil {
		return err
	}
	var failed []string
	for _, e := range chosen {
		dir, err := os.MkdirTemp("", "waybill-example-")
		if err != nil {
			return err
		}
		if err := e.Run(ctx, examples.Config{Root: c.Root, Bin: c.Bin, Dir: filepath.Join(dir, "data"), Out: out}); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n", err)
			failed = append(failed, e.Name)
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "examples: passed %d of %d\n", len(chosen)-len(failed), len(chosen))
	if len(failed) > 0 {
		return fmt.Errorf("failed: %s", strings.Join(failed, ", "))
	}
	return nil
}

func (c *command) chosen() ([]examples.Example, error) {
	if len(c.Names) == 0 {
		return examples.All, nil
	}
	var out []examples.Example
	for _, name := range c.Names {
		i := slices.IndexFunc(examples.All, func(e examples.Example) bool { return e.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no example %q; see the folder examples", name)
		}
		out = append(out, examples.All[i])
	}
	return out, nil
}
