// Package write serves google.cloud.bigquery.storage.v1.BigQueryWrite over a [store.Store].
//
// What it returns follows the comments of storage.proto and what the real service was seen to do. An append on a
// stream is refused inside the call (response.error) unless the call itself makes no sense: no such stream, no
// schema, too large.
package write

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/sandbox/bigquery/fault"
	"github.com/waybill-data/waybill/sandbox/bigquery/query"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

const (
	// defaultRequestLimit bounds a request to a _default stream, in bytes, as documented.
	defaultRequestLimit = 20_000_000
	// idleLimit is how long an AppendRows call may be silent before it ends with ABORTED.
	idleLimit = 600 * time.Second
)

// Config says how strict the service is.
type Config struct {
	Store  *store.Store
	Faults *fault.Set
	// Engine evaluates the default values of columns.
	Engine *query.Engine
	// StreamRequestLimit bounds a request to an application-created stream, in bytes; 0 is 10 MiB, as seen live.
	StreamRequestLimit int
	// RequireParams refuses AppendRows without x-goog-request-params, as the service does outside the US.
	RequireParams bool
	// Discard must be what the store was opened with: rows are counted and neither checked nor kept.
	Discard bool
	// TLS, if set, is what the listener is served with.
	TLS *tls.Config
}

// Server is a running gRPC server.
type Server struct {
	storagepb.UnimplementedBigQueryWriteServer
	cfg   Config
	grpc  *grpc.Server
	stats counters

	appliers sync.WaitGroup // of AppendRows calls: they outlive their handlers by a moment
	served   chan error
	close    func() error

	mu    sync.Mutex
	conns map[string]net.Conn // by the client's address
}

// Serve starts serving on a listener, which Close closes.
func Serve(listener net.Listener, cfg Config) *Server {
	if cfg.StreamRequestLimit == 0 {
		cfg.StreamRequestLimit = 10 << 20
	}
	s := &Server{cfg: cfg, conns: map[string]net.Conn{}, served: make(chan error, 1)}
	s.close = sync.OnceValue(s.end)
	security := insecure.NewCredentials()
	if cfg.TLS != nil {
		security = credentials.NewTLS(cfg.TLS)
	}
	s.grpc = grpc.NewServer(
		grpc.Creds(security),
		grpc.ForceServerCodecV2(newCodec(cfg.Discard)),
		grpc.MaxRecvMsgSize(max(cfg.StreamRequestLimit, defaultRequestLimit)+32<<20),
		grpc.UnknownServiceHandler(func(_ any, rpc grpc.ServerStream) error {
			method, _ := grpc.MethodFromServerStream(rpc)
			return status.Errorf(codes.Unimplemented,
				"The sandbox serves the Storage Write API and not %s: read rows by tabledata.list or a query", method)
		}),
		grpc.MaxConcurrentStreams(100), // as Google's front end: the 101st call on a connection waits
		grpc.InitialWindowSize(4<<20), grpc.InitialConnWindowSize(16<<20),
	)
	storagepb.RegisterBigQueryWriteServer(s.grpc, s)
	go func() { s.served <- s.grpc.Serve(&tracked{Listener: listener, server: s}) }()
	return s
}

// Close ends every call at once, as a killed server would, and waits for what was being applied. It is safe to call
// again, and returns the same.
func (s *Server) Close() error { return s.close() }

func (s *Server) end() error {
	s.grpc.Stop()
	s.appliers.Wait()
	if err := <-s.served; !errors.Is(err, grpc.ErrServerStopped) { // closed before it had begun to serve
		return err
	}
	return nil
}

// Stats gives a snapshot.
func (s *Server) Stats() Stats { return s.stats.snapshot() }

// tracked remembers connections, so that one can be reset.
type tracked struct {
	net.Listener
	server *Server
}

// Accept implements net.Listener.
func (t *tracked) Accept() (net.Conn, error) {
	c, err := t.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := t.server
	s.stats.connections.Add(1)
	s.stats.connectionsTotal.Add(1)
	tc := &trackedConn{Conn: c, server: s, key: c.RemoteAddr().String()}
	s.mu.Lock()
	s.conns[tc.key] = c
	s.mu.Unlock()
	return tc, nil
}

