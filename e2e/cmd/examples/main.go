// Command examples runs the folder examples and compares what comes out with what they say. `make examples` calls it.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/e2e/examples"
	"github.com/waybill-data/waybill/pkg/cli"
)

type command struct {
	Names []string `arg:"" optional:"" name:"example" help:"Examples to run; all without a name."`
	Bin   string   `default:"bin" help:"Folder of the binaries sandbox, writer and ingest." type:"path"`
	Root  string   `default:"." help:"Folder of the source." type:"path"`
}

func main() {
	const description = "Runs the examples on the sandbox and compares what comes out. `make examples` calls it."
	os.Exit(cli.Main("examples", description, &command{}))
}

// Run runs the examples chosen, all of them before it says that one failed.
func (c *command) Run(ctx context.Context, std cli.Streams) error {
	out := std.Out
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
		if err := e.Run(ctx, examples.Config{
			Root: c.Root, Bin: c.Bin, Dir: filepath.Join(dir, "data"), Out: out,
		}); err != nil {
			fmt.Fprintln(std.Err, err)
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
			return nil, fmt.Errorf("there is no example %q: choose %s", name, strings.Join(names(), ", "))
		}
		out = append(out, examples.All[i])
	}
	return out, nil
}

func names() []string {
	var out []string
	for _, e := range examples.All {
		out = append(out, e.Name)
	}
	return out
}
