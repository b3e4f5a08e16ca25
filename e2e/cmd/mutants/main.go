// Command mutants shows that the tests would notice if a protection of exactly-once were missing. It builds the
// services with the build tag `mutants`, in which one environment variable removes one protection, and runs each mutant
// against a script on the fake clock and against real processes on the sandbox. A mutant that nothing catches is a hole
// in the tests, and so is a scenario that the real build fails.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	var c command
	kong.Parse(&c, kong.Name("mutants"),
		kong.Description("Removes one protection at a time and shows that the tests notice. `make mutants` calls "+
			"it, from the top of the tree."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := c.run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\nmutants: %v\n", err)
		os.Exit(1)
	}
}
