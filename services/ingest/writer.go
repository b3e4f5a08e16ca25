package ingest

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // client-side health checks: calls go to writers that serve
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/tlsfiles"
	"github.com/waybill-data/waybill/services/ingest/internal/writers"
)

// Writer says where the writers are. Exactly one of Target and Endpoints is set.
type Writer struct {
	// Target is a gRPC target whose name has an address for each writer, such as dns:///writer:7070.
	Target string `yaml:"target"`
	// Endpoints are the writers' addresses, when no name has them all.
	Endpoints []string          `yaml:"endpoints"`
	TLS       tlsfiles.Optional `yaml:"tls"`
	// Token is shown to the writers as a bearer token, when their access.tokens or access.jwt is to know us.
	Token config.Secret `yaml:"token"`
}

// Older says what became of keys.
func (*Writer) Older() map[string]string {
	return map[string]string{
		"keepalive": "connections without traffic are probed every 30 seconds",
		"refresh":   "writers are looked up every few seconds",
	}
}

// Check reports what is wrong with the section.
func (w *Writer) Check(report func(key, message, remedy string)) {
	switch {
	case w.Target == "" && len(w.Endpoints) == 0:
		report("target", "no writer is named", "write target: dns:///host:port, or a list of endpoints")
	case w.Target != "" && len(w.Endpoints) == 0 && !dialable(w.Target):
		report("target", fmt.Sprintf("%q is no gRPC target with a port, of a scheme that this program knows", w.Target),
			"write dns:///host:port")
	case w.Target != "" && len(w.Endpoints) > 0:
		report("endpoints", "target and endpoints are both set", "keep the one that names your writers")
	}
	for i, e := range w.Endpoints {
		if host, port, err := net.SplitHostPort(e); err != nil || host == "" || port == "" {
			report(fmt.Sprintf("endpoints[%d]", i), fmt.Sprintf("%q is not an address", e), "write host:port")
		}
	}
	if !w.TLS.Enable && w.Token.Reveal() != "" {
		report("token", "would go to the writers in the clear", "set tls.enable: true")
	}
	w.TLS.Check(report, "tls")
}

// probeAfter is the time without traffic after which a connection is probed: sooner than load balancers forget one,
// and not so often that servers close it.
const probeAfter = 30 * time.Second

// dialable reports whether a target is one that names hosts has a port: gRPC would take 443. Targets of other schemes
// need a resolver that is linked in.
func dialable(target string) bool {
	if scheme, rest, ok := strings.Cut(target, ":"); ok && scheme != "dns" &&
		(strings.HasPrefix(rest, "/") || scheme == "unix" || scheme == "unix-abstract") {
		return resolver.Get(scheme) != nil
	}
	address := strings.TrimPrefix(target, "dns:")
	if authority, ok := strings.CutPrefix(address, "//"); ok {
		_, address, _ = strings.Cut(authority, "/")
	}
	host, port, err := net.SplitHostPort(address)
	return err == nil && host != "" && port != ""
}

// renewed are transport credentials whose files are read for each connection. The embedded ones say what they are.
type renewed struct {
	credentials.TransportCredentials
	files tlsfiles.Files
}

// ClientHandshake implements credentials.TransportCredentials.
func (r *renewed) ClientHandshake(
	ctx context.Context, authority string, raw net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	c, err := tlsfiles.Client(r.files)
	if err != nil {
		return nil, nil, fmt.Errorf("writer.tls.%w", err)
	}
	conn, info, err := credentials.NewTLS(c).ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, err
	}
	return tlsfiles.Judged(conn), info, nil
}

// Clone implements credentials.TransportCredentials.
func (r *renewed) Clone() credentials.TransportCredentials {
	return &renewed{r.TransportCredentials.Clone(), r.files}
}

// bearer shows a token with every call. A token in a file is read again for each, so that it can be renewed in place.
type bearer struct{ token config.Secret }

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token.Reveal()}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: a token never goes in the clear.
func (bearer) RequireTransportSecurity() bool { return true }

// spread makes calls at the writers in turn, and only at those whose health service says that they serve: one that
// drains says no. Lanes are placed otherwise: package writers.
const spread = `{"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}`

// writeBuffer is how much goes to a connection at once, in bytes: there is one a writer, and rows go in megabytes.
const writeBuffer = 128 << 10

// replyWindow and replyConnWindow are HTTP/2 flow-control windows for what writers say, in bytes: checkpoints, of a
// lane and of all lanes. Were they not given, gRPC would measure the connection, with a ping for about every reply.
const (
	replyWindow     = 128 << 10
	replyConnWindow = 4 << 20
)

// name is what the writers are called in logs.
func (w *Writer) name() string { return cmp.Or(w.Target, strings.Join(w.Endpoints, ", ")) }

// options are those of a connection to writers. metrics may be nil.
func (w *Writer) options(metrics *grpcprom.ClientMetrics) ([]grpc.DialOption, error) {
	transport := insecure.NewCredentials()
	if w.TLS.Enable {
		c, err := tlsfiles.Client(w.TLS.Files) // what is wrong shows now
		if err != nil {
			return nil, fmt.Errorf("writer.tls.%w", err)
		}
		transport = &renewed{credentials.NewTLS(c), w.TLS.Files}
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		// Or every look-up of the name asks for a TXT record as well, which stalls where there is no DNS upstream.
		grpc.WithDisableServiceConfig(),
		grpc.WithWriteBufferSize(writeBuffer),
		grpc.WithStaticStreamWindowSize(replyWindow),
		grpc.WithStaticConnWindowSize(replyConnWindow),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: probeAfter, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second,
			},
			MinConnectTimeout: 5 * time.Second,
		}),
	}
	if w.Token.Reveal() != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer{w.Token}))
	}
	if metrics != nil {
		options = append(options, grpc.WithChainStreamInterceptor(metrics.StreamClientInterceptor()))
	}
	return options, nil
}

// target is what resolves to the writers, and its resolver if it is a list of ours; else that is nil.
func (w *Writer) target() (string, resolver.Builder) {
	if len(w.Endpoints) == 0 {
		return w.Target, nil
	}
	list := manual.NewBuilderWithScheme("waybill")
	var state resolver.State
	for _, e := range w.Endpoints {
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{
			Addr: e, ServerName: host(e),
		}}})
	}
	list.InitialState(state)
	return "waybill:///writers", list
}

// dial makes a connection for a single call, at whichever writer serves. It connects when the call is made.
func (w *Writer) dial() (*grpc.ClientConn, error) {
	options, err := w.options(nil)
	if err != nil {
		return nil, err
	}
	options = append(options, grpc.WithDefaultServiceConfig(spread))
	target, list := w.target()
	if list != nil {
		options = append(options, grpc.WithResolvers(list))
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, fmt.Errorf("writer.target: %w", err)
	}
	return conn, nil
}

// fleet is the connection that all lanes share, and what places them.
func (w *Writer) fleet(c writers.Config, metrics *grpcprom.ClientMetrics) (*writers.Fleet, error) {
	options, err := w.options(metrics)
	if err != nil {
		return nil, err
	}
	c.Options = options
	c.Target, c.Resolver = w.target()
	f, err := writers.New(c)
	if err != nil {
		return nil, fmt.Errorf("writer.target: %w", err)
	}
	return f, nil
}

func host(address string) string {
	h, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return h
}
