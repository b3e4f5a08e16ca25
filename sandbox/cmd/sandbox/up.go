package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"github.com/waybill-data/waybill/sandbox"
	"github.com/waybill-data/waybill/sandbox/internal/table"
	"github.com/waybill-data/waybill/sandbox/kafka"
)

type upCommand struct {
	Dir            string   `default:".waybill" placeholder:"DIR" help:"Keep everything here; a later \"up\" finds it again (default: ${default})."`
	Host           string   `default:"127.0.0.1" help:"Address to listen on."`
	Advertise      string   `help:"Host that clients are to connect to, for containers (default: that of --host)."`
	KafkaPorts     []int    `default:"19092,19093,19094" help:"Ports of the Kafka brokers, one each."`
	GRPCPort       int      `name:"grpc-port" default:"19060" help:"BigQuery's Storage Write API."`
	RESTPort       int      `name:"rest-port" default:"19050" help:"BigQuery's REST API."`
	RegistryPort   int      `default:"18081" help:"Schema registry."`
	AdminPort      int      `default:"19059" help:"Faults, rows and health."`
	SeedTopics     []string `placeholder:"NAME:PARTITIONS" help:"Topics to create, each with its dead-letter topic (default: delivery_events_v6_topic:8,sms_physical_stock_updated_topic:4)."`
	RetentionBytes int64    `help:"Bound the log of each Kafka partition (default: keep everything)."`
	TLSCert        string   `name:"tls-cert" placeholder:"FILE" help:"Serve Kafka and BigQuery's gRPC with this certificate (PEM), to measure what TLS costs. The commands of the sandbox itself then reach neither."`
	TLSKey         string   `name:"tls-key" placeholder:"FILE" help:"The certificate's key (PEM)."`
	Discard        bool     `help:"Count the rows that BigQuery is given and keep none: to measure writers, not to look at tables."`
}

// Help is shown below the flags.
func (upCommand) Help() string {
	return `Ports of 0 are free ones: the endpoints are printed, and written to DIR/sandbox.json for the other commands.

Examples:
  sandbox up
  sandbox up --dir /tmp/one --seed-topics delivery_events_v6_topic:32
  sandbox up --dir /tmp/two --kafka-ports 0,0 --grpc-port 0 --rest-port 0 --registry-port 0 --admin-port 0`
}

// Run runs the sandbox until the context ends.
func (c upCommand) Run(ctx context.Context, s streams) error {
	topics, err := parseTopics(c.SeedTopics)
	if err != nil {
		return err
	}
	security, err := c.security()
	if err != nil {
		return err
	}
	running, err := sandbox.Start(ctx, sandbox.Config{
		Dir: c.Dir, Host: c.Host, Advertise: c.Advertise, KafkaPorts: c.KafkaPorts,
		BigQueryGRPC: c.GRPCPort, BigQueryREST: c.RESTPort, Registry: c.RegistryPort, Admin: c.AdminPort,
		Topics: topics, RetentionBytes: c.RetentionBytes, Discard: c.Discard, TLS: security,
		Logger: slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w. Another sandbox may be up; a port of 0 is a free one, see \"sandbox up --help\"", err)
	}
	if err != nil {
		return err
	}
	debug.FreeOSMemory() // starting over old data reads whole segments, and nothing after it does
	err = c.print(s, running.Endpoints())
	if err == nil {
		<-ctx.Done()
		fmt.Fprintln(s.err, "sandbox: stopping")
	}
	if closeErr := running.Close(); err == nil {
		err = closeErr
	}
	return err
}

// security is nil without a certificate.
func (c upCommand) security() (*tls.Config, error) {
	switch {
	case c.TLSCert == "" && c.TLSKey == "":
		return nil, nil
	case c.TLSCert == "" || c.TLSKey == "":
		return nil, errors.New("--tls-cert and --tls-key come together")
	}
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, nil
}

func (c upCommand) print(s streams, e sandbox.Endpoints) error {
	file := filepath.Join(c.Dir, sandbox.EndpointsFile)
	t := table.Table{Header: []string{"what", "where"}, Rows: [][]string{
		{"Kafka", strings.Join(e.Kafka, ",")},
		{"BigQuery Storage Write (gRPC)", e.BigQueryGRPC},
		{"BigQuery REST", e.BigQueryREST},
		{"schema registry", e.Registry},
		{"faults, rows, health", e.Admin},
		{"project, dataset", e.Project + ", " + e.Dataset},
		{"data", c.Dir},
		{"these endpoints", file},
	}}
	if err := t.Print(s.out); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.out, "sandbox is ready; Ctrl-C stops it")
	return err
}

// parseTopics reads NAME:PARTITIONS; nil for none, which is the default.
func parseTopics(texts []string) ([]kafka.Topic, error) {
	var topics []kafka.Topic
	for _, text := range texts {
		name, partitions, ok := strings.Cut(text, ":")
		n, err := strconv.Atoi(partitions)
		if !ok || name == "" || err != nil || n < 1 {
			return nil, fmt.Errorf("--seed-topics %s: want NAME:PARTITIONS, as in delivery_events_v6_topic:8", text)
		}
		topics = append(topics, kafka.Topic{Name: name, Partitions: n})
	}
	return topics, nil
}
