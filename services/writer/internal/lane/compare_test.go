package lane

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// comparer finds every table missing, but for some.
type comparer struct{ requests atomic.Int32 }

func (c *comparer) Diff(ctx context.Context, r *lanev1.Route) (*lanev1.TableDiff, error) {
	c.requests.Add(1)
	switch r.GetTable() {
	case "wrong":
		return nil, fmt.Errorf("%w: no such message", ErrRoute)
	case "away":
		return nil, errors.New("connection refused")
	case "slow":
		<-ctx.Done()
		return nil, errors.New("connection refused")
	case "broken":
		panic("a fault of the program")
	}
	return &lanev1.TableDiff{Table: "p.d." + r.GetTable()}, nil
}

func TestDiffOfManyRoutes(t *testing.T) {
	route := func(table string) *lanev1.Route {
		return &lanev1.Route{Table: table, Row: &lanev1.Route_Message{Message: "m"}}
	}
	var many []*lanev1.Route
	for i := range maxDiffRoutes + 1 {
		many = append(many, route(fmt.Sprintf("t%d", i)))
	}
	synctest.Test(t, func(t *testing.T) {
		c := &comparer{}
		out, err := (&Tables{Comparer: c}).Diff(t.Context(), &lanev1.DiffRequest{Routes: many[:maxDiffRoutes]})
		if err != nil || int(c.requests.Load()) != maxDiffRoutes || len(out.GetTables()) != maxDiffRoutes {
			t.Fatalf("%d requests, %d results: %v", c.requests.Load(), len(out.GetTables()), err)
		}
		for i, d := range out.GetTables() {
			if want := fmt.Sprintf("p.d.t%d", i); d.GetTable() != want {
				t.Fatalf("tables[%d] is %s, want %s", i, d.GetTable(), want)
			}
		}
	})
	for _, c := range []struct {
		routes []*lanev1.Route
		code   codes.Code
		says   string
	}{
		{nil, codes.InvalidArgument, "routes is empty"},
		{many, codes.InvalidArgument, "at most 1000"},
		{[]*lanev1.Route{route("a"), route("")}, codes.InvalidArgument, "routes[1].table is empty"},
		{[]*lanev1.Route{{Table: "a"}}, codes.InvalidArgument, "routes[0].row is not set"},
		{[]*lanev1.Route{route("a"), route("wrong")}, codes.InvalidArgument, "routes[1]: route: no such message"},
		{
			[]*lanev1.Route{route("away")},
			codes.Unavailable,
			"routes[0].table away cannot be compared: connection refused",
		},
		{
			[]*lanev1.Route{route("broken")},
			codes.Internal,
			"routes[0].table broken: a fault of the writer: a fault of the program",
		},
	} {
		_, err := (&Tables{Comparer: &comparer{}}).Diff(t.Context(), &lanev1.DiffRequest{Routes: c.routes})
		if status.Code(err) != c.code || !strings.Contains(status.Convert(err).Message(), c.says) {
			t.Errorf("got %v, want %v with %q", err, c.code, c.says)
		}
	}
}

// A caller that gives up gets that, not that BigQuery was away.
func TestDiffGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tables := &Tables{Comparer: &comparer{}}
	for range 10 { // either where it waits for its turn, or in its work
		_, err := tables.Diff(ctx, &lanev1.DiffRequest{Routes: []*lanev1.Route{{
			Table: "slow", Row: &lanev1.Route_Message{Message: "m"},
		}}})
		if status.Code(err) != codes.Canceled {
			t.Errorf("got %v", err)
		}
	}
}

// A caller that gives up while its tables are compared is told that as well, whatever the comparison makes of it.
func TestDiffGivenUpUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		c := &comparer{}
		_, err := (&Tables{Comparer: c}).Diff(ctx, &lanev1.DiffRequest{Routes: []*lanev1.Route{{
			Table: "slow", Row: &lanev1.Route_Message{Message: "m"},
		}}})
		if status.Code(err) != codes.Canceled || c.requests.Load() != 1 {
			t.Errorf("got %v, %d were asked", err, c.requests.Load())
		}
	})
}

// waiting is a comparer that responds when it is let.
type waiting struct {
	requests chan struct{}
	let      chan struct{}
}

func (w *waiting) Diff(context.Context, *lanev1.Route) (*lanev1.TableDiff, error) {
	w.requests <- struct{}{}
	<-w.let
	return &lanev1.TableDiff{}, nil
}

// So many requests are worked on at once; others wait for their turn, as long as their caller does.
func TestDiffsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &waiting{make(chan struct{}, diffsAtOnce+1), make(chan struct{})}
		tables := &Tables{Comparer: w}
		r := &lanev1.DiffRequest{Routes: []*lanev1.Route{{Table: "t", Row: &lanev1.Route_Message{Message: "m"}}}}
		var all sync.WaitGroup
		for range diffsAtOnce + 1 {
			all.Go(func() {
				if _, err := tables.Diff(t.Context(), r); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if n := len(w.requests); n != diffsAtOnce {
			t.Errorf("%d at once", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := tables.Diff(ctx, r); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
		close(w.let)
		all.Wait()
	})
}

// All requests together ask BigQuery so many times a second, beyond some at once. Who gives a call less time than its
// turns take is told so at once, and asks BigQuery nothing in vain.
func TestComparesHaveAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &comparer{}
		tables := &Tables{Comparer: c}
		r := &lanev1.DiffRequest{}
		for i := range comparesTogether {
			r.Routes = append(r.Routes, &lanev1.Route{
				Table: fmt.Sprintf("t%d", i), Row: &lanev1.Route_Message{Message: "m"},
			})
		}
		began := time.Now()
		if _, err := tables.Diff(t.Context(), r); err != nil || time.Since(began) > 0 {
			t.Errorf("the first took %v: %v", time.Since(began), err)
		}
		if _, err := tables.Diff(t.Context(), r); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < comparesTogether*time.Second/comparesASecond-time.Millisecond {
			t.Errorf("the second took %v", took)
		}
		began = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := tables.Diff(ctx, r)
		if status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), "ask in parts") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took >= time.Second {
			t.Errorf("it was told after %v", took)
		}
		if n := c.requests.Load(); n > 2*comparesTogether+comparesASecond {
			t.Errorf("%d were asked", n)
		}
	})
}
