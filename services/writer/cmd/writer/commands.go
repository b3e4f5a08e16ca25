package main

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/pkg/logging"
	"github.com/waybill-data/waybill/pkg/memory"
	"github.com/waybill-data/waybill/pkg/processors"
	"github.com/waybill-data/waybill/pkg/version"
	"github.com/waybill-data/waybill/services/writer"
)

type commands struct {
	Serve     serveCmd     `cmd:"" help:"Carry lanes until SIGTERM, then let them settle and close."`
	Check     checkCmd     `cmd:"" help:"Check the configuration and everything it points to: credentials, dataset, permissions, the Storage Write API. Changes nothing."`
	Health    healthCmd    `cmd:"" help:"Ask the writer that runs here how it is. Exit status 0: it takes lanes."`
	LiveCheck liveCheckCmd `cmd:"" help:"Ask BigQuery, by experiments in a table made for them, whether it does what exactly once takes for granted."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

// file is the flag that most commands have.
type file struct {
	Config string `short:"c" env:"WAYBILL_WRITER_CONFIG" default:"writer.yaml" placeholder:"FILE" help:"Configuration file (${default}; or $$${env})."`
}

// run parses the arguments, runs the command and returns the exit status: see cli.Run.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	const description = "writer takes the rows of Kafka partitions from ingest and appends them to BigQuery, each exactly once."
	return cli.Run(ctx, "writer", description, &commands{}, args, cli.Streams{Out: stdout, Err: stderr})
}

type serveCmd struct{ file }

func (s *serveCmd) Run(ctx context.Context, std cli.Streams) error {
	c, err := writer.Load(s.Config)
	if err != nil {
		return err
	}
	memory.Apply(c.Memory.Size())
	defer processors.Follow()()
	var lanes atomic.Int64
	following, stop := context.WithCancel(context.WithoutCancel(ctx)) // to the end of the drain
	defer stop()
	go memory.Follow(following, c.Memory.Size(), func() int { return int(lanes.Load()) })
	log := logging.New(std.Err, c.Log)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	log.Info("writer starts", "version", version.String(), "config", s.Config)
	return writer.Run(ctx, c, writer.Env{Log: log, Registry: registry, Lanes: &lanes})
}

type checkCmd struct{ file }

func (k *checkCmd) Run(ctx context.Context, std cli.Streams) error {
	c, err := writer.Load(k.Config)
	if err != nil {
		return err
	}
	found := []findings.Finding{{What: "configuration", Detail: k.Config}}
	if findings.Print(std.Out, append(found, writer.Check(ctx, c)...)) {
		return cli.ErrFailed
	}
	return nil
}

type healthCmd struct {
	file
	Timeout time.Duration `default:"3s" help:"How long to wait for the answer (${default})."`
}

func (h *healthCmd) Run(ctx context.Context, std cli.Streams) error {
	c, err := writer.Load(h.Config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	if err := writer.Health(ctx, c); err != nil {
		return err
	}
	fmt.Fprintln(std.Out, "serves")
	return nil
}

type versionCmd struct{}

func (versionCmd) Run(std cli.Streams) error {
	_, err := fmt.Fprintln(std.Out, "writer", version.String())
	return err
}
