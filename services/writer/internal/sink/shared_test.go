package sink

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// openCalls is how many AppendRows calls there have been.
func openCalls(f *fakeBigQuery) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.params)
}

// Lanes of one table share calls; each has its own results, in its own order.
func TestLanesOfADefaultStreamShareCalls(t *testing.T) {
	fake, s := world(t)
	const lanes, batches = 2*lanesPerCall + 1, 20
	var all sync.WaitGroup
	stream := ""
	for i := range lanes {
		name, a, results := openDefault(t, s)
		stream = name
		all.Go(func() {
			for b := range uint64(batches) {
				send(a, b, fmt.Sprintf("l%d-b%d-x l%d-b%d-y", i, b, i, b))
			}
			for b := range uint64(batches) {
				wantWritten(t, results, b, 2)
			}
		})
	}
	all.Wait()
	rows := strings.Fields(fake.held(stream))
	slices.Sort(rows)
	if n := len(rows); n != lanes*batches*2 || len(slices.Compact(rows)) != n {
		t.Errorf("%d rows, want %d, each once", n, lanes*batches*2)
	}
	if n := openCalls(fake); n != 3 {
		t.Errorf("%d AppendRows calls for %d lanes, want 3", n, lanes)
	}
	if n := testutil.ToFloat64(s.metrics.calls); n != 3 {
		t.Errorf("the gauge says %v calls", n)
	}
}

// A call ends with its last lane, and a place that a lane leaves is taken by the next.
func TestASharedCallEndsWithItsLastLane(t *testing.T) {
	fake, s := world(t)
	var boats []lane.Appender
	for i := range lanesPerCall {
		_, a, results := openDefault(t, s)
		send(a, 0, fmt.Sprintf("a%d", i))
		wantWritten(t, results, 0, 1)
		boats = append(boats, a)
	}
	boats[3].Close()
	_, a, results := openDefault(t, s)
	send(a, 0, "b")
	wantWritten(t, results, 0, 1)
	if n := openCalls(fake); n != 1 {
		t.Errorf("%d calls", n)
	}
	for _, b := range append(boats, a) {
		b.Close()
	}
	if n := testutil.ToFloat64(s.metrics.calls); n != 0 {
		t.Errorf("%v calls are left", n)
	}
	_, a, results = openDefault(t, s)
	send(a, 0, "c")
	wantWritten(t, results, 0, 1)
	if n := openCalls(fake); n != 2 {
		t.Errorf("%d calls", n)
	}
}

// A lane that waits for its refused rows holds up nobody else, and its refusals are its own.
func TestARefusalOnASharedCallIsTheLanesOwn(t *testing.T) {
	fake, s := world(t)
	fake.bad = func(row string) bool { return row == "bad" }
	stream, sick, of := openDefault(t, s)
	_, well, results := openDefault(t, s)
	send(sick, 0, "a bad b")
	if r := receive(t, of); len(r.Refused) != 1 || r.Refused[0].Row != 1 {
		t.Fatalf("got %+v", r)
	}
	for i := range uint64(20) {
		send(well, i, fmt.Sprintf("w%d", i))
	}
	for i := range uint64(20) {
		wantWritten(t, results, i, 1)
	}
	if got := fake.held(stream); strings.Contains(got, "a ") || strings.Contains(got, "b") {
		t.Errorf("before Resume: %s", got)
	}
	sick.Resume()
	wantWritten(t, of, 0, 2)
	if n := openCalls(fake); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// A bad row that ends the call takes down the requests of all lanes on it. Only that row is refused, whoever else was
// alone with one request under way; the others' rows are all written.
func TestWhoseRowEndedASharedCallIsFoundOut(t *testing.T) {
	fake, s := world(t)
	gate := make(chan struct{})
	var once sync.Once
	fake.on(func(r *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
		if written {
			return nil, nil
		}
		once.Do(func() { <-gate }) // Until the requests of all lanes are under way.
		for _, row := range r.GetProtoRows().GetRows().GetSerializedRows() {
			if string(row) == "bad" {
				return nil, grpcstatus.Error(codes.InvalidArgument, "Cannot parse serialized row")
			}
		}
		return nil, nil
	})
	const lanes = 6
	type boat struct {
		a       lane.Appender
		results chan lane.Result
	}
	var boats []boat
	stream := ""
	for i := range lanes {
		name, a, results := openDefault(t, s)
		stream = name
		boats = append(boats, boat{a, results})
		if i == 3 {
			send(a, 0, "bad")
		} else {
			send(a, 0, fmt.Sprintf("good%d", i))
		}
	}
	waitFor(t, func() bool { return testutil.ToFloat64(s.metrics.appends) >= lanes }, "requests are not under way")
	close(gate)
	for i, b := range boats {
		if i == 3 {
			if r := receive(t, b.results); len(r.Refused) != 1 || r.Err != nil {
				t.Errorf("the bad row: %+v", r)
			}
			b.a.Resume()
			wantWritten(t, b.results, 0, 0)
			continue
		}
		wantWritten(t, b.results, 0, 1)
	}
	for i := range lanes {
		if got := fake.held(stream); i != 3 && !strings.Contains(got, fmt.Sprintf("good%d", i)) {
			t.Errorf("row of lane %d is missing: %s", i, got)
		}
	}
	// Afterwards they are together again.
	before := openCalls(fake)
	for _, b := range boats {
		send(b.a, 1, "later")
		wantWritten(t, b.results, 1, 1)
	}
	if n := openCalls(fake) - before; n > 2 { // a shared one, and one of the lane that had nothing written on its own
		t.Errorf("%d calls more for lanes that came back", n)
	}
}

// The network takes the call away again and again: each lane gets its own confirmations, and nothing is missing.
func TestASharedCallIsLost(t *testing.T) {
	fake, s := world(t)
	const lanes, batches = 8, 25
	n := 0
	fake.on(func(_ *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
		if n++; n%37 == 0 && n < 400 {
			return nil, grpcstatus.Error(codes.Aborted, "Closing the stream because server is restarted.")
		}
		return nil, nil
	})
	var all sync.WaitGroup
	stream := ""
	for i := range lanes {
		name, a, results := openDefault(t, s)
		stream = name
		all.Go(func() {
			for b := range uint64(batches) {
				send(a, b, fmt.Sprintf("l%d-b%d", i, b))
			}
			for b := range uint64(batches) {
				wantWritten(t, results, b, 1)
			}
		})
	}
	all.Wait()
	rows := strings.Fields(fake.held(stream))
	slices.Sort(rows)
	if got := len(slices.Compact(rows)); got != lanes*batches {
		t.Errorf("%d different rows, want %d", got, lanes*batches)
	}
}

// A shared call that takes no bytes keeps no lane from ending, and one lane's end ends no other's call.
func TestALaneEndsOnACallThatTakesNothing(t *testing.T) {
	t.Parallel()
	fake, s := world(t, func(c *Config) { c.AppendTimeout = config.Duration(time.Minute) })
	hold := make(chan struct{})
	_, b, others := openDefault(t, s)
	send(b, 0, "before")
	wantWritten(t, others, 0, 1)
	fake.on(func(*storagepb.AppendRowsRequest, bool) (*storagepb.AppendRowsResponse, error) {
		fake.mu.Unlock()
		<-hold
		fake.mu.Lock()
		return nil, nil
	})
	_, a, _ := openDefault(t, s)
	large := strings.Repeat(strings.Repeat("x", 1<<20)+" ", 8)
	for i := range uint64(4) {
		send(a, i, large)
	}
	time.Sleep(50 * time.Millisecond) // Let it block; any moment will do.
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.Close()
	}()
	select {
	case <-ended:
	case <-time.After(50 * time.Second):
		t.Fatal("the lane does not end")
	}
	close(hold)
	fake.on(nil)
	send(b, 1, "after")
	wantWritten(t, others, 1, 1)
}

