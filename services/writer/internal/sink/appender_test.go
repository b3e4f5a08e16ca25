package sink

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/config"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

func TestMain(m *testing.M) {
	// The laws are quick, and what they find takes some hundreds of tries.
	if err := flag.Set("rapid.checks", "2000"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

var stockRoute = &lanev1.Route{
	Table: "physical_stock_events", Row: &lanev1.Route_Message{Message: "stock.v1.PhysicalStockEvent"},
	Layout: &lanev1.Layout{PartitionField: "event_time", ClusterFields: []string{"event_type"}},
}

// openStream opens an appender on a new stream; the channel takes its results.
func openStream(t *testing.T, s *Sink) (stream string, a lane.Appender, results chan lane.Result) {
	t.Helper()
	table, err := s.Table(deadline(t), stockRoute)
	if err != nil {
		t.Fatal(err)
	}
	if stream, err = table.Create(deadline(t)); err != nil {
		t.Fatal(err)
	}
	results = make(chan lane.Result, 1000)
	a = table.Open(stream, 0, func(r lane.Result) { results <- r })
	t.Cleanup(a.Close)
	return stream, a, results
}

func words(text string) (int, mem.BufferSlice) {
	var rows [][]byte
	for word := range strings.FieldsSeq(text) {
		rows = append(rows, []byte(word))
	}
	return len(rows), frame(rows...)
}

func send(a lane.Appender, id uint64, text string) {
	n, data := words(text)
	a.Append(id, n, data)
}

func receive(t *testing.T, results chan lane.Result) lane.Result {
	t.Helper()
	select {
	case r := <-results:
		return r
	case <-deadline(t).Done():
		t.Fatal("no result")
		return lane.Result{}
	}
}

func wantWritten(t *testing.T, results chan lane.Result, id uint64, rows int) {
	t.Helper()
	if r := receive(t, results); r.ID != id || r.Written != rows || r.Err != nil || len(r.Refused) > 0 {
		t.Fatalf("got result %+v, want %d with %d rows written", r, id, rows)
	}
}

// carryAll sends n texts at once, and wants each to be written and the stream to hold them in order, once.
func carryAll(
	t *testing.T, fake *fakeBigQuery, stream string, a lane.Appender, results chan lane.Result, n int,
	text func(i int) string,
) {
	t.Helper()
	var want []string
	for i := range n {
		want = append(want, text(i))
		send(a, uint64(i), want[i])
	}
	for i := range n {
		wantWritten(t, results, uint64(i), len(strings.Fields(want[i])))
	}
	if got := fake.held(stream); got != strings.Join(want, " ") {
		t.Errorf("stream holds %s", got)
	}
}

func TestAppendPipelined(t *testing.T) {
	fake, s := world(t)
	stream, a, results := openStream(t, s)
	carryAll(t, fake, stream, a, results, 100, func(i int) string { return fmt.Sprintf("a%d b%d", i, i) })
	fake.mu.Lock()
	defer fake.mu.Unlock()
	if want := "write_stream=" + strings.ReplaceAll(stream, "/", "%2F"); len(fake.params) != 1 ||
		fake.params[0] != want {
		t.Errorf("x-goog-request-params %q, want one %q", fake.params, want)
	}
}

// Replies are lost after the rows are written, again and again: nothing is written twice, and nothing is missing.
func TestAppendLostReplies(t *testing.T) {
	fake, s := world(t)
	stream, a, results := openStream(t, s)
	lost := 0
	fake.on(func(r *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
		if written && lost < 4 && r.GetOffset().GetValue()%6 == 4 {
			lost++
			return nil, grpcstatus.Error(codes.Aborted, "Closing the stream because server is restarted.")
		}
		return nil, nil
	})
	carryAll(t, fake, stream, a, results, 20, func(i int) string { return fmt.Sprintf("a%d b%d", i, i) })
	if lost == 0 {
		t.Error("no reply was lost")
	}
}

func TestAppendRefusedRows(t *testing.T) {
	fake, s := world(t)
	fake.bad = func(row string) bool { return strings.HasPrefix(row, "bad") }
	stream, a, results := openStream(t, s)
	send(a, 1, "a b")
	send(a, 2, "c bad1 d bad2")
	send(a, 3, "e")
	wantWritten(t, results, 1, 2)
	r := receive(t, results)
	if len(r.Refused) != 2 || r.Refused[0].Row != 1 || r.Refused[1].Row != 3 || r.Refused[0].Code != "FIELDS_ERROR" ||
		r.Written != 0 {
		t.Fatalf("got %+v", r)
	}
	if got := fake.held(stream); got != "a b" {
		t.Fatalf("before Resume the stream holds %s", got)
	}
	a.Resume()
	wantWritten(t, results, 2, 2)
	wantWritten(t, results, 3, 1)
	if got := fake.held(stream); got != "a b c d e" {
		t.Errorf("stream holds %s", got)
	}
}

// A peer that swallows requests and says nothing is given up after the append timeout.
func TestAppendStalled(t *testing.T) {
	t.Parallel()
	fake, s := world(t, func(c *Config) { c.AppendTimeout = config.Duration(300 * time.Millisecond) })
	stream, a, results := openStream(t, s)
	swallowed := false
	fake.on(func(*storagepb.AppendRowsRequest, bool) (*storagepb.AppendRowsResponse, error) {
		if !swallowed {
			swallowed = true
			time.Sleep(time.Second) // Longer than the timeout: the response comes to nobody.
		}
		return nil, nil
	})
	send(a, 1, "a")
	wantWritten(t, results, 1, 1)
	if got := fake.held(stream); got != "a" {
		t.Errorf("stream holds %s", got)
	}
}

func TestAppendFinalizedByNewOwner(t *testing.T) {
	_, s := world(t)
	stream, a, results := openStream(t, s)
	send(a, 1, "a b")
	wantWritten(t, results, 1, 2)
	for range 2 {
		if rows, err := s.Finalize(deadline(t), stream); err != nil || rows != 2 {
			t.Fatalf("finalize: %d, %v", rows, err)
		}
	}
	send(a, 2, "c")
	if r := receive(t, results); r.ID != 2 || !errors.Is(r.Err, lane.ErrFinalized) {
		t.Fatalf("got %+v", r)
	}
}

func TestAppendSomebodyElseWrote(t *testing.T) {
	fake, s := world(t)
	stream, a, results := openStream(t, s)
	fake.mu.Lock()
	fake.streams[stream].rows = []string{"foreign"}
	fake.mu.Unlock()
	send(a, 1, "a")
	if r := receive(t, results); r.ID != 1 || r.Err == nil || errors.Is(r.Err, lane.ErrFinalized) {
		t.Fatalf("got %+v", r)
	}
}

// The limit is learnt from the error, for this stream and for those to come.
func TestAppendLearnsRequestLimit(t *testing.T) {
	fake, s := world(t)
	const limit = 80_000
	fake.on(func(r *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
		size := 0
		for _, row := range r.GetProtoRows().GetRows().GetSerializedRows() {
			size += len(row)
		}
		if !written && size > limit {
			return nil, grpcstatus.Errorf(codes.InvalidArgument, "AppendRows request too large: %d limit %d", size,
				limit)
		}
		return nil, nil
	})
	stream, a, results := openStream(t, s)
	row := strings.Repeat("x", 10_000)
	send(a, 1, strings.Repeat(row+" ", 30)+" end")
	send(a, 2, "small")
	wantWritten(t, results, 1, 31)
	wantWritten(t, results, 2, 1)
	if got := fake.held(stream); !strings.HasSuffix(got, "x end small") || len(got) != 30*10_001+9 {
		t.Errorf("stream holds %d bytes", len(got))
	}
	if got := s.limit.Load(); got > limit {
		t.Errorf("limit of the sink is %d", got)
	}
	send(a, 3, strings.Repeat("y", 2*limit))
	if r := receive(t, results); len(r.Refused) != 1 || r.Refused[0].Code != "ROW_TOO_LARGE" {
		t.Fatalf("got %+v", r)
	}
}

// Close ends everything at once, whatever is under way, and gives every buffer back.
func TestAppendClose(t *testing.T) {
	fake, s := world(t)
	fake.on(func(*storagepb.AppendRowsRequest, bool) (*storagepb.AppendRowsResponse, error) {
		return nil, grpcstatus.Error(codes.Unavailable, "away")
	})
	// gRPC forgets rows that reach its writing goroutine after their call has ended (controlbuf.go, preprocessData):
	// they are left to the garbage collector. That happens to one close in hundreds, and what we forget to every one.
	const tries = 5
	for try := range tries {
		pool := closeInTheMiddle(t, s)
		if try == tries-1 {
			waitFor(t, func() bool { return pool.out.Load() == 0 }, "buffers are still held")
			return
		}
		for range 300 {
			if pool.out.Load() == 0 {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// closeInTheMiddle closes an appender that has rows under way, and returns the pool of their buffers.
func closeInTheMiddle(t *testing.T, s *Sink) *countingPool {
	t.Helper()
	_, a, results := openStream(t, s)
	pool := &countingPool{}
	for i := range 10 {
		buffer := make([]byte, 4096)
		for j := range 2048 {
			buffer[2*j], buffer[2*j+1] = 0x0a, 0
		}
		pool.out.Add(1)
		a.Append(uint64(i), 2048, mem.BufferSlice{mem.NewBuffer(&buffer, pool)})
	}
	time.Sleep(20 * time.Millisecond) // Let it be in the middle of something; any moment will do.
	a.Close()
	if len(results) > 0 {
		t.Errorf("results: %+v", <-results)
	}
	return pool
}

func TestFinalize(t *testing.T) {
	fake, s := world(t)
	fake.finalizes = []error{grpcstatus.Error(codes.Unavailable, "away"), grpcstatus.Error(codes.Internal, "oops")}
	fake.streams["s"] = &fakeStream{rows: []string{"a"}}
	if rows, err := s.Finalize(deadline(t), "s"); err != nil || rows != 1 {
		t.Errorf("got %d, %v", rows, err)
	}
	if _, err := s.Finalize(deadline(t), "none"); !errors.Is(err, lane.ErrStreamGone) {
		t.Errorf("got %v", err)
	}
}

// More calls than one connection takes do not hang.
func TestManyStreams(t *testing.T) {
	_, s := world(t)
	var all []chan lane.Result
	for i := range 170 {
		_, a, results := openStream(t, s)
		send(a, uint64(i), "a")
		all = append(all, results)
	}
	for i, results := range all {
		wantWritten(t, results, uint64(i), 1)
	}
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	if n := len(s.pool.members); n != 3 {
		t.Errorf("%d connections for 170 streams, want 3", n)
	}
}

// Responses to an earlier connection, and its end, concern nobody any more; nor does anything after Close.
func TestLateResponsesFindNobody(t *testing.T) {
	fake, s := world(t)
	hold := make(chan struct{})
	fake.on(func(_ *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
		if !written {
			<-hold
		}
		return nil, nil
	})
	_, opened, results := openStream(t, s)
	a := opened.(*appender)
	send(a, 1, "a")
	waitFor(t, func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.queue.sent == 1 && a.current != nil
	}, "nothing is under way")
	late := &seat{a.current.connection, a}
	a.received(late, &reply{offset: 0})
	a.received(late, &reply{offset: -1, fault: &fault{kind: fatal}})
	a.lost(late, &fault{kind: fatal})
	if len(results) != 0 {
		t.Errorf("got %+v", <-results)
	}
	close(hold)
	wantWritten(t, results, 1, 1)
	present := a.current
	a.Close()
	a.received(present, &reply{offset: 1})
	a.lost(present, &fault{kind: fatal})
	if len(results) != 0 {
		t.Errorf("after Close: %+v", <-results)
	}
}

// What is rejected behind a rejected request is its consequence, and not counted.
func TestConsequencesAreNotCounted(t *testing.T) {
	fake, s := world(t)
	fake.bad = func(row string) bool { return row == "bad" }
	_, a, results := openStream(t, s)
	send(a, 1, "bad x")
	send(a, 2, "b")
	send(a, 3, "c")
	receive(t, results)
	waitFor(t, func() bool {
		a := a.(*appender)
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.queue.draining == 0
	}, "responses are missing")
	a.Resume()
	for id := range uint64(3) {
		wantWritten(t, results, id+1, 1)
	}
	bad := testutil.ToFloat64(s.metrics.faults.WithLabelValues("INVALID_ARGUMENT"))
	behind := testutil.ToFloat64(s.metrics.faults.WithLabelValues("OFFSET_OUT_OF_RANGE"))
	if bad != 1 || behind != 0 {
		t.Errorf("%v and %v faults are counted", bad, behind)
	}
}
