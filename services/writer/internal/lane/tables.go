package lane

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/access"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// maxDiffRoutes is that of DiffRequest; comparesAtOnce bounds what one request asks of BigQuery at a time.
const (
	maxDiffRoutes  = 1000
	comparesAtOnce = 8
	// diffsAtOnce bounds the requests that are worked on; others wait. Descriptors take many times in memory what they
	// take on the wire.
	diffsAtOnce = 4
	// comparesASecond bounds what all requests ask of BigQuery, beyond comparesTogether: lanes look at tables by the
	// same quota, 100 requests a second and method (https://cloud.google.com/bigquery/quotas#api_request_quotas).
	comparesASecond  = 50
	comparesTogether = 100
)

// ErrRoute says that a route names no table, or no row message that a table could hold.
var ErrRoute = errors.New("route")

// Comparer says how tables differ from the rows that are to go to them.
type Comparer interface {
	// Diff compares the table of a route with its rows and changes nothing. errors.Is(err, ErrRoute) when the route is
	// wrong; with any other error BigQuery gave no response.
	Diff(ctx context.Context, route *lanev1.Route) (*lanev1.TableDiff, error)
}

// Tables is lane.v1.TableService.
type Tables struct {
	lanev1.UnimplementedTableServiceServer

	// Comparer is BigQuery. Required.
	Comparer Comparer
	// Project and Dataset are those of tables whose route names none.
	Project, Dataset string

	turns chan struct{}
	pace  *rate.Limiter
	start sync.Once
}

func (t *Tables) init() {
	t.start.Do(func() {
		t.turns, t.pace = make(chan struct{}, diffsAtOnce), rate.NewLimiter(comparesASecond, comparesTogether)
	})
}

// Diff implements lanev1.TableServiceServer.
func (t *Tables) Diff(ctx context.Context, r *lanev1.DiffRequest) (*lanev1.DiffResponse, error) {
	t.init()
	select {
	case t.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	defer func() { <-t.turns }()
	routes := r.GetRoutes()
	switch {
	case len(routes) == 0:
		return nil, invalid("routes is empty: name at least one")
	case len(routes) > maxDiffRoutes:
		return nil, invalid("routes has %d entries, at most %d: ask in parts", len(routes), maxDiffRoutes)
	}
	columns := 0
	for i, route := range routes {
		n, err := checkRoute(route)
		if columns += n; err == nil {
			err = checkColumns(columns)
		}
		if err != nil {
			return nil, invalid("routes[%d]%v", i, err)
		}
	}
	caller, tables := access.CallerOf(ctx), make([]string, len(routes))
	for i, route := range routes {
		tables[i] = route.GetTable()
	}
	if err := denied(caller, caller.MayTouch(tables, access.FullTable(t.Project, t.Dataset))); err != nil {
		return nil, err
	}
	out := &lanev1.DiffResponse{Tables: make([]*lanev1.TableDiff, len(routes))}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(comparesAtOnce)
	for i, route := range routes {
		group.Go(func() (err error) {
			defer func() {
				if p := recover(); p != nil { // The interceptors catch those of the handler's own goroutine alone.
					err = status.Errorf(codes.Internal, "routes[%d].table %s: a fault of the writer: %v", i,
						route.GetTable(), p)
				}
			}()
			if err := t.pace.Wait(ctx); err != nil {
				return tooSoon(ctx, err)
			}
			out.Tables[i], err = t.Comparer.Diff(ctx, route)
			switch {
			case err == nil:
				return nil
			case errors.Is(err, ErrRoute):
				return invalid("routes[%d]: %v", i, err)
			case ctx.Err() != nil:
				return status.FromContextError(ctx.Err()).Err()
			}
			return status.Errorf(codes.Unavailable, "routes[%d].table %s cannot be compared: %v", i, route.GetTable(),
				err)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

// tooSoon is why the turn of a table did not come: the call has ended, or its deadline is before the turn.
func tooSoon(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	return status.Errorf(codes.DeadlineExceeded,
		"the writer compares %d tables a second for all callers together (%v): give the call more time, or ask in "+
			"parts", comparesASecond, err)
}

// checkRoute reports whether a route names a table and rows, and how many columns its descriptor has. The error
// continues the name of the field that holds the route.
func checkRoute(r *lanev1.Route) (columns int, err error) {
	switch {
	case r.GetTable() == "":
		return 0, errors.New(".table is empty")
	case r.GetMessage() == "" && r.GetDescriptor_() == nil:
		return 0, errors.New(".row is not set: name a message or send a descriptor")
	}
	columns, err = measure(r.GetDescriptor_())
	if err != nil {
		return 0, fmt.Errorf(".descriptor: %w", err)
	}
	return columns, nil
}

// checkColumns bounds the columns of the routes of one message. The error continues the name of the field that holds
// the route.
func checkColumns(n int) error {
	if n > maxColumnsAtOnce {
		return fmt.Errorf(".descriptor: the routes up to this one describe %d columns, at most %d", n, maxColumnsAtOnce)
	}
	return nil
}