type trackedConn struct {
	net.Conn
	server *Server
	key    string
	once   sync.Once
}

// Close implements net.Conn.
func (c *trackedConn) Close() error {
	c.once.Do(func() {
		c.server.stats.connections.Add(-1)
		c.server.mu.Lock()
		defer c.server.mu.Unlock()
		delete(c.server.conns, c.key)
	})
	return c.Conn.Close()
}

// reset breaks the connection a call came over, with a TCP reset.
func (s *Server) reset(ctx context.Context) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return
	}
	s.mu.Lock()
	c := s.conns[p.Addr.String()]
	s.mu.Unlock()
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // the connection may be gone already: then there is nothing to reset
	}
	if c != nil {
		_ = c.Close()
	}
}

// named admits a unary call about a stream, and finds that.
func (s *Server) named(ctx context.Context, method, name string) (*store.Stream, error) {
	if err := s.admit(ctx, method, tableOf(name), name); err != nil {
		return nil, err
	}
	return s.stream(method, name)
}

// parent admits a unary call about a table, and finds that.
func (s *Server) parent(ctx context.Context, method, name string) (*store.Table, error) {
	if err := s.admit(ctx, method, tableOf(name), ""); err != nil {
		return nil, err
	}
	t, err := s.cfg.Store.TableOf(name)
	if err != nil {
		return nil, rpcError(s.concealed(method, name, err))
	}
	return t, nil
}

// stream finds a stream for a method. Its error is one of gRPC.
func (s *Server) stream(method, name string) (*store.Stream, error) {
	st, err := s.cfg.Store.Stream(name)
	if err != nil {
		return nil, rpcError(s.concealed(method, name, err))
	}
	return st, nil
}

// concealed is what a fault makes of a table that is not there: PERMISSION_DENIED, which does not say whether there
// is one.
func (s *Server) concealed(method, name string, err error) error {
	e, ok := errors.AsType[*store.Error](err)
	if !ok || !e.NoTable || !s.cfg.Faults.Conceals(fault.Call{Method: method, Table: tableOf(name), Stream: name}) {
		return err
	}
	table, _, _ := strings.Cut(store.CanonicalStream(name), "/streams/")
	return &store.Error{
		Code: codes.PermissionDenied, Entity: name,
		Message: fmt.Sprintf("Permission 'TABLES_UPDATE_DATA' denied on resource '%s' (or it may not exist).", table),
	}
}

// tableOf is dataset.table of a table's or stream's full name.
func tableOf(name string) string {
	if p := strings.Split(name, "/"); len(p) >= 6 {
		return p[3] + "." + p[5]
	}
	return ""
}

// CreateWriteStream implements storagepb.BigQueryWriteServer.
func (s *Server) CreateWriteStream(ctx context.Context,
	r *storagepb.CreateWriteStreamRequest,
) (*storagepb.WriteStream, error) {
	switch r.GetWriteStream().GetType() {
	case storagepb.WriteStream_COMMITTED, storagepb.WriteStream_PENDING, storagepb.WriteStream_BUFFERED:
	default:
		return nil, status.Error(codes.InvalidArgument, "write_stream.type must be COMMITTED, PENDING or BUFFERED")
	}
	t, err := s.parent(ctx, fault.Create, r.Parent)
	if err != nil {
		return nil, err
	}
	st, err := t.CreateStream(r.WriteStream.Type)
	if err != nil {
		return nil, rpcError(err)
	}
	s.stats.created.Add(1)
	s.stats.createRate.add(time.Now().Unix(), 1)
	return s.describe(st, true), nil
}

// GetWriteStream implements storagepb.BigQueryWriteServer.
func (s *Server) GetWriteStream(ctx context.Context,
	r *storagepb.GetWriteStreamRequest,
) (*storagepb.WriteStream, error) {
	st, err := s.named(ctx, fault.Get, r.Name)
	if err != nil {
		return nil, err
	}
	return s.describe(st, r.View == storagepb.WriteStreamView_FULL), nil
}

