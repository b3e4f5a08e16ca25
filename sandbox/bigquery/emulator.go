// Package bigquery is BigQuery on a laptop: the Storage Write API over gRPC and the REST API, with rows on disk, SQL
// over them, and faults on request. It follows the real service where writers can tell the difference: offsets,
// finalized streams, row errors, schema checks, limits, and the order and place of errors.
//
//	emulator, err := bigquery.Start(ctx, bigquery.Config{Dir: dir, GRPCAddr: "127.0.0.1:0", RESTAddr: "127.0.0.1:0"})
//	defer emulator.Close()
//
// Writers dial Addrs().GRPC without TLS; bigquery.Client takes Addrs().Endpoint() with option.WithEndpoint and
// option.WithoutAuthentication. Admin is an http.Handler for faults, statistics and raw rows.
//
// The packages below: store (files), row (columns and wire bytes), write (gRPC), rest, query (SQL), fault.
package bigquery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/grpc/codes"

	"github.com/waybill-data/waybill/sandbox/bigquery/fault"
	"github.com/waybill-data/waybill/sandbox/bigquery/query"
	"github.com/waybill-data/waybill/sandbox/bigquery/rest"
	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
	"github.com/waybill-data/waybill/sandbox/bigquery/write"
)

// Config says where the emulator lives and how strict it is. Only Dir must be set.
type Config struct {
	// Dir keeps everything; another process must not use it at the same time.
	Dir string
	// GRPCAddr and RESTAddr are where to listen; empty is a free port on 127.0.0.1.
	GRPCAddr, RESTAddr string
	// Datasets to make sure of, as project.dataset.
	Datasets []string
	// Discard counts rows and keeps none, and checks none: for measuring writers.
	Discard bool
	// StreamRequestLimit bounds an AppendRows request on an application-created stream, in bytes; 0 is 10 MiB.
	StreamRequestLimit int
	// RequireParams refuses AppendRows without x-goog-request-params.
	RequireParams bool
	// TLS, if set, is what gRPC is served with. REST stays without.
	TLS *tls.Config
	// Logger is where the emulator says what went wrong inside; nil is slog.Default().
	Logger *slog.Logger
}

// Addrs are where a running emulator listens.
type Addrs struct{ GRPC, REST string }

// Endpoint is the REST address as option.WithEndpoint takes it.
func (a Addrs) Endpoint() string { return "http://" + a.REST + "/bigquery/v2/" }

// Emulator is a running emulator.
type Emulator struct {
	store   *store.Store
	faults  fault.Set
	engine  *query.Engine
	write   *write.Server
	api     *rest.Handler
	http    *http.Server
	served  chan error
	addrs   Addrs
	indexes indexes
	close   func() error
}

// Start opens the directory and serves until Close. ctx bounds the start only.
func Start(ctx context.Context, cfg Config) (*Emulator, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	s, err := store.Open(store.Config{Dir: cfg.Dir, Discard: cfg.Discard})
	if err != nil {
		return nil, fmt.Errorf("open bigquery store: %w", err)
	}
	e := &Emulator{store: s, served: make(chan error, 1)}
	e.close = sync.OnceValue(e.end)
	e.faults.Jump = s.Clock().Jump
	if err := e.start(ctx, cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return e, nil
}

func (e *Emulator) start(ctx context.Context, cfg Config) error {
	for _, name := range cfg.Datasets {
		if err := e.ensureDataset(name); err != nil {
			return fmt.Errorf("dataset %s: %w", name, err)
		}
	}
	var err error
	if e.engine, err = query.New(e.store); err != nil {
		return err
	}
	if e.api, err = rest.New(rest.Config{
		Store: e.store, Faults: &e.faults, Engine: e.engine, Dir: filepath.Join(cfg.Dir, "results"), Logger: cfg.Logger,
	}); err != nil {
		return err
	}
	var lc net.ListenConfig
	grpcListener, err := lc.Listen(ctx, "tcp", orLoopback(cfg.GRPCAddr))
	if err != nil {
		return fmt.Errorf("listen for gRPC: %w", err)
	}
	restListener, err := lc.Listen(ctx, "tcp", orLoopback(cfg.RESTAddr))
	if err != nil {
		return errors.Join(fmt.Errorf("listen for REST: %w", err), grpcListener.Close())
	}
	e.addrs = Addrs{GRPC: grpcListener.Addr().String(), REST: restListener.Addr().String()}
	e.write = write.Serve(grpcListener, write.Config{
		Store: e.store, Faults: &e.faults, Engine: e.engine, StreamRequestLimit: cfg.StreamRequestLimit,
		RequireParams: cfg.RequireParams, Discard: cfg.Discard, TLS: cfg.TLS,
	})
	e.http = &http.Server{
		Handler: e.api, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	go func() { e.served <- e.http.Serve(restListener) }()
	return nil
}

func orLoopback(addr string) string {
	if addr == "" {
		return "127.0.0.1:0"
	}
	return addr
}

func (e *Emulator) ensureDataset(name string) error {
	project, id, err := splitDataset(name)
	if err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	err = e.store.CreateDataset(&bq.Dataset{
		Kind: "bigquery#dataset", Id: project + ":" + id, Location: "US", CreationTime: now, LastModifiedTime: now,
		DatasetReference: &bq.DatasetReference{ProjectId: project, DatasetId: id},
	})
	var refused *store.Error
	if errors.As(err, &refused) && refused.Code == codes.AlreadyExists {
		return nil
	}
	return err
}

// Addrs are where the emulator listens.
func (e *Emulator) Addrs() Addrs { return e.addrs }

// Faults are the faults in force; add to them and clear them at any time.
func (e *Emulator) Faults() *fault.Set { return &e.faults }

// Stats are the Storage Write API's counts since Start.
func (e *Emulator) Stats() write.Stats { return e.write.Stats() }

// Clock is the time write streams live by; it can be moved ahead.
func (e *Emulator) Clock() *store.Clock { return e.store.Clock() }

// Query runs a SELECT, a record at a time, and gives the columns first.
func (e *Emulator) Query(ctx context.Context, sql string, columns func([]*row.Column) error,
	each func(row.Record) error,
) error {
	s, err := e.engine.Prepare(query.Request{SQL: sql})
	if err != nil {
		return err
	}
	if err := columns(s.Columns); err != nil {
		return err
	}
	return s.Run(ctx, each)
}

// Close ends every call at once and gives up the directory. What was acknowledged is there at the next Start. It is
// safe to call again, and returns the same.
func (e *Emulator) Close() error { return e.close() }

func (e *Emulator) end() error {
	errs := []error{e.write.Close(), e.http.Close()}
	if err := <-e.served; !errors.Is(err, http.ErrServerClosed) {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, e.api.Close(), e.store.Close())...)
}
