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
	"github.com/waybill-data/waybill/services/ingest"
)

type commands struct {
	Serve   serveCmd   `cmd:"" help:"Carry partitions until SIGTERM, then drain and leave the group."`
	Check   checkCmd   `cmd:"" help:"Check the configuration and everything it points to: contracts, brokers, topics, group, writers. Changes nothing."`
	Health  healthCmd  `cmd:"" help:"Ask the ingest that runs here how it is. Exit status 0: it serves."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// file is the flag that most commands have.
type file struct {
	Config string `short:"c" env:"WAYBILL_INGEST_CONFIG" default:"ingest.yaml" placeholder:"FILE" help:"Configuration file (${default}; or $$${env})."`
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
		kong.Name("ingest"),
		kong.Description("ingest consumes Kafka topics as a member of a group and hands their records to a writer as rows, each exactly once."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { left = code }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(streams{stdout, stderr}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "ingest:", err)
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
		fmt.Fprintln(stderr, "ingest:", err)
		return 1
	}
	return 0
}

type serveCmd struct{ file }

func (s *serveCmd) Run(ctx context.Context, std streams) error {
	c, err := ingest.Load(s.Config)
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
	log.Info("ingest starts", "version", version.String(), "config", s.Config)
	return ingest.Run(ctx, c, ingest.Env{Log: log, Registry: registry})
}

type checkCmd struct{ file }

func (k *checkCmd) Run(ctx context.Context, std streams) error {
	c, err := ingest.Load(k.Config)
	if err != nil {
		return err
	}
	found := []findings.Finding{{What: "configuration", Detail: k.Config}}
	if findings.Print(std.out, append(found, ingest.Check(ctx, c)...)) {
		return errFailed
	}
	return nil
}

type healthCmd struct {
	file
	Timeout time.Duration `default:"3s" help:"How long to wait for the answer (${default})."`
}

func (h *healthCmd) Run(ctx context.Context, std streams) error {
	c, err := ingest.Load(h.Config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	if err := ingest.Health(ctx, c); err != nil {
		return err
	}
	fmt.Fprintln(std.out, "serves")
	return nil
}

type versionCmd struct{}

func (versionCmd) Run(std streams) error {
	_, err := fmt.Fprintln(std.out, "ingest", version.String())
	return err
}
