package sink

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// The table is deleted under open lanes: what is refused, and why, is seen until rows come through again.
func TestARefusalIsSeenUntilRowsComeThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, s, logged := bubble(t, nil)
		b, other := launch(t, s, true), launch(t, s, false)
		defer b.Close()
		defer other.Close()
		deleted := func() {
			fake.on(func(*storagepb.AppendRowsRequest, bool) (*storagepb.AppendRowsResponse, error) {
				return nil, grpcstatus.Error(codes.PermissionDenied, "denied on resource t (or it may not exist)")
			})
			fake.mu.Lock()
			clear(fake.tables)
			fake.mu.Unlock()
		}
		send(other, 0, "before")
		wantWritten(t, other.results, 0, 1)
		deleted()
		send(b, 0, "a")
		if r := receive(t, b.results); r.Err == nil || !strings.Contains(r.Err.Error(), "deleted") {
			t.Fatalf("got %+v", r)
		}
		send(other, 1, "a")
		if r := receive(t, other.results); r.Err == nil {
			t.Fatalf("got %+v", r)
		}
		seen := s.Troubles()["projects/test-project/datasets/d/tables/physical_stock_events"]
		if seen.State != stateRefused || !strings.Contains(seen.Reason, "deleted") {
			t.Errorf("seen: %+v", seen)
		}
		if n := logged.At(slog.LevelWarn, "refuses"); len(n) != 1 {
			t.Errorf("said %v", n)
		}
		fake.on(nil)
		next := launch(t, s, true)
		defer next.Close()
		send(next, 0, "b")
		wantWritten(t, next.results, 0, 1)
		if n := s.Troubles(); len(n) != 0 {
			t.Errorf("still seen: %v", n)
		}
	})
}

// A refusal that nobody meets any more, because its contract has another table now, does not stay for ever; one that is
// met again does.
func TestARefusalThatNobodyMeetsFades(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s, logged := bubble(t, nil)
		w := s.weatherOf("projects/p/datasets/d/tables/t")
		for range 3 {
			w.refuse(wayTable, "does not fit", time.Now())
			time.Sleep(refusedFor - time.Second)
		}
		if got := w.trouble(); got.State != stateRefused || got.Faults != 3 ||
			testutil.ToFloat64(s.metrics.troubles.WithLabelValues(stateRefused)) != 1 {
			t.Errorf("seen %+v", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := w.trouble(); got.State != "" || w.rough.Load() ||
			testutil.ToFloat64(s.metrics.troubles.WithLabelValues(stateRefused)) != 0 {
			t.Errorf("seen %+v", got)
		}
		if w, i := logged.At(slog.LevelWarn, "refuses"), logged.At(slog.LevelInfo, "refuses nothing"); len(w) != 1 ||
			len(i) != 1 {
			t.Errorf("said %v and %v", w, i)
		}
		w.refuse(wayTable, "does not fit", time.Now())
		w.traveller(wayTable).success(time.Now())
		time.Sleep(2 * refusedFor)
		if n := testutil.ToFloat64(s.metrics.troubles.WithLabelValues(stateRefused)); n != 0 {
			t.Errorf("%v tables refuse", n)
		}
	})
}

// A stream that expired while its lane was idle is no trouble of the table's.
func TestAnExpiredStreamIsNoTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, s, logged := bubble(t, nil)
		table, err := s.Table(t.Context(), stockRoute)
		if err != nil {
			t.Fatal(err)
		}
		results := make(chan lane.Result, 1)
		a := table.Open(table.Name()+"/streams/old", 7, func(r lane.Result) { results <- r })
		defer a.Close()
		fake.on(func(*storagepb.AppendRowsRequest, bool) (*storagepb.AppendRowsResponse, error) {
			return nil, storageError(codes.NotFound, storagepb.StorageError_STREAM_NOT_FOUND, "no such stream")
		})
		send(a, 0, "a")
		if r := receive(t, results); !errors.Is(r.Err, lane.ErrStreamGone) {
			t.Fatalf("got %+v", r)
		}
		if n := s.Troubles(); len(n) != 0 || len(logged.At(slog.LevelWarn, "")) != 0 {
			t.Errorf("seen %v", n)
		}
		if again, err := s.Table(t.Context(), stockRoute); err != nil || again == table {
			t.Errorf("the table is believed in: %v", err)
		}
	})
}

// BigQuery denies a table that stands: the permission may be new, so it is asked for half a minute, which is seen, and
// then it is an operator's.
func TestADeniedTableThatStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, s, logged := bubble(t, nil)
		b := launch(t, s, false)
		defer b.Close()
		deny := func(*storagepb.AppendRowsRequest, bool) (*storagepb.AppendRowsResponse, error) {
			return nil, grpcstatus.Error(codes.PermissionDenied, "denied on resource t (or it may not exist)")
		}
		fake.on(deny)
		send(b, 0, "a")
		time.Sleep(20 * time.Second)
		for _, trouble := range s.Troubles() {
			if trouble.State != stateRefused || !strings.Contains(trouble.Reason, "PERMISSION_DENIED") {
				t.Errorf("seen %+v", trouble)
			}
		}
		if n := logged.At(slog.LevelWarn, "state=refused"); len(n) != 1 || len(s.Troubles()) != 1 {
			t.Errorf("said %v, seen %v", n, s.Troubles())
		}
		fake.on(nil)
		wantWritten(t, b.results, 0, 1)
		fake.on(deny)
		before, err := s.Table(t.Context(), stockRoute)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		send(b, 1, "a")
		r := <-b.results
		if grpcstatus.Code(r.Err) != codes.PermissionDenied ||
			!strings.Contains(r.Err.Error(), "roles/bigquery.dataEditor") {
			t.Errorf("got %v", r.Err)
		}
		if took := time.Since(began); took < deniedGrace || took > deniedGrace+2*maxUnknown {
			t.Errorf("given up after %v", took)
		}
		if after, err := s.Table(t.Context(), stockRoute); err != nil || after == before {
			t.Errorf("the table is believed in: %v", err)
		}
		trouble := s.Troubles()["projects/test-project/datasets/d/tables/physical_stock_events"]
		if trouble.State != stateRefused {
			t.Errorf("seen %+v", trouble)
		}
	})
}

