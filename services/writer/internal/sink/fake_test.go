package sink

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// fakeBigQuery is a small honest BigQuery: the offset rules of the Storage Write API, finalize, and tables over REST.
type fakeBigQuery struct {
	storagepb.UnimplementedBigQueryWriteServer

	mu      sync.Mutex
	streams map[string]*fakeStream
	tables  map[string]json.RawMessage
	posts   int
	params  []string
	// hook may respond in place of the fake, before (written false) or after it has written the rows. An error ends the
	// call.
	hook func(r *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error)
	// bad rows are refused.
	bad func(row string) bool
	// creates are the responses of CreateWriteStream to come; nil: it works.
	creates, finalizes []error
	// away, if not nil, is the error of every unary call; nil when it is back.
	away func() error
	// unreachable keeps new connections away, in a bubble.
	unreachable atomic.Bool
	// looked is the error of GetWriteStream.
	looked error
	// created is when CreateWriteStream was called, whatever its response.
	created []time.Time
	// patched is called before a patch of a table takes effect.
	patched func()
	// grants are the permissions that testIamPermissions finds.
	grants []string
	// policies is the response of rowAccessPolicies.list; empty: it is denied.
	policies string
}

type fakeStream struct {
	rows      []string
	finalized bool
}

func (f *fakeBigQuery) CreateWriteStream(
	_ context.Context, r *storagepb.CreateWriteStreamRequest,
) (*storagepb.WriteStream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away != nil {
		if err := f.away(); err != nil {
			return nil, err
		}
	}
	f.created = append(f.created, time.Now())
	if len(f.creates) > 0 {
		err := f.creates[0]
		f.creates = f.creates[1:]
		return nil, err
	}
	name := fmt.Sprintf("%s/streams/s%d", r.GetParent(), len(f.streams))
	f.streams[name] = &fakeStream{}
	return &storagepb.WriteStream{Name: name, Type: r.GetWriteStream().GetType()}, nil
}

func (f *fakeBigQuery) GetWriteStream(
	context.Context, *storagepb.GetWriteStreamRequest,
) (*storagepb.WriteStream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &storagepb.WriteStream{}, f.looked
}

func (f *fakeBigQuery) FinalizeWriteStream(
	_ context.Context, r *storagepb.FinalizeWriteStreamRequest,
) (*storagepb.FinalizeWriteStreamResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away != nil {
		if err := f.away(); err != nil {
			return nil, err
		}
	}
	if len(f.finalizes) > 0 {
		err := f.finalizes[0]
		f.finalizes = f.finalizes[1:]
		return nil, err
	}
	s := f.streams[r.GetName()]
	if s == nil {
		return nil, storageError(codes.NotFound, storagepb.StorageError_STREAM_NOT_FOUND, "no such stream")
	}
	s.finalized = true
	return &storagepb.FinalizeWriteStreamResponse{RowCount: int64(len(s.rows))}, nil
}

func (f *fakeBigQuery) AppendRows(call storagepb.BigQueryWrite_AppendRowsServer) error {
	md, _ := metadata.FromIncomingContext(call.Context())
	f.mu.Lock()
	f.params = append(f.params, strings.Join(md.Get("x-goog-request-params"), "|"))
	f.mu.Unlock()
	name := ""
	for {
		r, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if name == "" {
			if name = r.GetWriteStream(); name == "" || r.GetProtoRows().GetWriterSchema() == nil ||
				r.GetTraceId() == "" {
				return grpcstatus.Error(codes.InvalidArgument, "first request without stream, schema or trace id")
			}
		} else if r.GetWriteStream() != "" || r.GetProtoRows().GetWriterSchema() != nil {
			return grpcstatus.Error(codes.InvalidArgument, "stream or schema repeated")
		}
		response, err := f.append(name, r)
		if err != nil {
			return err
		}
		if err := call.Send(response); err != nil {
			return err
		}
	}
}

func (f *fakeBigQuery) append(name string, r *storagepb.AppendRowsRequest) (*storagepb.AppendRowsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hook != nil {
		if response, err := f.hook(r, false); response != nil || err != nil {
			return response, err
		}
	}
	s := f.streams[name]
	rows, offset := r.GetProtoRows().GetRows().GetSerializedRows(), r.GetOffset().GetValue()
	repeats := strings.HasSuffix(name, "/_default")
	if repeats && s == nil {
		s = &fakeStream{}
		f.streams[name] = s
	}
	switch end := int64(len(s.rows)); {
	case repeats && r.GetOffset() == nil:
	case repeats:
		return refusal(codes.InvalidArgument, 0, "Offset can not be specified when appending to the default stream."),
			nil
	case s.finalized:
		return refusal(codes.InvalidArgument, storagepb.StorageError_STREAM_FINALIZED, "finalized"), nil
	case offset < end:
		return refusal(codes.AlreadyExists, storagepb.StorageError_OFFSET_ALREADY_EXISTS,
			fmt.Sprintf("The offset is within stream, expected offset %d, received %d", end, offset)), nil
	case offset > end:
		return refusal(codes.OutOfRange, storagepb.StorageError_OFFSET_OUT_OF_RANGE,
			fmt.Sprintf("The offset is beyond stream, expected offset %d, received %d", end, offset)), nil
	}
	out := refusal(codes.InvalidArgument, 0, "Errors found while processing rows.")
	for i, row := range rows {
		if f.bad != nil && f.bad(string(row)) {
			out.RowErrors = append(out.RowErrors, &storagepb.RowError{
				Index: int64(i), Code: storagepb.RowError_FIELDS_ERROR, Message: "bad",
			})
		}
	}
	if len(out.GetRowErrors()) > 0 {
		return out, nil
	}
	for _, row := range rows {
		s.rows = append(s.rows, string(row))
	}
	if f.hook != nil {
		if response, err := f.hook(r, true); response != nil || err != nil {
			return response, err
		}
	}
	result := &storagepb.AppendRowsResponse_AppendResult{Offset: wrapperspb.Int64(offset)}
	if repeats {
		result.Offset = nil
	}
	return &storagepb.AppendRowsResponse{
		WriteStream: name, Response: &storagepb.AppendRowsResponse_AppendResult_{AppendResult: result},
	}, nil
}

