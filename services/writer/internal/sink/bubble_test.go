package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/test/bufconn"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// over serves REST calls without a network.
type over func(*http.Request) (*http.Response, error)

func (f over) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// bubble is world on a fake clock: gRPC over pipes, REST over nothing. rest, if not nil, may serve a REST call in
// place of the fake: 0 does not.
func bubble(t *testing.T, rest func() int) (*fakeBigQuery, *Sink, *logtest.Log) {
	t.Helper()
	fake := &fakeBigQuery{streams: map[string]*fakeStream{}, tables: map[string]json.RawMessage{}}
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
		MinTime: time.Second, PermitWithoutStream: true,
	}))
	storagepb.RegisterBigQueryWriteServer(server, fake)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	c := Defaults()
	c.Project, c.Dataset, c.Insecure, c.CreateRate = "test-project", "d", true, 1000
	c.Endpoint = Endpoint{GRPC: "passthrough:///fake", REST: "http://fake"}
	logged := &logtest.Log{}
	s, err := Open(context.Background(), c, Env{Version: "test", Log: logged.Logger()})
	if err != nil {
		t.Fatal(err)
	}
	grpcOptions, _, err := c.clientOptions("test")
	if err != nil {
		t.Fatal(err)
	}
	s.pool.dial = dialer(s.ctx,
		append(grpcOptions,
			option.WithGRPCDialOption(grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				if fake.unreachable.Load() {
					return nil, errors.New("no route to host")
				}
				return listener.DialContext(ctx)
			})), option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials()))))
	if err := s.control.Close(); err != nil {
		t.Fatal(err)
	}
	if s.control, err = s.pool.dial(); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: over(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		if rest != nil {
			if code := rest(); code != 0 {
				w.WriteHeader(code)
				fmt.Fprintf(w, `{"error": {"code": %d, "message": "away", "errors": [{"reason": "backendError"}]}}`,
					code)
				return w.Result(), nil
			}
		}
		if r.Body == nil {
			r.Body = http.NoBody
		}
		fake.ServeHTTP(w, r)
		return w.Result(), nil
	})}
	if s.raw, err = bq.NewService(s.ctx, option.WithHTTPClient(client),
		option.WithEndpoint("http://fake/bigquery/v2/")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		server.Stop()
		<-served
		synctest.Wait()
	})
	return fake, s, logged
}

// boat is one lane's appender in a bubble, with its results.
type boat struct {
	lane.Appender
	results chan lane.Result
}

func launch(t *testing.T, s *Sink, repeats bool) *boat {
	t.Helper()
	table, err := s.Table(t.Context(), stockRoute)
	if err != nil {
		t.Fatal(err)
	}
	b := &boat{results: make(chan lane.Result, 100)}
	deliver := func(r lane.Result) { b.results <- r }
	if repeats {
		b.Appender = table.Default(deliver)
		return b
	}
	stream, err := table.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.Appender = table.Open(stream, 0, deliver)
	return b
}

// oneASecond sends n rows, one a second, and wants each to be written.
func (b *boat) oneASecond(t *testing.T, n uint64, row string) {
	t.Helper()
	for i := range n {
		send(b, i, row)
		wantWritten(t, b.results, i, 1)
		time.Sleep(time.Second)
	}
}

// wantCalm wants no warning to have been logged and no table to be in trouble.
func wantCalm(t *testing.T, s *Sink, logged *logtest.Log) {
	t.Helper()
	if n := logged.At(slog.LevelWarn, ""); len(n) != 0 || len(s.Troubles()) != 0 {
		t.Errorf("logged %v; troubles %v", n, s.Troubles())
	}
}
