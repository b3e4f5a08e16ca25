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
		if n := logged.at(slog.LevelWarn, "refuses"); len(n) != 1 {
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

// A refusal that nobody meets any more, because its contract has another table now, does not stay for ever; one that is met again does.
func TestARefusalThatNobodyMeetsFades(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s, logged := bubble(t, nil)
		w := s.weatherOf("projects/p/datasets/d/tables/t")
		for range 3 {
			w.refuse(wayTable, "does not fit", time.Now())
			time.Sleep(refusedFor - time.Second)
		}
		if got := w.trouble(); got.State != stateRefused || got.Faults != 3 || testutil.ToFloat64(s.metrics.troubles.WithLabelValues(stateRefused)) != 1 {
			t.Errorf("seen %+v", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := w.trouble(); got.State != "" || w.rough.Load() || testutil.ToFloat64(s.metrics.troubles.WithLabelValues(stateRefused)) != 0 {
			t.Errorf("seen %+v", got)
		}
		if w, i := logged.at(slog.LevelWarn, "refuses"), logged.at(slog.LevelInfo, "refuses nothing"); len(w) != 1 || len(i) != 1 {
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
		if n := s.Troubles(); len(n) != 0 || len(logged.at(slog.LevelWarn, "")) != 0 {
			t.Errorf("seen %v", n)
		}
		if again, err := s.Table(t.Context(), stockRoute); err != nil || again == table {
			t.Errorf("the table is believed in: %v", err)
		}
	})
}
