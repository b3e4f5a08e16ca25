package lane

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/lanewire"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// odd is a sink that writes at once, but for what a test asks of it.
type odd struct {
	table, finalize, create, closing func()
	append                           func(id uint64, rows int, results func(Result))
}

func call(f func()) {
	if f != nil {
		f()
	}
}

func (o *odd) Table(context.Context, *lanev1.Route) (Table, error) {
	call(o.table)
	return o, nil
}

func (o *odd) Finalize(context.Context, string) (int64, error) {
	call(o.finalize)
	return 0, nil
}

func (o *odd) Name() string { return "projects/p/datasets/d/tables/t" }

func (o *odd) Create(context.Context) (string, error) {
	call(o.create)
	return o.Name() + "/streams/s", nil
}

func (o *odd) Open(_ string, _ int64, results func(Result)) Appender { return &oddAppender{o, results} }

func (o *odd) Default(results func(Result)) Appender { return &oddAppender{o, results} }

type oddAppender struct {
	sink    *odd
	results func(Result)
}

func (a *oddAppender) Append(id uint64, rows int, data mem.BufferSlice) {
	data.Free()
	if a.sink.append == nil {
		a.results(Result{ID: id, Written: rows})
		return
	}
	a.sink.append(id, rows, a.results)
}

func (a *oddAppender) Resume() {}

func (a *oddAppender) Close() { call(a.sink.closing) }

type laneCall = grpc.BidiStreamingClient[lanev1.LaneRequest, lanev1.LaneResponse]

// openLane opens a lane of one table, says that its opening is durable, and returns what it was told.
func openLane(t *testing.T, w *writer, delivery lanev1.Delivery) (laneCall, *lanev1.Opened) {
	t.Helper()
	c, err := w.client.Lane(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	say(t, c, &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{
		Group: "g", Topic: "t",
		Routes: []*lanev1.Route{
			{Table: "t", Row: &lanev1.Route_Message{Message: "m"}, Delivery: delivery},
		},
	}}})
	m, err := c.Recv()
	if err != nil {
		t.Fatal(err)
	}
	say(t, c, durable(0))
	return c, m.GetOpened()
}

func say(t *testing.T, c laneCall, m any) {
	t.Helper()
	if err := c.SendMsg(m); err != nil {
		t.Fatal(err)
	}
}

func oneRow(sequence uint64, size int) *lanewire.Append {
	return &lanewire.Append{
		Sequence: sequence, EndPosition: int64(sequence),
		Blocks: []lanewire.Block{{Rows: 1, Bytes: entry1(strings.Repeat("x", size))}},
	}
}

const (
	atLeastOnce = lanev1.Delivery_DELIVERY_AT_LEAST_ONCE
	exactlyOnce = lanev1.Delivery_DELIVERY_EXACTLY_ONCE
)

// flood sends appends and reads nothing of what comes back, until the call ends.
func flood(c laneCall, size int) {
	for n := uint64(1); c.SendMsg(oneRow(n, size)) == nil; n++ {
		time.Sleep(time.Millisecond) // The window is never full: all is settled at once.
	}
}

// A drain ends by its deadline, whatever a lane's ingest does: one that reads nothing keeps the lane's owner in Send.
func TestDrainEndsALaneWhoseIngestDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(1 << 20)
		w := startWriter(t, &Service{Sink: &odd{}, Budget: budget})
		defer w.stop()
		c, _ := openLane(t, w, atLeastOnce)
		go flood(c, 10)
		time.Sleep(time.Minute)
		before := w.Status()[0].Position
		time.Sleep(time.Minute)
		if s := w.Status(); s[0].Position != before {
			t.Fatalf("the lane goes on though nobody reads: %+v", s)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := w.Drain(ctx, "test"); !errors.Is(err, context.DeadlineExceeded) ||
			strings.Contains(err.Error(), "have not ended") {
			t.Errorf("drained: %v", err)
		}
		if took := time.Since(start); took > time.Second+endsWithin {
			t.Errorf("the drain took %v", took)
		}
		if budget.Used() != 0 || len(w.Status()) != 0 {
			t.Errorf("%d bytes are held by %d lanes", budget.Used(), len(w.Status()))
		}
	})
}

