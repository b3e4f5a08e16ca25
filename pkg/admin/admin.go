// Package admin serves what an operator looks at: metrics, health, profiles and the lanes at hand.
//
//	/             the status page, where the service has one
//	/metrics      Prometheus metrics of the registry given
//	/healthz      200 for as long as the process serves
//	/readyz       200 when the service can do its work, else 503 with the reason
//	/lanes        the lanes at hand, as JSON
//	/plan         what is carried where, what would be fair, and what moves, as JSON
//	/debug/pprof  Go profiles
//
// Without TLS and a guard everybody who reaches it may see everything: bind it to loopback or to a network of its own.
package admin

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/waybill-data/waybill/pkg/access"
)

// stopWithin is how long requests under way may take once the context has ended.
const stopWithin = time.Second

// Config is what to serve, and where.
type Config struct {
	// Listen is the address, for example 127.0.0.1:7071.
	Listen string
	// Listener is used instead of Listen when it is not nil. Serve closes it.
	Listener net.Listener
	// TLS is that of the port; nil: none.
	TLS *tls.Config
	// Guard says who may see which page; nil: everybody.
	Guard *access.Guard
	// Log takes what fails in connections; nil: nothing does.
	Log *slog.Logger
	// Registry holds the metrics. Required.
	Registry *prometheus.Registry
	// Ready says what keeps the service from its work; nil when nothing does. A nil function is always ready.
	Ready func() error
	// Lanes returns what /lanes shows, for encoding/json. A nil function shows an empty list.
	Lanes func() any
	// Page is served for all other paths; nil: a list of the paths above.
	Page http.Handler
	// Plan returns what /plan shows, for encoding/json. A nil function: there is no such page.
	Plan func() any
}

// Serve serves until ctx ends, and then returns nil. Any other end is an error: the address is taken, say.
func Serve(ctx context.Context, c Config) error {
	listener := c.Listener
	if listener == nil {
		var err error
		if listener, err = new(net.ListenConfig).Listen(ctx, "tcp", c.Listen); err != nil {
			return fmt.Errorf("admin server: %w", err)
		}
	}
	if c.TLS != nil {
		listener = tls.NewListener(listener, c.TLS)
	}
	server := &http.Server{
		Handler: c.Guard.HTTP(handler(c)), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: seldom(c.Log),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	select {
	case err := <-served:
		return fmt.Errorf("admin server: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		server.Close() //nolint:errcheck // A profile still running was given its second; there is nobody to tell.
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin server: %w", err)
	}
	return nil
}

// handler is what Serve serves.
func handler(c Config) http.Handler {
	mux := http.NewServeMux()
	if c.Page != nil {
		mux.Handle("GET /", c.Page)
		mux.Handle("POST /act", c.Page)
	} else {
		mux.HandleFunc("GET /{$}", index)
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.Registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if c.Ready != nil {
			if err := c.Ready(); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /lanes", func(w http.ResponseWriter, r *http.Request) {
		var value any = []struct{}{}
		if c.Lanes != nil {
			value = c.Lanes()
		}
		write(w, r, "lanes", value)
	})
	if c.Plan != nil {
		mux.HandleFunc("GET /plan", func(w http.ResponseWriter, r *http.Request) { write(w, r, "plan", c.Plan()) })
	}
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func index(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, `/metrics      Prometheus metrics
/healthz      is the process up
/readyz       can it do its work
/lanes        the lanes at hand (JSON)
/plan         what is carried where and why, of an ingest (JSON)
/debug/pprof  Go profiles
`)
}

// streams are names of write streams, wherever they stand: in a field, or in the text of an error.
var streams = regexp.MustCompile(`/streams/[^"\s,;)]+`)

// write shows a value. Who knows the name of a write stream, and may write to the table, can append to a lane's stream:
// only operators see them.
func write(w http.ResponseWriter, r *http.Request, what string, value any) {
	out, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		http.Error(w, what+": "+err.Error(), http.StatusInternalServerError)
		return
	}
	if !access.CallerOf(r.Context()).May(access.Operator) {
		out = streams.ReplaceAll(out, []byte("/streams/***"))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(out, '\n')) //nolint:errcheck // The reader went away.
}
