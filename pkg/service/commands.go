package service

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/waybill-data/waybill/pkg/access"
	"github.com/waybill-data/waybill/pkg/admin"
	"github.com/waybill-data/waybill/pkg/cli"
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
	name         string
	serve, check func(ctx context.Context, file string, std cli.Streams) error
	health       func(ctx context.Context, file string, q admin.Question) error
}

// File is the flag of the commands that read the configuration.
type File struct {
	Config string `short:"c" env:"${config_env}" default:"${config_file}" placeholder:"FILE" help:"Configuration file (${default}; or $$${env})."`
}

// Serve is the command that runs the service.
type Serve struct{ File }

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
type Check struct{ File }

// Run implements a command of package cli.
func (k *Check) Run(ctx context.Context, p *program, std cli.Streams) error {
	return p.check(ctx, k.Config, std)
}

func (p *Program[C]) check(ctx context.Context, file string, std cli.Streams) error {
	c, err := p.Load(file)
	if err != nil {
		return err
	}
	found := []findings.Finding{{What: "configuration", Detail: file}}
	if findings.Print(std.Out, append(found, p.Check(ctx, c)...)) {
		return cli.ErrFailed
	}
	return nil
}

// Health is the command that asks the service that runs here, at its admin address, whether it can do its work, or
// whether it is there at all. It is for images without a shell.
type Health struct {
	File
	Timeout time.Duration `default:"3s" help:"How long to wait for the answer (${default})."`
	Live    bool          `help:"Ask only whether the process answers, not whether it can do its work."`
}

// Run implements a command of package cli.
func (h *Health) Run(ctx context.Context, p *program, std cli.Streams) error {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	question := admin.IsReady
	if h.Live {
		question = admin.IsLive
	}
	if err := p.health(ctx, h.Config, question); err != nil {
		return err
	}
	fmt.Fprintln(std.Out, "serves")
	return nil
}

func (p *Program[C]) health(ctx context.Context, file string, q admin.Question) error {
	c, err := p.Load(file)
	if err != nil {
		return err
	}
	process := p.Process(&c)
	port := process.Admin
	secure, err := port.TLS.Local(process.Access.Enabled())
	if err != nil {
		return fmt.Errorf("admin.tls: %w", err)
	}
	return admin.Ask(ctx, port.Listen, secure, q)
}

// Version is the command that prints the version.
type Version struct{}

// Run implements a command of package cli.
func (Version) Run(p *program, std cli.Streams) error {
	_, err := fmt.Fprintln(std.Out, p.name, version.String())
	return err
}