// A stream of a table that is gone is gone, though BigQuery says of it that it may be forbidden; of a table that stands
// it may be.
func TestFinalizingWhatIsDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, s, _ := bubble(t, nil)
		table, err := s.Table(t.Context(), stockRoute)
		if err != nil {
			t.Fatal(err)
		}
		fake.away = func() error {
			return grpcstatus.Error(codes.PermissionDenied, "denied on resource t (or it may not exist)")
		}
		began := time.Now()
		_, err = s.Finalize(t.Context(), table.Name()+"/streams/s")
		if errors.Is(err, lane.ErrStreamGone) || err == nil || !strings.Contains(err.Error(), roleRemedy) ||
			time.Since(began) < deniedGrace {
			t.Errorf("the table stands: %v after %v", err, time.Since(began))
		}
		began = time.Now()
		if _, err := table.Create(t.Context()); err == nil || !strings.Contains(err.Error(), roleRemedy) ||
			time.Since(began) < deniedGrace {
			t.Errorf("the table stands: %v after %v", err, time.Since(began))
		}
		if again, err := s.Table(t.Context(), stockRoute); err != nil || again == table {
			t.Errorf("the table is believed in: %v", err)
		}
		fake.mu.Lock()
		clear(fake.tables)
		fake.mu.Unlock()
		began = time.Now()
		if _, err = s.Finalize(t.Context(), table.Name()+"/streams/s"); !errors.Is(err, lane.ErrStreamGone) {
			t.Errorf("the table is gone: %v", err)
		}
		if took := time.Since(began); took < goneGrace || took > 3*goneGrace {
			t.Errorf("gone after %v", took)
		}
	})
}

// Refused rows are responses: BigQuery is there, however long it takes nothing.
func TestRefusedRowsAreNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, s, logged := bubble(t, nil)
		fake.bad = func(string) bool { return true }
		b := launch(t, s, false)
		defer b.Close()
		for i := range uint64(20) {
			send(b, i, "bad")
			receive(t, b.results)
			b.Resume()
			wantWritten(t, b.results, i, 0)
			time.Sleep(time.Second)
		}
		wantCalm(t, s, logged)
	})
}

// An idle connection that ends has kept nothing from anybody.
func TestAnIdleConnectionThatEndsIsNoFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s, _ := bubble(t, nil)
		b := launch(t, s, false)
		defer b.Close()
		send(b, 0, "a")
		wantWritten(t, b.results, 0, 1)
		a := b.Appender.(*appender)
		a.mu.Lock()
		a.current.connection.cancel(errors.New("idle for too long"))
		a.mu.Unlock()
		time.Sleep(time.Minute)
		if a.traveller.failing || a.traveller.weather.rough.Load() {
			t.Error("it makes the weather")
		}
		send(b, 1, "b")
		wantWritten(t, b.results, 1, 1)
	})
}

// What stops a lane loudly, and a stream or table that is gone under rows, is seen at the table, and makes the next
// lane look at it anew. It does not matter who met it.
func TestWhatStopsALaneIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		response error
		repeats  bool
		wrote    bool
	}{
		"schema":                 {storageError(codes.InvalidArgument, 0, "Invalid proto schema"), false, false},
		"schema, default stream": {storageError(codes.InvalidArgument, 0, "Invalid proto schema"), true, false},
		"stream gone under rows": {storageError(codes.NotFound, storagepb.StorageError_STREAM_NOT_FOUND,
			"no stream"), false, true},
		"table gone, default stream": {
			storageError(codes.NotFound, storagepb.StorageError_TABLE_NOT_FOUND, "no table"), true, true,
		},
		"table gone, and nothing went yet": {
			storageError(codes.NotFound, storagepb.StorageError_TABLE_NOT_FOUND, "no table"), true, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake, s, _ := bubble(t, nil)
				b := launch(t, s, c.repeats)
				defer b.Close()
				before, err := s.Table(t.Context(), stockRoute)
				if err != nil {
					t.Fatal(err)
				}
				if c.wrote {
					send(b, 0, "a")
					wantWritten(t, b.results, 0, 1)
				}
				fake.on(func(*storagepb.AppendRowsRequest, bool) (*storagepb.AppendRowsResponse, error) {
					return nil,
						c.response
				})
				send(b, 1, "b")
				if r := <-b.results; r.Err == nil {
					t.Fatalf("got %+v", r)
				}
				if got := s.Troubles()[before.Name()]; got.State != stateRefused || got.Reason == "" {
					t.Errorf("seen %+v", got)
				}
				if after, err := s.Table(t.Context(), stockRoute); err != nil || after == before {
					t.Errorf("the table is believed in: %v", err)
				}
			})
		})
	}
}
