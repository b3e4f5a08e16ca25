// Command run does Waybill's main job on the sandbox and proves it: it starts sandbox, writer and ingest as separate processes, produces
// delivery events, kills the writer halfway, waits for the last row, and compares what Kafka holds with what the tables hold.
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
	kong.Parse(&c, kong.Name("run"), kong.Description("The main job on the sandbox: produce, kill the writer once, verify. `make run` calls it."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := c.run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\nrun: %v\n", err)
		os.Exit(1)
	}
}
