// Command sandbox is the cloud on a laptop: Kafka, BigQuery and a schema registry in one process, with a generator of
// delivery events and a verifier that compares what went in with what came out.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/waybill-data/waybill/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

type commands struct {
	Up      upCommand      `cmd:"" help:"Run the sandbox until it is interrupted."`
	Produce produceCommand `cmd:"" help:"Put generated events into Kafka."`
	Send    sendCommand    `cmd:"" help:"Put records of your own into Kafka."`
	Query   queryCommand   `cmd:"" help:"Ask the tables in SQL."`
	Verify  verifyCommand  `cmd:"" help:"Compare what Kafka holds with what the tables hold, offset by offset."`
	Faults  faultsCommand  `cmd:"" help:"Make Kafka, BigQuery or the schema registry misbehave."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// streams is where a command writes.
type streams struct{ out, err io.Writer }

// run parses and runs one command line and returns the exit code: 1 for a failure, 2 for a wrong command line.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	var cli commands
	exit := -1
	parser, err := kong.New(&cli,
		kong.Name("sandbox"),
		kong.Description("The cloud on a laptop: Kafka, BigQuery and a schema registry in one process."),
		kong.Writers(out, errs),
		kong.Exit(func(code int) { exit = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(streams{out, errs}),
	)
	if err != nil {
		fmt.Fprintln(errs, "sandbox:", err)
		return 2
	}
	parsed, err := parser.Parse(args)
	if exit >= 0 {
		return exit // --help was asked for, and printed
	}
	if err != nil {
		fmt.Fprintf(errs, "sandbox: %v (see \"%s --help\")\n", err, named(err))
		return 2
	}
	if err := parsed.Run(); err != nil {
		if !errors.Is(err, errShown) {
			fmt.Fprintln(errs, "sandbox:", err)
		}
		return 1
	}
	return 0
}

// named is the command that a wrong command line has got to, as it is typed: its help has what was meant.
func named(err error) string {
	words := []string{"sandbox"}
	if wrong, ok := errors.AsType[*kong.ParseError](err); ok {
		for _, step := range wrong.Context.Path {
			if step.Command != nil {
				words = append(words, step.Command.Name)
			}
		}
	}
	return strings.Join(words, " ")
}

// errShown ends a command whose output has said already what is wrong.
var errShown = errors.New("shown")

// connection is the flag of every command that needs a running sandbox.
type connection struct {
	Sandbox string `default:".waybill/sandbox.json" placeholder:"FILE" help:"File that \"sandbox up\" wrote (default: ${default})."`
}

// endpoints reads the file and asks the sandbox whether it lives: one that was killed leaves its file behind.
func (c connection) endpoints(ctx context.Context) (sandbox.Endpoints, error) {
	e, err := sandbox.ReadEndpoints(c.Sandbox)
	if err != nil {
		return e, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.Admin+"/healthz", nil)
	if err != nil {
		return e, fmt.Errorf("%s: %w", c.Sandbox, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return e, fmt.Errorf("the sandbox of %s does not respond: %w. Is \"sandbox up\" still running?", c.Sandbox, err)
	}
	return e, response.Body.Close()
}

type versionCommand struct{}

// version is set by the linker in releases.
var version string

// Run prints the release, or else the module's version and the commit it was built from.
func (versionCommand) Run(s streams) error {
	shown := version
	if info, ok := debug.ReadBuildInfo(); ok && shown == "" {
		shown = info.Main.Version
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				shown += " " + setting.Value
			}
		}
	}
	_, err := fmt.Fprintln(s.out, "sandbox", shown)
	return err
}