// On a sink that is closed no call can be opened, and what was to sit on one is told.
func TestNoCallsOnAClosedSink(t *testing.T) {
	_, s := world(t)
	_, a, _ := openDefault(t, s)
	if err := s.pool.close(); err != nil {
		t.Fatal(err)
	}
	for _, private := range []bool{false, true} {
		if _, err := a.(*appender).dial(private); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("got %v", err)
		}
	}
	table := a.(*appender).table
	table.calls.mu.Lock()
	defer table.calls.mu.Unlock()
	if n := len(table.calls.open); n != 0 {
		t.Errorf("%d calls can be joined", n)
	}
}

// Who may sit where: a call that is stale or over takes nobody, one that could not be opened tells those who waited for
// it, and a private one is nobody else's.
func TestSeats(t *testing.T) {
	_, s := world(t)
	_, opened, results := openDefault(t, s)
	a := opened.(*appender)
	send(a, 0, "a")
	wantWritten(t, results, 0, 1)
	calls := &a.table.calls
	first, fresh := calls.seat(a)
	if fresh || first.connection != a.current.connection {
		t.Error("a call with room is not shared")
	}
	if calls.leave(first, false) {
		t.Error("the seat was the last")
	}
	stale, _ := calls.seat(a)
	if calls.leave(stale, true); len(calls.open) != 0 {
		t.Error("a stale call can be joined")
	}
	own, err := a.dial(true)
	if err != nil || len(calls.open) != 0 {
		t.Fatalf("a private call: %v, %d can be joined", err, len(calls.open))
	}
	a.part(own, false)
	away := errors.New("away")
	seat, fresh := calls.seat(a)
	if !fresh {
		t.Fatal("no call was there to join")
	}
	ended := make(chan error, 1)
	go func() {
		_, err := a.dial(false)
		ended <- err
	}()
	waitFor(t, func() bool {
		seat.connection.mu.Lock()
		defer seat.connection.mu.Unlock()
		return len(seat.connection.seats) == 2
	}, "nobody joins")
	seat.connection.failed = away
	close(seat.connection.dialled)
	if err := <-ended; !errors.Is(err, away) {
		t.Errorf("who waited gets %v", err)
	}
	a.part(seat, false)
	if len(calls.open) != 0 {
		t.Error("a call that could not be opened can be joined")
	}
	last, _ := calls.seat(a)
	if !calls.leave(last, false) || len(calls.open) != 0 {
		t.Error("a call can be joined after its last seat")
	}
}