// on sets the hook.
func (f *fakeBigQuery) on(
	hook func(r *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error),
) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

// held is what a stream holds.
func (f *fakeBigQuery) held(stream string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.streams[stream].rows, " ")
}

func refusal(
	code codes.Code, storage storagepb.StorageError_StorageErrorCode, message string,
) *storagepb.AppendRowsResponse {
	return &storagepb.AppendRowsResponse{Response: &storagepb.AppendRowsResponse_Error{
		Error: grpcstatus.Convert(storageError(code, storage, message)).Proto(),
	}}
}

func storageError(code codes.Code, storage storagepb.StorageError_StorageErrorCode, message string) error {
	st := &rpcstatus.Status{Code: int32(code), Message: message}
	if storage != 0 {
		detail, err := anypb.New(&storagepb.StorageError{Code: storage, ErrorMessage: message})
		if err != nil {
			panic(err)
		}
		st.Details = append(st.Details, detail)
	}
	return grpcstatus.FromProto(st).Err()
}

// ServeHTTP is the REST API: datasets `d` (there) and tables.
func (f *fakeBigQuery) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	write := func(b []byte) {
		if _, err := w.Write(b); err != nil {
			panic(err)
		}
	}
	fail := func(code int, reason string) {
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"error": {"code": %d, "message": %q, "errors": [{"reason": %q}]}}`, code, reason, reason)
	}
	path := strings.TrimPrefix(r.URL.Path, "/bigquery/v2/projects/test-project/datasets")
	dataset, table, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/tables")
	table = strings.TrimPrefix(table, "/")
	body, _ := io.ReadAll(r.Body)
	switch {
	case dataset == "forbidden":
		fail(403, "accessDenied")
	case r.Method == http.MethodPost && dataset == "":
		f.tables["made/"] = body
		write(body)
	case dataset != "d" && f.tables[dataset+"/"] == nil:
		fail(404, "notFound")
	case strings.HasSuffix(table, ":testIamPermissions"):
		if err := json.NewEncoder(w).Encode(map[string][]string{"permissions": f.grants}); err != nil {
			panic(err)
		}
	case r.Method == http.MethodGet && strings.HasSuffix(path, "/tables"):
		list := []map[string]any{}
		for key := range f.tables {
			if name, ok := strings.CutPrefix(key, dataset+"/"); ok && name != "" {
				list = append(list, map[string]any{"tableReference": map[string]string{
					"projectId": "test-project", "datasetId": dataset, "tableId": name,
				}})
			}
		}
		if err := json.NewEncoder(w).Encode(map[string]any{"tables": list}); err != nil {
			panic(err)
		}
	case r.Method == http.MethodPost:
		var named struct{ TableReference struct{ TableID string } }
		if err := json.Unmarshal(body, &named); err != nil {
			fail(400, "invalid")
			return
		}
		key := dataset + "/" + named.TableReference.TableID
		f.posts++
		if f.tables[key] != nil {
			fail(409, "duplicate")
			return
		}
		f.tables[key] = body
		write(body)
	case strings.HasSuffix(table, "/rowAccessPolicies"):
		if f.policies == "" {
			fail(403, "accessDenied")
			return
		}
		write([]byte(f.policies))
	case f.tables[dataset+"/"+table] == nil:
		fail(404, "notFound")
	case r.Method == http.MethodPatch:
		if f.patched != nil {
			f.patched()
		}
		if r.Header.Get("If-Match") != etag(f.tables[dataset+"/"+table]) {
			fail(412, "conditionNotMet")
			return
		}
		f.tables[dataset+"/"+table] = body
		write(body)
	default:
		var shown map[string]any
		if err := json.Unmarshal(f.tables[dataset+"/"+table], &shown); err != nil {
			fail(500, "internalError")
			return
		}
		shown["etag"] = etag(f.tables[dataset+"/"+table])
		if err := json.NewEncoder(w).Encode(shown); err != nil {
			panic(err)
		}
	}
}

// etag names the present state of a table.
func etag(table json.RawMessage) string { return fmt.Sprintf("%x", sha256.Sum256(table)) }

// world is a sink on a fake.
func world(t *testing.T, change ...func(*Config)) (*fakeBigQuery, *Sink) {
	t.Helper()
	fake := &fakeBigQuery{streams: map[string]*fakeStream{}, tables: map[string]json.RawMessage{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(32<<20), grpc.MaxConcurrentStreams(100))
	storagepb.RegisterBigQueryWriteServer(server, fake)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	rest := httptest.NewServer(fake)
	c := Defaults()
	c.Project, c.Dataset, c.Insecure, c.CreateRate = "test-project", "d", true, 1000
	c.Endpoint = Endpoint{GRPC: listener.Addr().String(), REST: rest.URL}
	for _, f := range change {
		f(&c)
	}
	s, err := Open(context.Background(), c, Env{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	s.goneGrace = 100 * time.Millisecond
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		server.Stop()
		<-served
		rest.Close()
	})
	return fake, s
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
