package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/pkg/logging"
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

// streams are where a command writes.
type streams struct{ out, err io.Writer }

// errFailed ends the program with status 1 without another word.
var errFailed = errors.New("failed")

// run parses the arguments, runs the command and returns the exit status: 0 well, 1 failed, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c commands
	left := -1
	parser, err := kong.New(&c,
		kong.Name("writer"),
		kong.Description("writer takes the rows of Kafka partitions from ingest and appends them to BigQuery, each exactly once."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { left = code }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(streams{stdout, stderr}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "writer:", err)
		return 2
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if left >= 0 {
		return left // --help has been printed
	}
	if err != nil {
		parser.FatalIfErrorf(err) // prints the usage and the error
		return 2
	}
	switch err := command.Run(); {
	case errors.Is(err, errFailed):
		return 1
	case err != nil:
		fmt.Fprintln(stderr, "writer:", err)
		return 1
	}
	return 0
}

type serveCmd struct{ file }

func (s *serveCmd) Run(ctx context.Context, std streams) error {
	c, err := writer.Load(s.Config)
	if err != nil {
		return err
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		// Twice the budget: what lanes hold, and as much again for everything else. The collector works harder near it; nothing fails.
		debug.SetMemoryLimit(2 * int64(c.Memory.Budget))
	}
	log := logging.New(std.err, c.Log)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	log.Info("writer starts", "version", version.String(), "config", s.Config)
	return writer.Run(ctx, c, writer.Env{Log: log, Registry: registry})
}

type checkCmd struct{ file }

func (k *checkCmd) Run(ctx context.Context, std streams) error {
	c, err := writer.Load(k.Config)
	if err != nil {
		return err
	}
	found := []findings.Finding{{What: "configuration", Detail: k.Config}}
	if findings.Print(std.out, append(found, writer.Check(ctx, c)...)) {
		return errFailed
	}
	return nil
}

type healthCmd struct {
	file
	Timeout time.Duration `default:"3s" help:"How long to wait for the answer (${default})."`
}

func (h *healthCmd) Run(ctx context.Context, std streams) error {
	c, err := writer.Load(h.Config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	if err := writer.Health(ctx, c); err != nil {
		return err
	}
	fmt.Fprintln(std.out, "serves")
	return nil
}

type versionCmd struct{}

func (versionCmd) Run(std streams) error {
	_, err := fmt.Fprintln(std.out, "writer", version.String())
	return err
}
