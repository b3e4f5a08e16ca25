package ingest

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/waybill-data/waybill/pkg/access"
	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/lanewire"
	"github.com/waybill-data/waybill/pkg/logging"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/pkg/tracing"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/registry"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// Config is the configuration of ingest. ingest.example.yaml explains every key.
type Config struct {
	Kafka  source.Kafka `yaml:"kafka"`
	Writer Writer       `yaml:"writer"`
	// Registry is where the schemas of contracts are that name a subject or have framing.
	Registry registry.Config `yaml:"registry"`
	// Contracts are all built-in ones when the list is empty.
	Contracts []contract.Config `yaml:"contracts"`
	// ContractsDir is a folder of *.yaml files with more entries.
	ContractsDir string            `yaml:"contracts_dir"`
	Batch        Batch             `yaml:"batch"`
	Window       Window            `yaml:"window"`
	Memory       service.Memory    `yaml:"memory"`
	Commit       source.Commit     `yaml:"commit"`
	DeadLetter   deadletter.Config `yaml:"dead_letter"`
	GRPC         service.Listen    `yaml:"grpc"`
	Admin        service.Listen    `yaml:"admin"`
	Access       access.Config     `yaml:"access"`
	Tracing      Tracing           `yaml:"tracing"`
	Log          logging.Config    `yaml:"log"`
	// Peers are where other ingests are, host:port of their gRPC ports, for what is shown of the fleet. A host with
	// several addresses is several ingests. This one may be among them.
	Peers []string `yaml:"peers"`

	// Dir is where relative files of contracts are; the folder of the configuration file.
	Dir string `yaml:"-"`
	// Path is the configuration file, from which contracts are read again; empty: they cannot be.
	Path string `yaml:"-"`
}

// Tracing says which records have a trace, and where traces go.
type Tracing struct {
	tracing.Config `yaml:",inline"`

	// OneIn is how many rows of a lane share one trace.
	OneIn int `yaml:"one_in"`
}

// Check reports values out of bounds.
func (t *Tracing) Check(report func(key, message, remedy string)) {
	t.Config.Check(report)
	if t.OneIn < 1 {
		report("one_in", fmt.Sprintf("%d is not a number of rows", t.OneIn),
			"write 1 or more; 100000 is right for most")
	}
}

// Batch says when the rows at hand are sent.
type Batch struct {
	Bytes  config.Bytes    `yaml:"bytes"`
	Rows   int             `yaml:"rows"`
	Linger config.Duration `yaml:"linger"`
}

// Check reports values out of bounds.
func (b Batch) Check(report func(key, message, remedy string)) {
	if b.Bytes < 1<<10 {
		report("bytes", fmt.Sprintf("%s is too small for a batch", b.Bytes),
			"write 1KiB or more; 1MiB is right for most")
	}
	if b.Rows <= 0 || b.Rows > lanewire.MaxRows {
		report("rows", fmt.Sprintf("is not within 1 and %d", lanewire.MaxRows), "write a number such as 10000")
	}
	lingerBounds.Check(report, "linger", b.Linger)
}

var lingerBounds = config.Bounds{
	Most: time.Minute, Long: "rows would be in BigQuery as much later", Right: 50 * time.Millisecond,
}

// Window bounds what one lane has sent and not settled.
type Window struct {
	Bytes   config.Bytes `yaml:"bytes"`
	Batches int          `yaml:"batches"`
}

// Check reports values out of bounds.
func (w Window) Check(report func(key, message, remedy string)) {
	if w.Bytes <= 0 || w.Bytes > 1<<30 {
		report("bytes", fmt.Sprintf("%s is out of range", w.Bytes),
			"write batch.bytes or more, and 1GiB at most; 16MiB is right for most")
	}
	if w.Batches <= 0 || w.Batches > 1<<16 {
		report("batches", fmt.Sprintf("%d is out of range", w.Batches), "write 1 to 65536; 32 is right for most")
	}
}

// Defaults is the one place of ingest's defaults.
func Defaults() Config {
	s, l := source.Defaults(), lane.DefaultConfig()
	return Config{
		Kafka:      s.Kafka,
		Registry:   registry.Defaults(),
		Batch:      Batch{Bytes: config.Bytes(l.BatchBytes), Rows: l.BatchRows, Linger: config.Duration(l.Linger)},
		Window:     Window{Bytes: config.Bytes(l.WindowBytes), Batches: l.WindowBatches},
		Commit:     s.Commit,
		DeadLetter: deadletter.Defaults(),
		GRPC:       service.Listen{Listen: "127.0.0.1:7080"},
		Admin:      service.Listen{Listen: "127.0.0.1:7081"},
		Access:     access.Defaults(),
		Tracing:    Tracing{OneIn: 100_000},
	}
}

// Load reads the configuration file and compiles what it points to. The error is config.Problems: all of them.
func Load(path string) (Config, error) {
	c := Defaults()
	c.Dir, c.Path = filepath.Dir(path), path
	err := config.Load(path, &c)
	_, compile := c.contracts(context.Background(), contract.Env{})
	return c, config.Merge(path, err, compile)
}