// A lane whose ingest does not read makes room for those that wait for it.
func TestALaneThatIsNotReadMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWriter(t, &Service{Sink: &odd{}, Budget: NewBudget(1000)})
		defer w.stop()
		deaf, _ := openLane(t, w, atLeastOnce)
		go flood(deaf, 10)
		time.Sleep(time.Minute)
		held := w.Budget.Used()
		w.Budget.charge(1000-held, nil)
		c, _ := openLane(t, w, atLeastOnce)
		say(t, c, oneRow(1, 10))
		start := time.Now()
		if m, err := c.Recv(); m.GetSettled() == nil {
			t.Fatalf("%v, %v", m, err)
		}
		if took := time.Since(start); held == 0 || took > 2*patience {
			t.Errorf("%d bytes were held, and given back after %v", held, took)
		}
	})
}

// A panic ends the lane that met it, wherever it was met, and nothing else: all that the lane held is given back, and a
// drain knows that it is gone.
func TestAPanicLeavesNothingBehind(t *testing.T) {
	broken := func() { panic("a fault of the program") }
	token := encodeFor(t)
	for name, test := range map[string]struct {
		sink       *odd
		checkpoint string
		opens      bool
	}{
		"in an append":          {&odd{append: func(uint64, int, func(Result)) { broken() }}, "", true},
		"in preparing a table":  {&odd{table: broken}, "", true},
		"in creating a stream":  {&odd{create: broken}, "", true},
		"in fencing a stream":   {&odd{finalize: broken}, token, false},
		"in looking at a table": {&odd{table: broken}, token, false},
		"in closing its appender": {&odd{
			closing: broken,
			append: func(id uint64, _ int, results func(Result)) {
				results(
					Result{ID: id, Err: errors.New("broken")})
			},
		}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				budget, metrics := NewBudget(1<<20), NewMetrics(nil)
				var log bytes.Buffer
				w := startWriter(t, &Service{
					Sink: test.sink, Budget: budget, Metrics: metrics, Log: slog.New(slog.NewTextHandler(&log, nil)),
				})
				defer w.stop()
				c, err := w.client.Lane(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				say(t, c, &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{
					Group: "g", Topic: "t", Checkpoint: test.checkpoint,
					Routes: []*lanev1.Route{{Table: "t", Row: &lanev1.Route_Message{Message: "m"}}},
				}}})
				if test.opens {
					if _, err = c.Recv(); err != nil {
						t.Fatal(err)
					}
					say(t, c, durable(0))
					say(t, c, oneRow(1, 10))
				}
				for err == nil {
					var m *lanev1.LaneResponse
					if m, err = c.Recv(); m.GetCheckpoint() != nil {
						say(t, c, durable(m.GetCheckpoint().GetBarrier()))
					}
				}
				if want := codes.Internal; status.Code(err) != want && name != "in closing its appender" {
					t.Errorf("the call ended with %v", err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := w.Drain(ctx, "test"); err != nil {
					t.Errorf("drained: %v", err)
				}
				if budget.Used() != 0 {
					t.Errorf("%d bytes are held by no lane", budget.Used())
				}
				if !strings.Contains(log.String(), "a lane panicked") ||
					!strings.Contains(log.String(), "end_test.go") {
					t.Errorf("the log does not say where: %s", log.String())
				}
				if n := testutil.CollectAndCount(metrics.ends); n != 1 {
					t.Errorf("%d kinds of ends are counted", n)
				}
			})
		})
	}
}

// encodeFor makes the checkpoint that openLane's lane would be opened with after a crash.
func encodeFor(t *testing.T) string {
	t.Helper()
	token := ""
	synctest.Test(t, func(t *testing.T) {
		w := startWriter(t, &Service{Sink: &odd{}})
		defer w.stop()
		c, _ := openLane(t, w, exactlyOnce)
		say(t, c, oneRow(1, 10))
		m, err := c.Recv()
		if err != nil {
			t.Fatal(err)
		}
		token = m.GetCheckpoint().GetCheckpoint()
	})
	return token
}

