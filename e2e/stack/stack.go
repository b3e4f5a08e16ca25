// Package stack runs Waybill as its users do: sandbox, writers and ingests as separate processes on loopback, started,
// killed and stopped by whoever drives it: `make run`, `make bench`, the end-to-end tests.
package stack

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config says what to run.
type Config struct {
	// Dir takes data, configuration and logs.
	Dir string
	// Bin is the folder of the binaries sandbox, writer and ingest.
	Bin string
	// Writers and Ingests are how many of each; 1 when zero.
	Writers, Ingests int
	// FixedPorts uses the documented default ports where they are free, so that examples can be pasted.
	FixedPorts bool
	// DeliveryPartitions and StockPartitions are the partitions of the two topics; 8 and 4 when zero.
	DeliveryPartitions, StockPartitions int
	// IngestYAML and WriterYAML are appended to the configuration files of the services, KafkaYAML to the section kafka
	// of ingest's, BigQueryYAML to the section bigquery of writer's.
	IngestYAML, WriterYAML, KafkaYAML, BigQueryYAML string
	// SandboxArgs are appended to `sandbox up`.
	SandboxArgs []string
	// Reach, if set, says what ingests dial instead of a writer's address, and writers instead of BigQuery's: a relay
	// that can fail.
	Reach func(addr string) string
	// Target, if set, is the gRPC target by which ingests find the writers, instead of a list of their addresses; DNS
	// behind it is whoever's that sets it.
	Target string
	// WriterHost, if set, is the host that a writer listens on for lanes; all of them use the port WriterPort, as they
	// do behind one name.
	WriterHost func(i int) string
	WriterPort int
	// Env is added to the services' environment.
	Env []string
	// Kafka are the brokers to use, host:port, instead of the sandbox's; the sandbox then only stands for BigQuery.
	Kafka []string
	// Group is the consumer group; Group when empty.
	Group string
	// Contracts is the YAML list of contracts; all built-in ones when empty.
	Contracts string
	// Topics are created beside the two, as NAME:PARTITIONS.
	Topics []string
	// TLS, if set, secures every link that rows take: Kafka, ingest to writer, writer to BigQuery.
	TLS *TLS
}

// TLS is files for one certificate that every server of the stack shows.
type TLS struct {
	// CA is the authority that signed it; Cert and Key are the certificate and its key. All PEM.
	CA, Cert, Key string
	// Credentials is a credentials file for BigQuery, whose client sends none without TLS and wants some with it.
	Credentials string
}

// args are those of `sandbox up`.
func (t *TLS) args() []string {
	if t == nil {
		return nil
	}
	return []string{"--tls-cert", t.Cert, "--tls-key", t.Key}
}

// env is what a process needs to trust the certificate where no key of its configuration says so: the writer towards
// BigQuery.
func (t *TLS) env() []string {
	if t == nil {
		return nil
	}
	return []string{"SSL_CERT_FILE=" + t.CA}
}

// Stack is a running Waybill with its sandbox.
type Stack struct {
	Config    Config
	Endpoints Endpoints
	Sandbox   *Process
	Writers   []*Service
	Ingests   []*Service
}

// Endpoints are the sandbox's addresses, but for Kafka when Config names other brokers; those are all in Kafka, with
// commas.
type Endpoints struct {
	Kafka, BigQueryGRPC, BigQueryREST, Registry, Admin string
}

// Service is one process of ingest or writer and its addresses.
type Service struct {
	*Process
	// GRPC and Admin are addresses; Config is the configuration file.
	GRPC, Admin, Config string
}

// Project and Dataset are where the tables of a stack are.
const (
	Project = "sandbox"
	Dataset = "waybill"
)

// Group is the consumer group that the ingests of a stack form, unless its Config names another.
const Group = "waybill"

