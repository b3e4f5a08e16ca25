package lane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/access"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// method is a call of one method.
type method string

func (m method) Method() string               { return string(m) }
func (method) SetHeader(metadata.MD) error    { return nil }
func (method) SendHeader(metadata.MD) error   { return nil }
func (method) SetTrailer(_ metadata.MD) error { return nil }

// callOf is the context of a call by ingest, which has the right lane for what only says.
func callOf(t *testing.T, only access.Scope) context.Context {
	t.Helper()
	guard, err := access.New(access.Config{Identities: []access.Identity{{
		Name: "ingest.example", Rights: []access.Right{access.Lane}, Only: only,
	}}}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{DNSNames: []string{"ingest.example"}, NotAfter: time.Now().Add(time.Hour)}
	state := tls.ConnectionState{
		PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}},
	}
	ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{}, AuthInfo: credentials.TLSInfo{State: state}})
	ctx = grpc.NewContextWithServerTransportStream(ctx, method(lanev1.LaneService_Lane_FullMethodName))
	info := &grpc.UnaryServerInfo{FullMethod: lanev1.LaneService_Lane_FullMethodName}
	called, err := guard.Unary()(ctx, nil, info, func(ctx context.Context, _ any) (any, error) { return ctx, nil })
	if err != nil {
		t.Fatal(err)
	}
	return called.(context.Context)
}

// A lane is refused for a table that its caller has no right to, be it one that it routes to or one that its checkpoint
// names, before anything is done to either.
func TestLanesAndTheRightsOfTheirCallers(t *testing.T) {
	const stock, orders = "projects/p/datasets/d/tables/stock", "projects/p/datasets/d/tables/orders"
	token := func(table string) string {
		text, err := new(checkpoint.Encoder).Append(nil, &checkpoint.Checkpoint{
			Cluster: "c", Topic: "t", Position: 7, Clean: true,
			Tables: []checkpoint.Table{{Name: table, Stream: table + "/streams/s1"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	called := callOf(t, access.Scope{Tables: []string{"orders"}})
	opens := func() *lane {
		l := bare(t, 0)
		l.service.Project, l.service.Dataset = "p", "d"
		l.ctx, l.open, l.first = called, nil, time.NewTimer(time.Hour)
		return l
	}
	for name, test := range map[string]struct {
		routes     string
		checkpoint string
		open       string // why Open is refused; empty: it is not
		inherit    string // why its checkpoint is
	}{
		"its own":                           {"p.d.orders", token(orders), "", ""},
		"by the short name":                 {"orders", token(orders), "", ""},
		"another's":                         {"p.d.stock", token(orders), "table p.d.stock", ""},
		"another's in the checkpoint":       {"p.d.orders", token(stock), "", "table p.d.stock"},
		"an odd name in the checkpoint":     {"p.d.orders", token("orders"), "", "table ?.?.orders"},
		"one of another dataset, that long": {"p.e.orders", "", "table p.e.orders", ""},
	} {
		l := opens()
		open := &lanev1.Open{
			Group: "g", Cluster: "c", Topic: "t", Position: 7, Checkpoint: test.checkpoint,
			Routes: []*lanev1.Route{{Table: test.routes, Row: &lanev1.Route_Message{Message: "m"}}},
		}
		check := func(what string, err error, refused string) {
			t.Helper()
			if (err == nil) != (refused == "") || err != nil && (status.Code(err) != codes.PermissionDenied ||
				!strings.Contains(err.Error(), "ingest.example has the right lane, but not for "+refused+";")) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
		err := l.takeOpen(open)
		check("open", err, test.open)
		if (l.open == nil) != (test.open != "") {
			t.Errorf("%s: open is %v", name, l.open)
		}
		l.jobs.Wait()
		if l.open = open; test.open == "" {
			_, err = l.inherit(l.ctx)
			check("inherit", err, test.inherit)
		}
	}
}

// A table that the caller has no right to is compared with nothing.
func TestDiffAndTheRightsOfItsCaller(t *testing.T) {
	route := func(table string) *lanev1.Route {
		return &lanev1.Route{Table: table, Row: &lanev1.Route_Message{Message: "m"}}
	}
	ctx := callOf(t, access.Scope{Tables: []string{"orders"}})
	for name, test := range map[string]struct {
		routes    []*lanev1.Route
		code      codes.Code
		requested int32
	}{
		"its own":           {[]*lanev1.Route{route("orders"), route("p.d.orders")}, codes.OK, 2},
		"another's as well": {[]*lanev1.Route{route("orders"), route("stock")}, codes.PermissionDenied, 0},
	} {
		c := &comparer{}
		tables := &Tables{Comparer: c, Project: "p", Dataset: "d"}
		_, err := tables.Diff(ctx, &lanev1.DiffRequest{Routes: test.routes})
		if status.Code(err) != test.code || c.requests.Load() != test.requested {
			t.Errorf("%s: %v, %d were asked", name, err, c.requests.Load())
		}
	}
}

// Only the full name of a table becomes one that patterns take.
func TestDotted(t *testing.T) {
	for resource, want := range map[string]string{
		"projects/p/datasets/d/tables/t":           "p.d.t",
		"projects/p/datasets/d/tables/t/streams/s": "?.?.projects/p/datasets/d/tables/t/streams/s",
		"projects/p/datasets/d":                    "?.?.projects/p/datasets/d",
		"project/p/datasets/d/tables/t":            "?.?.project/p/datasets/d/tables/t",
		"projects/p/dataset/d/tables/t":            "?.?.projects/p/dataset/d/tables/t",
		"projects/p/datasets/d/table/t":            "?.?.projects/p/datasets/d/table/t",
		"t":                                        "?.?.t",
		"":                                         "?.?.",
	} {
		if got := dotted(resource); got != want {
			t.Errorf("%q is %q, want %q", resource, got, want)
		}
	}
}
