package writer

import (
	"fmt"
	"time"

	"github.com/waybill-data/waybill/pkg/access"
	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/logging"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/pkg/tracing"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
	"github.com/waybill-data/waybill/services/writer/internal/sink"
)

// Config is the configuration of a writer. writer.example.yaml explains every key.
type Config struct {
	// Name is this writer's name in the logs of ingest; empty: the host's.
	Name     string         `yaml:"name"`
	GRPC     GRPC           `yaml:"grpc"`
	BigQuery sink.Config    `yaml:"bigquery"`
	Limits   Limits         `yaml:"limits"`
	Memory   service.Memory `yaml:"memory"`
	// Checkpoint says how checkpoints are sealed.
	Checkpoint Checkpoint `yaml:"checkpoint"`
	// DrainTimeout is how long lanes may take to settle and close when the writer stops.
	DrainTimeout config.Duration `yaml:"drain_timeout"`
	Admin        service.Listen  `yaml:"admin"`
	// Access says who may do what at both ports; empty: whoever gets in, everything.
	Access access.Config `yaml:"access"`
	// Tracing is where the writer's part of traces goes, which ingest begins.
	Tracing tracing.Config `yaml:"tracing"`
	Log     logging.Config `yaml:"log"`
}

// GRPC is where lanes come in.
type GRPC struct {
	Listen   string      `yaml:"listen"`
	TLS      service.TLS `yaml:"tls"`
	Insecure bool        `yaml:"insecure"`
	// Connections is how many connections the port may have at once; the next one waits.
	Connections int `yaml:"connections"`
}

// port is what the gRPC port has in common with others.
func (g *GRPC) port() *service.Listen {
	return &service.Listen{Listen: g.Listen, TLS: g.TLS, Insecure: g.Insecure}
}

// Older says what became of keys.
func (*GRPC) Older() map[string]string {
	return map[string]string{
		"calls_per_connection": "a connection has at most 8192 calls open",
		"calls_per_second":     "a host may begin 8192 calls at once, then 512 a second",
	}
}

// Limits bound what ingest may send on one lane.
type Limits struct {
	WindowBytes config.Bytes `yaml:"window_bytes"`
	// WindowBatches is more than a window of batches that are full; tests send empty ones.
	WindowBatches int `yaml:"-"`
}

// Older says what became of keys.
func (*Limits) Older() map[string]string {
	return map[string]string{
		"block_bytes": "bigquery.request_bytes bounds a batch", "window_batches": "window_bytes bounds a window",
	}
}

// maxBlock is the largest sensible block: BigQuery documents 20 MB for the whole request.
const maxBlock = 19 << 20

// Defaults is the one place of the writer's defaults; those of the sink are its own.
func Defaults() Config {
	return Config{
		GRPC:         GRPC{Listen: "127.0.0.1:7070", Connections: 1024},
		BigQuery:     sink.Defaults(),
		Limits:       Limits{WindowBytes: 32 << 20, WindowBatches: 64},
		DrainTimeout: config.Duration(30 * time.Second),
		Admin:        service.Listen{Listen: "127.0.0.1:7071"},
		Access:       access.Defaults(),
		Checkpoint:   Checkpoint{Keys: []string{}},
	}
}

// Load reads the configuration file over the defaults. The error is config.Problems: all of them.
func Load(path string) (Config, error) {
	c := Defaults()
	err := config.Load(path, &c)
	return c, err
}

// LoadParts is Load for a program that needs some of the sections alone, named by their keys.
func LoadParts(path string, sections ...string) (Config, error) {
	c := Defaults()
	err := config.LoadParts(path, &c, sections...)
	return c, err
}

// Check reports what is wrong across sections; the sections check themselves.
func (c *Config) Check(report func(key, message, remedy string)) {
	service.CheckPorts(report, c.GRPC.port(), &c.Admin, &c.Access, 7070)
	if n := c.GRPC.Connections; n < 1 || n > 1<<20 {
		report("grpc.connections", fmt.Sprintf("%d is not a useful number of connections", n),
			"choose a few times the ingests; 1024 is right for most")
	}
	drainBounds.Check(report, "drain_timeout", c.DrainTimeout)
	if c.Limits.WindowBytes < c.BigQuery.RequestBytes {
		report("limits.window_bytes", fmt.Sprintf("is less than bigquery.request_bytes, %s", c.BigQuery.RequestBytes),
			"write at least that: a batch may fill a request")
	}
	if c.Memory.Size() < 2*c.block() {
		report("memory.budget", fmt.Sprintf("%s holds less than two blocks", config.Bytes(c.Memory.Size())),
			"write 32MiB or more")
	}
}

var drainBounds = config.Bounds{
	Least: time.Second, Short: "lanes are cut before BigQuery can respond", Most: time.Hour,
	Long: "nothing that stops the process waits for it", Right: 30 * time.Second,
}

// Check implements config.Checker.
func (l *Limits) Check(report func(key, message, remedy string)) {
	if l.WindowBytes < 1 || l.WindowBytes > 1<<30 {
		report("window_bytes", fmt.Sprintf("%s is not a useful bound on a window", l.WindowBytes),
			"choose between bigquery.request_bytes and 1GiB; 32MiB is right")
	}
}

// block bounds the rows of one batch for one table, in bytes: they go in one request.
func (c *Config) block() int64 { return int64(min(c.BigQuery.RequestBytes, maxBlock)) }

func (c *Config) lane() lane.Limits {
	return lane.Limits{
		BlockBytes: c.block(), WindowBytes: int64(c.Limits.WindowBytes), WindowBatches: c.Limits.WindowBatches,
	}
}
