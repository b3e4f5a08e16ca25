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
)

// What creating and finalizing a write stream does about what BigQuery says, and for how long.
func TestHowLongCallsAreTriedAgain(t *testing.T) {
	noTable := storageError(codes.NotFound, storagepb.StorageError_TABLE_NOT_FOUND, "no table")
	for name, c := range map[string]struct {
		says        error
		least, most time.Duration // creating, until it gives up
		fence       time.Duration // finalizing, at least; at most four seconds more
	}{
		"unknown":     {noTable, newTableGrace, newTableGrace + 2*maxUnknown, goneGrace},
		"denied":      {grpcstatus.Error(codes.PermissionDenied, "no"), deniedGrace, deniedGrace + 2*maxUnknown, deniedGrace},
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
				if took := time.Since(began); err == nil || took < c.least || took > c.most {
					t.Errorf("create: %v after %v", err, took)
				}
				began = time.Now()
				_, err = s.Finalize(t.Context(), table.Name()+"/streams/s")
				if took := time.Since(began); err == nil || took < c.fence || took > c.fence+4*time.Second {
					t.Errorf("finalize: %v after %v", err, took)
				}
			})
		})
	}
}

// A table that is not there any more when a stream is to be created is made again, whichever way BigQuery says so; one that is another now is
// refused at once. Otherwise nobody looks at the table.
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
				fake.tables["d/physical_stock_events"] = json.RawMessage(`{"schema": {"fields": [{"name": "other", "type": "STRING"}]}}`)
				fake.mu.Unlock()
				began := time.Now()
				if _, err := table.Create(t.Context()); err == nil || !strings.Contains(err.Error(), "is missing") || time.Since(began) > time.Second {
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
