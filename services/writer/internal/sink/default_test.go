package sink

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// openDefault opens an appender on the default stream of the stock table.
func openDefault(t *testing.T, s *Sink) (stream string, a lane.Appender, results chan lane.Result) {
	t.Helper()
	table, err := s.Table(deadline(t), stockRoute)
	if err != nil {
		t.Fatal(err)
	}
	results = make(chan lane.Result, 1000)
	a = table.Default(func(r lane.Result) { results <- r })
	t.Cleanup(a.Close)
	return table.Name() + "/streams/_default", a, results
}

// Rows go to the default stream: nothing is created, no request has an offset (the fake refuses one), and results come
// in order.
func TestDefaultStream(t *testing.T) {
	fake, s := world(t)
	fake.bad = func(row string) bool { return strings.HasPrefix(row, "bad") }
	stream, a, results := openDefault(t, s)
	send(a, 0, "a b")
	send(a, 1, "c bad1 d bad2")
	send(a, 2, "e")
	wantWritten(t, results, 0, 2)
	if r := receive(t, results); r.ID != 1 || len(r.Refused) != 2 || r.Refused[0].Row != 1 || r.Refused[1].Row != 3 {
		t.Fatalf("got %+v", r)
	}
	a.Resume()
	wantWritten(t, results, 1, 2)
	wantWritten(t, results, 2, 1)
	// The third may have been written before the rest of the second, but only once.
	got := strings.Fields(fake.held(stream))
	if slices.Sort(got); strings.Join(got, " ") != "a b c d e" {
		t.Errorf("stream holds %v", got)
	}
	if len(fake.created) != 0 {
		t.Errorf("%d write streams were created", len(fake.created))
	}
}

// The responses to some appends are lost: what was unanswered is sent again in order, and nothing is missing.
func TestDefaultStreamLostReplies(t *testing.T) {
	fake, s := world(t)
	stream, a, results := openDefault(t, s)
	lost := 0
	fake.on(func(r *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
		if row := string(r.GetProtoRows().GetRows().GetSerializedRows()[0]); written && lost < 3 &&
			strings.HasSuffix(row, "5") {
			lost++
			return nil, grpcstatus.Error(codes.Aborted, "Closing the stream because server is restarted.")
		}
		return nil, nil
	})
	const n = 30
	for i := range n {
		send(a, uint64(i), fmt.Sprintf("r%02d", i))
	}
	for i := range n {
		wantWritten(t, results, uint64(i), 1)
	}
	// The first writing of each row is in order.
	seen := map[string]bool{}
	var firsts []string
	for row := range strings.FieldsSeq(fake.held(stream)) {
		if !seen[row] {
			seen[row] = true
			firsts = append(firsts, row)
		}
	}
	if len(firsts) != n || !slices.IsSorted(firsts) {
		t.Errorf("rows come first in the order %v", firsts)
	}
	if lost == 0 {
		t.Error("no reply was lost")
	}
}

// What one kind of stream teaches about request sizes does not bound the other.
func TestLimitsOfTheKindsAreApart(t *testing.T) {
	_, s := world(t)
	s.bound(true).learn(70_000, time.Now())
	if s.limit.Load() == 70_000 || s.defaultLimit.Load() != 70_000 {
		t.Errorf("limits %d and %d", s.limit.Load(), s.defaultLimit.Load())
	}
}

// The table is deleted under a default stream: the appender ends, and the next lane makes the table anew.
func TestDefaultStreamOfARemovedTable(t *testing.T) {
	fake, s := world(t)
	_, a, results := openDefault(t, s)
	send(a, 0, "a")
	wantWritten(t, results, 0, 1)
	fake.on(func(*storagepb.AppendRowsRequest, bool) (*storagepb.AppendRowsResponse, error) {
		return nil, storageError(codes.NotFound, storagepb.StorageError_TABLE_NOT_FOUND, "no table")
	})
	fake.mu.Lock()
	clear(fake.tables)
	fake.mu.Unlock()
	send(a, 1, "b")
	if r := receive(t, results); r.ID != 1 || r.Err == nil {
		t.Fatalf("got %+v", r)
	}
	fake.on(nil)
	_, a, results = openDefault(t, s)
	if fake.mu.Lock(); fake.posts != 2 {
		t.Errorf("%d tables were made, want 2", fake.posts)
	}
	fake.mu.Unlock()
	send(a, 0, "b")
	wantWritten(t, results, 0, 1)
}
