// Package sandbox is the cloud on a laptop: a Kafka cluster, BigQuery's Storage Write and REST APIs, and a schema
// registry, in one process and on real sockets. What it holds is in one directory, and outlives it.
//
//	s, err := sandbox.Start(ctx, sandbox.Config{Dir: dir})
//	s.Endpoints() // where everything is
//	err = s.Close()
//
// Its admin port serves, beside each part's faults under /kafka/faults, /bigquery/faults and /registry/faults, the
// rows of tables for package verify, the endpoints as JSON under /endpoints, and /healthz.
package sandbox

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/waybill-data/waybill/sandbox/bigquery"
	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/kafka"
	"github.com/waybill-data/waybill/sandbox/registry"
)

// Config of a sandbox. Ports of 0 are free ones.
type Config struct {
	// Dir keeps everything; it is created when it is missing. One sandbox at a time can use it.
	Dir string
	// Host to listen on, default 127.0.0.1.
	Host string
	// Advertise is the host that others are to connect to, default Host.
	Advertise string
	// KafkaPorts, one a broker; empty: three brokers on free ports.
	KafkaPorts                                  []int
	BigQueryGRPC, BigQueryREST, Registry, Admin int
	// Topics are created, each with its dead-letter topic, unless they exist. Nil: DefaultTopics.
	Topics []kafka.Topic
	// RetentionBytes bounds the log of each Kafka partition; 0 keeps everything.
	RetentionBytes int64
	// Discard makes BigQuery count rows and keep none: for measuring writers.
	Discard bool
	// TLS, if set, is what Kafka and BigQuery's gRPC are served with; BigQuery's REST, the registry and the admin
	// port stay without.
	TLS *tls.Config
	// Logger receives warnings. Nil: nobody does.
	Logger *slog.Logger
}

// DefaultTopics are those of the built-in contracts.
func DefaultTopics() []kafka.Topic {
	return []kafka.Topic{{Name: events.DeliveryTopic, Partitions: 8}, {Name: events.StockTopic, Partitions: 4}}
}

// Sandbox is a running sandbox.
type Sandbox struct {
	Kafka    *kafka.Cluster
	BigQuery *bigquery.Emulator

	endpoints Endpoints
	stops     []func() error // run in reverse
	close     func() error
}

const closeTimeout = 5 * time.Second

// Start starts everything; all ports accept connections when it returns, and the endpoints file is written. On an
// error nothing is left running.
func Start(ctx context.Context, config Config) (*Sandbox, error) {
	if config.Host == "" {
		config.Host = "127.0.0.1"
	}
	if config.Advertise == "" {
		config.Advertise = config.Host
	}
	if config.Topics == nil {
		config.Topics = DefaultTopics()
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Sandbox{}
	s.close = sync.OnceValue(s.stop)
	if err := s.start(ctx, config); err != nil {
		return nil, errors.Join(fmt.Errorf("start sandbox: %w", err), s.Close())
	}
	return s, nil
}

func (s *Sandbox) start(ctx context.Context, config Config) error {
	if err := os.MkdirAll(config.Dir, 0o755); err != nil {
		return err
	}
	// First, since it locks its directory: a second sandbox stops here, before it touches Kafka's log.
	var err error
	s.BigQuery, err = bigquery.Start(ctx, bigquery.Config{
		Dir:      filepath.Join(config.Dir, "bigquery"),
		GRPCAddr: address(config.Host, config.BigQueryGRPC),
		RESTAddr: address(config.Host, config.BigQueryREST),
		Datasets: []string{Project + "." + Dataset},
		Discard:  config.Discard,
		TLS:      config.TLS,
		Logger:   config.Logger,
	})
	if err != nil {
		return err
	}
	s.stops = append(s.stops, s.BigQuery.Close)

	s.Kafka, err = kafka.Start(kafka.Config{
		Dir: filepath.Join(config.Dir, "kafka"), Host: config.Host, Advertise: config.Advertise,
		Ports:  config.KafkaPorts,
		Topics: config.Topics, RetentionBytes: config.RetentionBytes, TLS: config.TLS, Logger: config.Logger,
	})
	if err != nil {
		return err
	}
	s.stops = append(s.stops, func() error { s.Kafka.Close(); return nil })

	schemas, err := registry.Start(address(config.Host, config.Registry), filepath.Join(config.Dir, "registry"))
	if err != nil {
		return err
	}
	s.stops = append(s.stops, func() error { return within(schemas.Close) })

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address(config.Host, config.Admin))
	if err != nil {
		return fmt.Errorf("admin port: %w", err)
	}
	reach := func(listening string) string {
		_, port, _ := net.SplitHostPort(listening) // of a listener, so it is well formed
		return net.JoinHostPort(config.Advertise, port)
	}
	s.endpoints = Endpoints{
		Kafka:        s.Kafka.Seeds(),
		BigQueryGRPC: reach(s.BigQuery.Addrs().GRPC),
		BigQueryREST: "http://" + reach(s.BigQuery.Addrs().REST),
		Registry:     "http://" + reach(schemas.Addr()),
		Admin:        "http://" + reach(listener.Addr().String()),
		Project:      Project, Dataset: Dataset,
	}
	s.serveAdmin(listener, schemas)
	if err := s.endpoints.write(config.Dir); err != nil {
		return err
	}
	s.stops = append(s.stops, func() error { return os.Remove(filepath.Join(config.Dir, EndpointsFile)) })
	return nil
}

func (s *Sandbox) serveAdmin(listener net.Listener, schemas *registry.Registry) {
	mux := http.NewServeMux()
	mux.Handle("/kafka/faults", s.Kafka.Handler())
	mux.Handle("/registry/faults", schemas.Handler())
	mux.Handle("/bigquery/", s.BigQuery.Admin())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /endpoints", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.endpoints) // the client is gone
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with ErrServerClosed
	}()
	s.stops = append(s.stops, func() error {
		err := within(server.Shutdown)
		if err != nil {
			err = server.Close() // a reader of rows had its time
		}
		<-done
		return err
	})
}

// Endpoints is where everything is.
func (s *Sandbox) Endpoints() Endpoints { return s.endpoints }

// Close stops everything, last started first, and removes the endpoints file. It is safe to call twice.
func (s *Sandbox) Close() error { return s.close() }

func (s *Sandbox) stop() error {
	var errs []error
	for _, stop := range slices.Backward(s.stops) {
		errs = append(errs, stop())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop sandbox: %w", err)
	}
	return nil
}

// within gives an orderly stop its time.
func within(stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return stop(ctx)
}

func address(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