// LoadParts reads the configuration file for a program that needs some of its sections alone, named by their keys. What
// is wrong with the others is not reported: who asks a running ingest can do so while contracts are being mended.
func LoadParts(path string, sections ...string) (Config, error) {
	c := Defaults()
	c.Dir, c.Path = filepath.Dir(path), path
	err := config.LoadParts(path, &c, sections...)
	return c, err
}

// LoadAlone reads the configuration and compiles no contract of it: for commands that need none.
func LoadAlone(path string) (Config, error) {
	c := Defaults()
	c.Dir = filepath.Dir(path)
	err := config.Load(path, &c)
	return c, err
}

// LoadWithEntries is Load with the entries of another file in place of the configuration's contracts.
func LoadWithEntries(path, entries string) (Config, error) {
	c, err := LoadAlone(path)
	all, ofEntries := c.withEntries(entries)
	if p, ok := c.registryProblem(all.Contracts); ok {
		ofEntries = config.Merge("", ofEntries, config.Problems{p})
	}
	if err := config.Merge(path, err, ofEntries); err != nil {
		return all, err
	}
	_, err = all.contracts(context.Background(), contract.Env{})
	return all, err
}

func (c Config) withEntries(file string) (Config, error) {
	var err error
	c.ContractsDir = ""
	c.Contracts, err = config.LoadEntries[contract.Config](file)
	return c, err
}

// contracts compiles the entries of the configuration and of contracts_dir. Without a schema registry those are left
// out that name a subject. The error is config.Problems, or that of ctx.
func (c *Config) contracts(ctx context.Context, env contract.Env) (*contract.Set, error) {
	entries := c.Contracts
	var fromDir error
	if c.ContractsDir != "" {
		var more []contract.Config
		more, fromDir = contract.LoadDir(c.contractsDir())
		if p, ok := c.registryProblem(more); ok {
			fromDir = config.Merge("", fromDir, config.Problems{p})
		}
		entries = slices.Concat(entries, more)
		if len(entries) == 0 {
			return nil, fromDir // not the built-in ones: somebody has meant others
		}
	}
	set, err := contract.Load(ctx, entries, c.Dir, env)
	if all := config.Merge("", fromDir, err); all != nil {
		return nil, all
	}
	return set, nil
}

// needRegistry reports whether any contract has a subject or framing. The error is config.Problems.
func (c *Config) needRegistry() (bool, error) {
	entries := c.Contracts
	if c.ContractsDir != "" {
		more, err := contract.LoadDir(c.contractsDir())
		if err != nil {
			return false, err
		}
		entries = slices.Concat(entries, more)
	}
	return slices.ContainsFunc(entries, func(e contract.Config) bool { return e.NeedsRegistry() }), nil
}

// contractsDir is the folder of contracts, relative to that of the configuration file.
func (c *Config) contractsDir() string {
	if filepath.IsAbs(c.ContractsDir) {
		return c.ContractsDir
	}
	return filepath.Join(c.Dir, c.ContractsDir)
}

// registryProblem says that entries need a schema registry and there is none.
func (c *Config) registryProblem(entries []contract.Config) (config.Problem, bool) {
	needed := slices.ContainsFunc(entries, func(e contract.Config) bool { return e.NeedsRegistry() })
	return config.Problem{
		Key: "registry.urls", Message: "contracts have a subject or framing, and no schema registry is named",
		Remedy: "list its URLs, for example http://registry:8081",
	}, needed && len(c.Registry.URLs) == 0
}

// Check reports what is wrong across sections; the sections check themselves.
func (c *Config) Check(report func(key, message, remedy string)) {
	if c.Memory.Size() < 16<<20 {
		report("memory.budget", "is too small", "write 16MiB or more")
	}
	if int64(c.Batch.Bytes) > c.Memory.Size()/4 {
		report("batch.bytes", "is more than a quarter of memory.budget", "write less, or raise memory.budget")
	}
	if c.Window.Bytes > 0 && c.Window.Bytes < c.Batch.Bytes {
		report("window.bytes", fmt.Sprintf("%s holds less than a batch of %s", c.Window.Bytes, c.Batch.Bytes),
			"write a few times batch.bytes; 16MiB is right for most")
	}
	if p, ok := c.registryProblem(c.Contracts); ok {
		report(p.Key, p.Message, p.Remedy)
	}
	checkPeers(report, c.Peers)
	service.CheckPorts(report, &c.GRPC, &c.Admin, &c.Access, 7080)
}

// source is the source's part of the configuration.
func (c *Config) source() source.Config {
	s := source.Config{Kafka: c.Kafka, Commit: c.Commit}
	s.Kafka.Fetch.Prefetch = config.Bytes(c.Memory.Size() / 4)
	return s
}

// lane is a lane's part of the configuration. A lane drains a little faster than its claim, so that its last commit
// gets through.
func (c *Config) lane() lane.Config {
	return lane.Config{
		Reset:         lane.Reset(c.Kafka.Reset),
		BatchBytes:    int(c.Batch.Bytes),
		BatchRows:     c.Batch.Rows,
		Linger:        c.Batch.Linger.Std(),
		WindowBytes:   int(c.Window.Bytes),
		WindowBatches: c.Window.Batches,
		DrainTimeout:  c.Kafka.DrainTimeout.Std() * 3 / 4,
	}
}

// laneBudget is the part of the memory that batches and windows draw on.
func (c *Config) laneBudget() int64 { return c.Memory.Size() / 4 * 3 }