// New lays out a stack below config.Dir without starting anything: addresses are chosen and configuration files are
// written.
func New(config Config) (*Stack, error) {
	config.Writers, config.Ingests = max(config.Writers, 1), max(config.Ingests, 1)
	if config.DeliveryPartitions == 0 {
		config.DeliveryPartitions = 8
	}
	if config.StockPartitions == 0 {
		config.StockPartitions = 4
	}
	if config.Group == "" {
		config.Group = Group
	}
	if config.Contracts == "" {
		config.Contracts = "  - builtin: delivery.v6\n  - builtin: stock.v1\n"
	}
	dir, err := filepath.Abs(config.Dir)
	if err != nil {
		return nil, err
	}
	config.Dir = dir
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o755); err != nil {
		return nil, err
	}
	s := &Stack{Config: config}
	var ports ports
	defer ports.release()
	addr := func(preferred int) string { return ports.take(config.FixedPorts, preferred) }
	brokers := []string{addr(19092), addr(19093), addr(19094)}
	s.Endpoints = Endpoints{
		Kafka: brokers[0], BigQueryGRPC: addr(19060), BigQueryREST: addr(19050), Registry: addr(18081),
		Admin: addr(19059),
	}
	if len(config.Kafka) > 0 {
		s.Endpoints.Kafka = strings.Join(config.Kafka, ", ")
	}
	topics := append([]string{
		fmt.Sprintf("%s:%d", DeliveryTopic, config.DeliveryPartitions),
		fmt.Sprintf("%s:%d", StockTopic, config.StockPartitions),
	}, config.Topics...)
	s.Sandbox = s.process("sandbox", "sandbox", slices.Concat([]string{
		"up", "--dir", dir,
		"--kafka-ports", port(brokers[0]) + "," + port(brokers[1]) + "," + port(brokers[2]),
		"--grpc-port", port(s.Endpoints.BigQueryGRPC), "--rest-port", port(s.Endpoints.BigQueryREST),
		"--registry-port", port(s.Endpoints.Registry), "--admin-port", port(s.Endpoints.Admin),
		"--seed-topics", strings.Join(topics, ","),
	}, config.TLS.args(), config.SandboxArgs))
	for i := range config.Writers {
		var lanes string
		if config.WriterHost != nil {
			lanes = net.JoinHostPort(config.WriterHost(i), strconv.Itoa(config.WriterPort))
		} else {
			lanes = addr(7070 + 10*i*2)
		}
		s.Writers = append(s.Writers, s.service("writer", i, lanes, addr(7071+10*i*2)))
	}
	for i := range config.Ingests {
		s.Ingests = append(s.Ingests, s.service("ingest", i, addr(7080+10*i*2), addr(7081+10*i*2)))
	}
	if ports.err != nil {
		return nil, ports.err
	}
	if err := s.writeConfigs(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Stack) process(name, binary string, args []string) *Process {
	return &Process{
		Name: name, Path: filepath.Join(s.Config.Bin, binary), Args: args,
		Env: slices.Concat(s.Config.TLS.env(), s.Config.Env), Log: filepath.Join(s.Config.Dir, "logs", name+".log"),
	}
}

func (s *Stack) service(kind string, i int, grpc, admin string) *Service {
	name := kind
	if i > 0 {
		name = fmt.Sprintf("%s-%d", kind, i+1)
	}
	config := filepath.Join(s.Config.Dir, name+".yaml")
	return &Service{
		Process: s.process(name, kind, []string{"serve", "--config", config}), GRPC: grpc, Admin: admin, Config: config,
	}
}

// Services are the writers and the ingests, in this order.
func (s *Stack) Services() []*Service { return slices.Concat(s.Writers, s.Ingests) }

// Rejoin makes the ingests that are started from now on members of another group, which has read nothing.
func (s *Stack) Rejoin(group string) error {
	s.Config.Group = group
	return s.writeConfigs()
}

// Up starts everything and returns when every process says that it is ready.
func (s *Stack) Up(ctx context.Context) error {
	if err := s.UpSandbox(ctx); err != nil {
		return err
	}
	return s.UpServices(ctx)
}

// UpServices starts writers and ingests and returns when they are ready.
func (s *Stack) UpServices(ctx context.Context) error {
	return Up(ctx, s.Services()...)
}

// Up starts services, all at once, and returns when each is ready.
func Up(ctx context.Context, services ...*Service) error {
	for _, s := range services {
		if err := s.Start(); err != nil {
			return err
		}
	}
	for _, s := range services {
		if err := s.Await(ctx, s.Ready); err != nil {
			return err
		}
	}
	return nil
}

// UpSandbox starts the sandbox and returns when it responds.
func (s *Stack) UpSandbox(ctx context.Context) error {
	if err := s.Sandbox.Start(); err != nil {
		return err
	}
	return s.Sandbox.Await(ctx, func(ctx context.Context) error {
		body, err := get(ctx, "http://"+s.Endpoints.Admin+"/healthz")
		if err == nil {
			body.Close()
		}
		return err
	})
}

// Ready asks the service's admin port whether it is ready.
func (s *Service) Ready(ctx context.Context) error {
	body, err := get(ctx, "http://"+s.Admin+"/readyz")
	if err == nil {
		body.Close()
	}
	return err
}

// Metrics reads the service's /metrics page.
func (s *Service) Metrics(ctx context.Context) (Metrics, error) { return ReadMetrics(ctx, s.Admin) }

// Down stops everything in the order of the data: ingests, writers, sandbox. It reports the first that did not stop in
// order.
func (s *Stack) Down(grace time.Duration) error {
	var first error
	stop := func(p *Process) {
		if err := p.Stop(grace); err != nil && first == nil {
			first = err
		}
	}
	for _, p := range s.Ingests {
		stop(p.Process)
	}
	for _, p := range s.Writers {
		stop(p.Process)
	}
	stop(s.Sandbox)
	return first
}

// port is the port of an address.
func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}
