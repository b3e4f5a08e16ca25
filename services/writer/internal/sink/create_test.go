package sink

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// What creating and finalizing a write stream does about what BigQuery says, and for how long.
func TestHowLongCallsAreTriedAgain(t *testing.T) {
	noTable := storageError(codes.NotFound, storagepb.StorageError_TABLE_NOT_FOUND, "no table")
	for name, c := range map[string]struct {
		says        error
		least, most time.Duration // creating, until it gives up
		fence       time.Duration // finalizing, at least; at most four seconds more, and at once where it is 0
	}{
		"unknown": {noTable, newTableGrace, newTableGrace + 2*maxUnknown, goneGrace},
		"denied": {
			grpcstatus.Error(codes.PermissionDenied, "no"), deniedGrace, deniedGrace + 2*maxUnknown,
			deniedGrace,
		},
		"wrong":       {grpcstatus.Error(codes.InvalidArgument, "wrong"), 0, time.Second, 0},
		"not to be":   {grpcstatus.Error(codes.FailedPrecondition, "no"), 0, time.Second, 0},
		"no such API": {grpcstatus.Error(codes.Unimplemented, "no"), 0, time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake, s, _ := bubble(t, nil)
				table, err := s.Table(t.Context(), stockRoute)
				if err != nil {
					t.Fatal(err)
				}
				fake.away = func() error { return c.says }
				began := time.Now()
				_, err = table.Create(t.Context())
				if took := time.Since(began); err == nil || took < c.least || took > c.most ||
					strings.Contains(err.Error(), roleRemedy) != (name == "denied") {
					t.Errorf("create: %v after %v", err, took)
				}
				began = time.Now()
				_, err = s.Finalize(t.Context(), table.Name()+"/streams/s")
				if took := time.Since(began); err == nil || took < c.fence || took > c.fence+4*time.Second ||
					c.fence == 0 && took > time.Second ||
					strings.Contains(err.Error(), roleRemedy) != (name == "denied") {
					t.Errorf("finalize: %v after %v", err, took)
				}
			})
		})
	}
}

// A table that is not there any more when a stream is to be created is made again, whichever way BigQuery says so; one
// that is another now is refused at once. Otherwise nobody looks at the table.
func TestCreatingLooksAtTheTable(t *testing.T) {
	for name, c := range map[string]struct {
		says  error
		looks int
	}{
		"unknown":     {storageError(codes.NotFound, storagepb.StorageError_TABLE_NOT_FOUND, "no table"), 2},
		"denied":      {grpcstatus.Error(codes.PermissionDenied, "denied (or it may not exist)"), 2},
		"unavailable": {grpcstatus.Error(codes.Unavailable, "away"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				looks := 0
				fake, s, _ := bubble(t, func() int { looks++; return 0 })
				table, err := s.Table(t.Context(), stockRoute)
				if err != nil {
					t.Fatal(err)
				}
				fake.creates, looks = []error{c.says}, 0
				fake.mu.Lock()
				clear(fake.tables)
				fake.mu.Unlock()
				if _, err := table.Create(t.Context()); err != nil || looks != c.looks {
					t.Errorf("%v, %d REST calls, want %d", err, looks, c.looks)
				}
				if c.looks == 0 {
					return
				}
				fake.creates = []error{c.says}
				fake.mu.Lock()
				fake.tables["d/physical_stock_events"] = json.RawMessage(
					`{"schema": {"fields": [{"name": "other", "type": "STRING"}]}}`)
				fake.mu.Unlock()
				began := time.Now()
				if _, err := table.Create(t.Context()); err == nil || !strings.Contains(err.Error(), "is missing") ||
					time.Since(began) > time.Second {
					t.Errorf("got %v after %v", err, time.Since(began))
				}
			})
		})
	}
}

// What waits for BigQuery ends with its caller.
func TestCallsEndWithTheirCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, s, _ := bubble(t, nil)
		table, err := s.Table(t.Context(), stockRoute)
		if err != nil {
			t.Fatal(err)
		}
		fake.away = func() error { return grpcstatus.Error(codes.Unavailable, "away") }
		for _, call := range []func(context.Context) error{
			func(ctx context.Context) error { _, err := table.Create(ctx); return err },
			func(ctx context.Context) error { _, err := s.Finalize(ctx, "s"); return err },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			began := time.Now()
			if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 10*time.Second {
				t.Errorf("got %v after %v", err, time.Since(began))
			}
			cancel()
		}
	})
}

// A stream is gone when BigQuery says so, or denies it and has no such table. That BigQuery is away, or cannot be asked
// for the table, is not that.
func TestWhenAStreamIsGone(t *testing.T) {
	refused := grpcstatus.Error(codes.PermissionDenied, "denied (or it may not exist)")
	for name, c := range map[string]struct {
		says   error
		rest   int  // what REST says, 0: whether there is a table
		table  bool // there is one
		stream string
		gone   bool
	}{
		"denied, no table": {refused, 0, false, "projects/test-project/datasets/d/tables/t/streams/s", true},
		"denied, and no telling": {
			refused, 503, false, "projects/test-project/datasets/d/tables/t/streams/s",
			false,
		},
		"denied, with a table":       {refused, 0, true, "projects/test-project/datasets/d/tables/t/streams/s", false},
		"denied, of no table at all": {refused, 0, false, "s", false},
		"away for a while, no table": {
			grpcstatus.Error(codes.Unavailable, "away"), 0, false,
			"projects/test-project/datasets/d/tables/t/streams/s", false,
		},
		"wrong, no table": {
			grpcstatus.Error(codes.InvalidArgument, "wrong"), 0, false,
			"projects/test-project/datasets/d/tables/t/streams/s",
			false,
		},
		"unknown, whatever the table": {
			storageError(codes.NotFound, storagepb.StorageError_STREAM_NOT_FOUND, "no stream"), 0, true,
			"projects/test-project/datasets/d/tables/t/streams/s", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake, s, _ := bubble(t, func() int { return c.rest })
				if c.table {
					fake.tables["d/t"] = json.RawMessage(`{}`)
				}
				fake.streams[c.stream] = &fakeStream{}
				began := time.Now()
				fake.away = func() error {
					if time.Since(began) < 2*deniedGrace {
						return c.says
					}
					return nil
				}
				if _, err := s.Finalize(t.Context(), c.stream); errors.Is(err, lane.ErrStreamGone) != c.gone {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}