func (s *Server) describe(st *store.Stream, schema bool) *storagepb.WriteStream {
	i := st.Info()
	out := &storagepb.WriteStream{
		Name: i.Name, Type: i.Kind, CreateTime: timestamppb.New(i.Created), Location: "us",
		WriteMode: storagepb.WriteStream_INSERT,
	}
	if !i.Committed.IsZero() {
		out.CommitTime = timestamppb.New(i.Committed)
	}
	if schema {
		out.TableSchema = tableSchema(st.Table().WriteColumns())
	}
	return out
}

// FinalizeWriteStream implements storagepb.BigQueryWriteServer.
func (s *Server) FinalizeWriteStream(ctx context.Context,
	r *storagepb.FinalizeWriteStreamRequest,
) (*storagepb.FinalizeWriteStreamResponse, error) {
	st, err := s.named(ctx, fault.Finalize, r.Name)
	if err != nil {
		return nil, err
	}
	rows, err := st.Finalize()
	if err != nil {
		return nil, rpcError(err)
	}
	s.stats.finalized.Add(1)
	return &storagepb.FinalizeWriteStreamResponse{RowCount: rows}, nil
}

// FlushRows implements storagepb.BigQueryWriteServer.
func (s *Server) FlushRows(ctx context.Context, r *storagepb.FlushRowsRequest) (*storagepb.FlushRowsResponse, error) {
	st, err := s.named(ctx, fault.Flush, r.WriteStream)
	if err != nil {
		return nil, err
	}
	if r.Offset == nil {
		return nil, status.Error(codes.InvalidArgument, "offset is required")
	}
	if err := st.Flush(r.Offset.Value); err != nil {
		return nil, rpcError(err)
	}
	return &storagepb.FlushRowsResponse{Offset: r.Offset.Value}, nil
}

// BatchCommitWriteStreams implements storagepb.BigQueryWriteServer.
func (s *Server) BatchCommitWriteStreams(ctx context.Context,
	r *storagepb.BatchCommitWriteStreamsRequest,
) (*storagepb.BatchCommitWriteStreamsResponse, error) {
	t, err := s.parent(ctx, fault.Commit, r.Parent)
	if err != nil {
		return nil, err
	}
	at, refusals, err := t.Commit(r.WriteStreams)
	if err != nil {
		return nil, rpcError(err)
	}
	out := &storagepb.BatchCommitWriteStreamsResponse{}
	for _, e := range refusals {
		out.StreamErrors = append(out.StreamErrors, storageError(e))
	}
	if len(refusals) == 0 {
		out.CommitTime = timestamppb.New(at)
	}
	return out, nil
}

func storageError(e *store.Error) *storagepb.StorageError {
	return &storagepb.StorageError{Code: e.Storage, Entity: e.Entity, ErrorMessage: e.Message}
}

// statusOf turns any error into a status with a StorageError detail where there is one.
func statusOf(err error) *rpcstatus.Status {
	var e *store.Error
	if !errors.As(err, &e) {
		return status.New(codes.Internal, err.Error()).Proto()
	}
	out := &rpcstatus.Status{Code: int32(e.Code), Message: e.Message}
	if e.Storage != storagepb.StorageError_STORAGE_ERROR_CODE_UNSPECIFIED {
		out.Details = details(storageError(e))
	}
	return out
}

func details(m proto.Message) []*anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		return nil // cannot be: the message is one of ours
	}
	return []*anypb.Any{a}
}

func rpcError(err error) error { return status.FromProto(statusOf(err)).Err() }

// params checks the routing header of an AppendRows call against the stream it first names.
func (s *Server) params(ctx context.Context, stream string) error {
	if !s.cfg.RequireParams {
		return nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	for _, header := range md.Get("x-goog-request-params") {
		q, err := url.ParseQuery(header)
		if err == nil && (q.Get("write_stream") == stream || routesByPlace(q.Get("write_location"), stream)) {
			return nil
		}
	}
	return status.Errorf(codes.InvalidArgument,
		"Missing or wrong routing header: send x-goog-request-params with write_stream=%s", url.QueryEscape(stream))
}

// routesByPlace takes the other form of the header, which names a place instead of a stream: projects/P/locations/L
// of the stream's project.
func routesByPlace(header, stream string) bool {
	p, s := strings.Split(header, "/"), strings.Split(stream, "/")
	return len(p) == 4 && len(s) > 1 && p[0] == "projects" && p[1] == s[1] && p[2] == "locations"
}
