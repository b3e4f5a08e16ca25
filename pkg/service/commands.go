package service

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/waybill-data/waybill/pkg/access"
	"github.com/waybill-data/waybill/pkg/admin"
	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/pkg/logging"
	"github.com/waybill-data/waybill/pkg/memory"
	"github.com/waybill-data/waybill/pkg/processors"
	"github.com/waybill-data/waybill/pkg/version"
)

// Program is a service as a program: what Serve, Check, Health and Version need of it. C is its configuration.
type Program[C any] struct {
	// Name is the program's; the configuration is NAME.yaml, or the file that WAYBILL_NAME_CONFIG names.
	Name string
	// Description is a sentence for --help.
	Description string
	// Load reads a configuration file. The error tells all that is wrong with it.
	Load func(file string) (C, error)
	// LoadParts reads sections of a configuration file alone, named by their keys: it heeds nothing that is wrong with
	// others.
	LoadParts func(file string, sections ...string) (C, error)
	// Process is the part of the configuration that is about the process.
	Process func(*C) Process
	// Run works until the context ends, and then returns nil.
	Run func(context.Context, C, Env) error
	// Check looks at everything that the configuration points to.
	Check func(context.Context, C) []findings.Finding
}

// Process is the part of a configuration that is about the process.
type Process struct {
	Memory Memory
	Log    logging.Config
	Admin  Listen
	Access access.Config
}

// Main parses args into commands, runs the one that they name and returns the exit status: see cli.Run.
func (p *Program[C]) Main(ctx context.Context, commands any, args []string, std cli.Streams) int {
	return cli.Run(ctx, p.Name, p.Description, commands, args, std,
		kong.Bind(&program{name: p.Name, serve: p.serve, check: p.check, health: p.health}),
		kong.Vars{"config_file": p.Name + ".yaml", "config_env": "WAYBILL_" + strings.ToUpper(p.Name) + "_CONFIG"},
	)
}

// program is what the commands run of a Program, whatever its configuration.
type program struct {
	name   string
	serve  func(ctx context.Context, file string, std cli.Streams) error
	check  func(ctx context.Context, file string) []findings.Finding
	health func(ctx context.Context, file string, q admin.Endpoint) error
}

// File is the flag of the commands that read the configuration.
type File struct {
	Config string `short:"c" env:"${config_env}" default:"${config_file}" placeholder:"FILE" help:"Configuration file (${default}; or $$${env})."`
}

// Output is the flag of the commands that print text for people or JSON for machines.
type Output struct {
	Output string `short:"o" enum:"text,json" default:"text" help:"text or json."`
}

// json prints what a command found out, if JSON is asked for.
func (o Output) json(std cli.Streams, what any) (printed bool, err error) {
	if o.Output != "json" {
		return false, nil
	}
	return true, cli.JSON(std.Out, what)
}

// Serve is the command that runs the service.
type Serve struct{ File }

// Help is shown below the flags.
func (Serve) Help() string {
	return "Exit status: 0 it was told to stop and has; 1 it cannot start, or had to give up; 2 wrong usage."
}

// Run implements a command of package cli.
func (s *Serve) Run(ctx context.Context, p *program, std cli.Streams) error {
	return p.serve(ctx, s.Config, std)
}

func (p *Program[C]) serve(ctx context.Context, file string, std cli.Streams) error {
	c, err := p.Load(file)
	if err != nil {
		return err
	}
	process := p.Process(&c)
	budget := process.Memory.Size()
	memory.Apply(budget)
	defer processors.Follow()()
	var lanes atomic.Int64
	following, stop := context.WithCancel(context.WithoutCancel(ctx)) // to the end of the drain
	defer stop()
	go memory.Follow(following, budget, func() int { return int(lanes.Load()) })
	log := logging.New(std.Err, process.Log)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	log.Info(p.Name+" starts", "version", version.String(), "config", file) //nolint:sloglint // one name a program
	return p.Run(ctx, c, Env{Log: log, Registry: registry, Lanes: &lanes})
}

