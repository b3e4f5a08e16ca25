package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Env is what a process gives to its service. The zero value works.
type Env struct {
	// Log gets one line a transition; nil discards.
	Log *slog.Logger
	// Registry holds the metrics; nil makes one.
	Registry *prometheus.Registry
	// GRPC and Admin are served on instead of the configured addresses when they are not nil. The service closes them.
	GRPC, Admin net.Listener
	// Lanes is kept at how many lanes there are; nil when nobody wants to know.
	Lanes *atomic.Int64
}

// Fill makes the log, the registry and the count of lanes where they are nil.
func (e *Env) Fill() {
	if e.Log == nil {
		e.Log = slog.New(slog.DiscardHandler)
	}
	if e.Registry == nil {
		e.Registry = prometheus.NewRegistry()
	}
	if e.Lanes == nil {
		e.Lanes = new(atomic.Int64)
	}
}

// Listen opens the listeners that are nil, at grpc.listen and admin.listen. On error it closes both, also those that
// were given; the error names each address that could not be had, and its key.
func (e *Env) Listen(ctx context.Context, grpc, admin string) error {
	var errs []error
	for _, l := range []struct {
		key, address string
		into         *net.Listener
	}{{"grpc.listen", grpc, &e.GRPC}, {"admin.listen", admin, &e.Admin}} {
		if *l.into != nil {
			continue
		}
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.address)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w; stop what listens there, or write another address", l.key, err))
			continue
		}
		*l.into = listener
	}
	if len(errs) > 0 {
		e.close()
	}
	return errors.Join(errs...)
}

func (e *Env) close() {
	for _, l := range []net.Listener{e.GRPC, e.Admin} {
		if l != nil {
			_ = l.Close() // The error to report is another one.
		}
	}
}
