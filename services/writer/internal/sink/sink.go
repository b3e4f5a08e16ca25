// Package sink appends rows to BigQuery: it is the only package that knows BigQuery's client library, and it implements
// lane.Sink and lane.Comparer.
//
// Open makes a Sink. Sink.Table finds or creates the table of a route (tables.go, layout.go), compares it with the rows
// (diff.go) and lets it follow them (evolve.go). Table.Create makes a COMMITTED write stream and Table.Open an appender
// for it, Table.Default one for the table's default stream: a queue (queue.go, verdict.go, pieces.go, default.go: a
// state machine without I/O) and the I/O around it (appender.go, connection.go, shared.go, pool.go). Sink.Finalize
// fences a stream.
//
// Several lanes go to one table. What they meet there makes its weather (weather.go): while nothing works, one of them
// probes and the others wait for it, and the state is said and shown by table.
//
// What may go wrong on the way to BigQuery is classified in one place, fault.go. The facts behind it are those of the
// API's comments (google/cloud/bigquery/storage/v1/storage.proto) and of Google's own client tests.
package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"cloud.google.com/go/bigquery"
	"cloud.google.com/go/bigquery/storage/apiv1"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/option"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/proto/image"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

var (
	_ lane.Sink     = (*Sink)(nil)
	_ lane.Comparer = (*Sink)(nil)
	_ lane.Reporter = (*Sink)(nil)
	_ lane.Troubled = (*table)(nil)
	_ lane.Troubled = (*appender)(nil)
)

// Env is what a Sink needs of the process around it.
type Env struct {
	// Log takes one line a table and a creation; nil: none.
	Log *slog.Logger
	// Registry takes the metrics; nil: none.
	Registry prometheus.Registerer
	// Version of the program, for BigQuery's logs.
	Version string
}

// Sink is BigQuery as lanes see it. Its methods may be called from many lanes at once.
type Sink struct {
	config  Config
	log     *slog.Logger
	metrics *metrics
	codec   codec
	trace   string
	// ctx ends with Close, and with it all appenders. A Sink is a scope.
	ctx    context.Context
	cancel context.CancelFunc

	// pool carries append calls; control carries Create and Finalize, which would hang behind a hundred append calls.
	pool    *pool
	control *storage.BigQueryWriteClient
	rest    *bigquery.Client
	// raw is the same API as rest without the client's own types.
	raw *bq.Service

	// limit and defaultLimit are the most bytes of rows in one request to a write stream and to a default stream, as
	// learnt so far. BigQuery's own limits are different: 10 MiB has been seen on the first, 20 MB on the second.
	limit, defaultLimit *requestLimit

	appendTimeout time.Duration
	blindFor      time.Duration
	goneGrace     time.Duration
	creations     *rate.Limiter
	builtin       func(name string) (*descriptorpb.DescriptorProto, error)
	builtins      sync.Map // *rowType by the name of a built-in message: reading one takes milliseconds

	flight singleflight.Group
	mu     sync.Mutex
	tables map[string]*table
	// skies guards weathers, by the tables' resource names.
	skies    sync.Mutex
	weathers map[string]*weather
	// appending counts the write streams that are open for appending.
	appending atomic.Int64
}

// Open makes a sink. It does no I/O but reading the credentials file: BigQuery being away is not an error here.
func Open(ctx context.Context, c Config, env Env) (*Sink, error) {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.Registry == nil {
		env.Registry = prometheus.NewRegistry()
	}
	grpcOptions, restOptions, err := c.clientOptions(env.Version)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	dial := dialer(ctx, grpcOptions)
	s := &Sink{
		config: c, log: env.Log, metrics: newMetrics(env.Registry), codec: newCodec(), trace: "waybill:writer:" +
			env.Version,
		ctx: ctx, cancel: cancel, pool: &pool{dial: dial},
		appendTimeout: c.AppendTimeout.Std(), blindFor: blindFor, goneGrace: goneGrace,
		creations: rate.NewLimiter(rate.Limit(c.CreateRate), 5), builtin: image.Self, tables: make(map[string]*table),
		weathers: make(map[string]*weather),
		limit:    newRequestLimit(int(c.RequestBytes)), defaultLimit: newRequestLimit(int(c.RequestBytes)),
	}
	if s.control, err = dial(); err != nil {
		cancel()
		return nil, err
	}
	if s.rest, err = bigquery.NewClient(ctx, c.Project, restOptions...); err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("make a BigQuery client: %w", err), s.control.Close())
	}
	if s.raw, err = bq.NewService(ctx, append(restOptions, option.WithScopes(bigquery.Scope))...); err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("make a BigQuery client: %w", err), s.control.Close(), s.rest.Close())
	}
	return s, nil
}

// Close ends all appenders and connections. Lanes should be drained before.
func (s *Sink) Close() error {
	s.cancel()
	s.skies.Lock()
	defer s.skies.Unlock()
	for _, w := range s.weathers {
		w.stop()
	}
	return errors.Join(s.pool.close(), s.control.Close(), s.rest.Close())
}

// bound is the request limit of a kind of stream.
func (s *Sink) bound(repeats bool) *requestLimit {
	if repeats {
		return s.defaultLimit
	}
	return s.limit
}