// Check is the command that looks at what the configuration points to.
type Check struct {
	File
	Output
}

// Help is shown below the flags.
func (Check) Help() string {
	return `With -o json, one object: how many are ok, warn and failed, and the findings, each with what, state (ok,
warn or fail), detail and remedy. What is wrong with the file itself is among them.

Exit status: 0 nothing keeps it from its work, though there may be something to look at; 1 something does; 2 wrong
usage.`
}

// Run implements a command of package cli.
func (k *Check) Run(ctx context.Context, p *program, std cli.Streams) error {
	found := p.check(ctx, k.Config)
	show := findings.Print
	if k.Output.Output == "json" {
		show = findings.PrintJSON
	}
	if show(std.Out, found) {
		return cli.ErrFailed
	}
	return nil
}

func (p *Program[C]) check(ctx context.Context, file string) []findings.Finding {
	c, err := p.Load(file)
	if err != nil {
		return unreadable(err)
	}
	return append([]findings.Finding{{What: "configuration", Detail: file}}, p.Check(ctx, c)...)
}

// unreadable is what is wrong with a configuration, a finding each.
func unreadable(err error) []findings.Finding {
	all, ok := errors.AsType[config.Problems](err)
	if !ok {
		return []findings.Finding{findings.Failed("configuration", err, "")}
	}
	found := make([]findings.Finding, 0, len(all))
	for _, p := range all {
		remedy := p.Remedy
		p.Remedy = ""
		found = append(found, findings.Finding{
			What: "configuration", State: findings.Fail, Detail: p.String(), Remedy: remedy,
		})
	}
	return found
}

// Health is the command that asks the service that runs here, at its admin address, whether it can do its work, or
// whether it is there at all. It is for images without a shell.
type Health struct {
	File
	Output
	Timeout time.Duration `default:"3s" help:"How long to wait for the response (${default})."`
	Live    bool          `help:"Ask only whether the process responds, not whether it can do its work."`
}

// Help is shown below the flags.
func (Health) Help() string {
	return `With -o json, one object: serves, and why not. Of the configuration only admin and access are read.

Exit status: 0 it can do its work, or responds; 1 it cannot, or nobody responds; 2 wrong usage.`
}

// Run implements a command of package cli.
func (h *Health) Run(ctx context.Context, p *program, std cli.Streams) error {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	question := admin.IsReady
	if h.Live {
		question = admin.IsLive
	}
	err := p.health(ctx, h.Config, question)
	said := struct {
		Serves bool   `json:"serves"`
		Why    string `json:"why,omitempty"`
	}{Serves: err == nil}
	if err != nil {
		said.Why = err.Error()
	}
	switch printed, wrong := h.json(std, said); {
	case wrong != nil:
		return wrong
	case printed && err != nil:
		return cli.ErrFailed
	case printed || err != nil:
		return err
	}
	fmt.Fprintln(std.Out, "serves")
	return nil
}

func (p *Program[C]) health(ctx context.Context, file string, q admin.Endpoint) error {
	c, err := p.LoadParts(file, "admin", "access")
	if err != nil {
		return err
	}
	process := p.Process(&c)
	port := process.Admin
	secure, err := port.TLS.Local(process.Access.Enabled())
	if err != nil {
		return fmt.Errorf("admin.tls: %w", err)
	}
	return admin.Probe(ctx, port.Listen, secure, q)
}

// Version is the command that prints the version.
type Version struct{ Output }

// Help is shown below the flags.
func (Version) Help() string { return "Exit status: 0; 2 wrong usage." }

// Run implements a command of package cli.
func (v Version) Run(p *program, std cli.Streams) error {
	printed, err := v.json(std, struct {
		Program string `json:"program"`
		Version string `json:"version"`
		Go      string `json:"go"`
	}{p.name, version.String(), runtime.Version()})
	if !printed {
		_, err = fmt.Fprintln(std.Out, p.name, version.String())
	}
	return err
}
