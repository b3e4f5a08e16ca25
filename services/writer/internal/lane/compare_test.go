package lane

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// comparer finds every table missing, but for some.
type comparer struct{ asked atomic.Int32 }

func (c *comparer) Diff(_ context.Context, r *lanev1.Route) (*lanev1.TableDiff, error) {
	c.asked.Add(1)
	switch r.GetTable() {
	case "wrong":
		return nil, fmt.Errorf("%w: no such message", ErrRoute)
	case "away":
		return nil, errors.New("connection refused")
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
	c := &comparer{}
	out, err := (&Tables{Comparer: c}).Diff(t.Context(), &lanev1.DiffRequest{Routes: many[:maxDiffRoutes]})
	if err != nil || int(c.asked.Load()) != maxDiffRoutes {
		t.Fatalf("%d asked: %v", c.asked.Load(), err)
	}
	for i, d := range out.GetTables() {
		if want := fmt.Sprintf("p.d.t%d", i); d.GetTable() != want {
			t.Fatalf("tables[%d] is %s, want %s", i, d.GetTable(), want)
		}
	}
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
		{[]*lanev1.Route{route("away")}, codes.Unavailable, "routes[0].table away cannot be compared: connection refused"},
	} {
		_, err := (&Tables{Comparer: &comparer{}}).Diff(t.Context(), &lanev1.DiffRequest{Routes: c.routes})
		if status.Code(err) != c.code || !strings.Contains(status.Convert(err).Message(), c.says) {
			t.Errorf("got %v, want %v with %q", err, c.code, c.says)
		}
	}
}