// A lane that does not end though it is cut, which only a fault of the program could bring about, does not keep a
// drain.
func TestDrainGivesUpOnALaneThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		w := startWriter(t, &Service{Sink: &odd{closing: func() { <-stuck }}})
		defer w.stop()
		c, _ := openLane(t, w, atLeastOnce)
		say(t, c, oneRow(1, 10))
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := w.Drain(ctx, "test"); err == nil || !strings.Contains(err.Error(), "1 lanes have not ended") ||
			time.Since(start) != time.Second+cutWithin {
			t.Errorf("drained after %v: %v", time.Since(start), err)
		}
		close(stuck)
	})
}

// A call that brings no Open ends by itself.
func TestACallWithoutOpenEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWriter(t, &Service{Sink: &odd{}, Limits: Limits{OpenWithin: 3 * time.Second}})
		defer w.stop()
		open, _ := openLane(t, w, atLeastOnce)
		c, err := w.client.Lane(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := c.Recv(); status.Code(err) != codes.Unavailable || time.Since(start) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		say(t, open, oneRow(1, 1)) // the one that was opened goes on
		if m, err := open.Recv(); m.GetSettled() == nil {
			t.Errorf("%v, %v", m, err)
		}
	})
}

// How a lane ended is logged as loudly as somebody has to act, and told with the lane's name.
func TestHowALaneEnded(t *testing.T) {
	for _, test := range []struct {
		err   error
		level string
	}{
		{nil, "INFO"},
		{status.Error(codes.Canceled, "x"), "WARN"},
		{status.Error(codes.Aborted, "x"), "WARN"},
		{status.Error(codes.FailedPrecondition, "x"), "ERROR"},
		{status.Error(codes.InvalidArgument, "x"), "ERROR"},
		{status.Error(codes.Internal, "x"), "ERROR"},
		{errors.New("x"), "WARN"},
	} {
		l := bare(t, 0)
		var log bytes.Buffer
		l.log = slog.New(slog.NewTextHandler(&log, nil))
		got := l.logEnd(test.err)
		if !strings.Contains(log.String(), "level="+test.level) {
			t.Errorf("%v: logged %s", test.err, log.String())
		}
		_, known := status.FromError(test.err)
		if test.err != nil && (status.Code(got) != status.Code(test.err) ||
			known && !strings.Contains(got.Error(), "lane t/0: x")) || test.err == nil && got != nil {
			t.Errorf("%v: told %v", test.err, got)
		}
	}
}

// A call that its caller gives up is cancelled, not invalid.
func TestACallThatBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		metrics := NewMetrics(nil)
		w := startWriter(t, &Service{Sink: &odd{}, Metrics: metrics})
		openLane(t, w, atLeastOnce)
		w.stop()
		synctest.Wait()
		if n := testutil.ToFloat64(metrics.ends.WithLabelValues("Canceled")); n != 1 {
			t.Errorf("%v calls were cancelled", n)
		}
	})
}

// A drain without a deadline tells none.
func TestDrainWithoutDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWriter(t, &Service{Sink: &odd{}})
		defer w.stop()
		c, _ := openLane(t, w, atLeastOnce)
		synctest.Wait()
		drained := make(chan error, 1)
		go func() { drained <- w.Drain(t.Context(), "test") }()
		if m, err := c.Recv(); m.GetDrain() == nil || m.GetDrain().Within != nil {
			t.Errorf("%v, %v", m, err)
		}
		if err := c.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}

// A lane does not say that it has closed without a checkpoint that shows it.
func TestCloseWithoutACheckpoint(t *testing.T) {
	l, h := bare(t, 0), &recorder{}
	l.stream, l.open.Topic = h, strings.Repeat("t", 5000)
	if err := l.close(); status.Code(err) != codes.FailedPrecondition || len(h.sent) > 0 {
		t.Errorf("%v; ingest got %v", err, h.sent)
	}
}

// What a job could not do is the lane's fault only while the lane is there.
func TestSinkFault(t *testing.T) {
	l := bare(t, 0)
	l.stream = &recorder{}
	if err := l.sinkFault("make a table", errors.New("no")); status.Code(err) != codes.FailedPrecondition ||
		!strings.Contains(err.Error(), "make a table: no") {
		t.Error(err)
	}
	if err := l.sinkFault("make a table", context.Canceled); status.Code(err) != codes.Canceled {
		t.Error(err)
	}
	l.cancel()
	if err := l.sinkFault("make a table", errors.New("no")); status.Code(err) != codes.Canceled {
		t.Error(err)
	}
}
