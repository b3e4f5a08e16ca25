package lane

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// fakeConn is a connection whose only call is a script.
type fakeConn struct {
	grpc.ClientConnInterface
	grpc.ClientStream
	// ctx is that of the call, once there is one.
	ctx context.Context
	// send is asked for each message sent, by its number from 0; nil takes all.
	send func(n int) error
	sent int
	// message is called with each message sent; nil: nobody does.
	message func(m any)
	// responses are what the writer says, before it ends the call with end.
	responses []*lanev1.LaneResponse
	end       error
}

func (c *fakeConn) NewStream(
	ctx context.Context, _ *grpc.StreamDesc, _ string, _ ...grpc.CallOption,
) (grpc.ClientStream, error) {
	c.ctx = ctx
	return c, nil
}

func (c *fakeConn) SendMsg(m any) error {
	if c.message != nil {
		c.message(m)
	}
	n := c.sent
	c.sent++
	if c.send == nil {
		return nil
	}
	return c.send(n)
}

func (c *fakeConn) RecvMsg(m any) error {
	if len(c.responses) == 0 {
		return c.end
	}
	proto.Merge(m.(*lanev1.LaneResponse), c.responses[0])
	c.responses = c.responses[1:]
	return nil
}

// opens is a writer that opens the lane, and says no more.
func opens() *fakeConn {
	return &fakeConn{end: io.EOF, responses: []*lanev1.LaneResponse{
		{Message: &lanev1.LaneResponse_Opened{Opened: &lanev1.Opened{Checkpoint: "opened"}}},
	}}
}

// spot is a partition that is asked nothing it would not know: its offsets, and what is committed.
type spot struct {
	Partition
	position, oldest, newest int64
	// bounds and commit fail what they name; nil: it works.
	bounds, commit error
	// committing is called before a commit, recalling before what is committed is read; reading before a read, which
	// fails.
	committing, recalling, reading func()
	commits                        []Pair
}

func (*spot) Topic() string   { return "orders" }
func (*spot) Number() int32   { return 3 }
func (*spot) Cluster() string { return "c" }

func (*spot) Trouble() string { return "" }

func (s *spot) Behind(position int64) int64 { return s.newest - position }

func (s *spot) Committed(context.Context) (Pair, error) {
	if s.recalling != nil {
		s.recalling()
	}
	return Pair{s.position, "committed"}, nil
}

func (s *spot) Range(context.Context) (int64, int64, error) { return s.oldest, s.newest, s.bounds }

func (s *spot) Commit(_ context.Context, p Pair) error {
	if s.committing != nil {
		s.committing()
	}
	s.commits = append(s.commits, p)
	return s.commit
}

func (s *spot) Read(context.Context, int64) (Reader, error) {
	if s.reading != nil {
		s.reading()
	}
	return nil, io.ErrNoProgress
}

// laneAt is a lane that has not run, at a partition and with a writer. Its log is the second result.
func laneAt(partition Partition, conn grpc.ClientConnInterface) (*Lane, *logtest.Log) {
	n := new(logtest.Log)
	log := n.Logger()
	budget := NewBudget(1 << 20)
	l := &Lane{
		Partition: partition, Writers: conn, Contracts: &keyContracts{fingerprint: 7, versions: &keyVersions{}},
		Group:  "g",
		Config: testConfig(), Budget: budget, Metrics: NewMetrics(prometheus.NewRegistry(), budget),
		Weather: NewWeather("dns:///writer", log), Log: log,
	}
	l.Announce()
	return l, n
}

// placeOnce is a placer with one place, which notes what it is given.
type placeOnce struct {
	err     error // of Place
	changed chan struct{}
	// bound is called with the context of the call, and gives it up with an error at once if it returns one.
	bound func(ctx context.Context) error
	order Order
	// elsewhere is what Look says whatever it is asked.
	elsewhere bool

	base  context.Context // that was given to Bind
	looks []bool
	ended []error
}

func (p *placeOnce) Place(context.Context, string, int32, func(string)) (Place, error) {
	if p.err != nil {
		return nil, p.err
	}
	return p, nil
}

func (p *placeOnce) Changed() <-chan struct{} { return p.changed }

func (p *placeOnce) Bind(ctx context.Context, _ func()) context.Context {
	p.base = ctx
	bound, cancel := context.WithCancelCause(ctx)
	if p.bound != nil {
		if err := p.bound(ctx); err != nil {
			cancel(err)
		}
	}
	context.AfterFunc(ctx, func() { cancel(nil) })
	return bound
}

func (*placeOnce) Opened(*lanev1.Opened) error { return nil }

func (p *placeOnce) Look(drains bool) (order Order, elsewhere bool) {
	p.looks = append(p.looks, drains)
	order, p.order = p.order, Order{}
	return order, p.elsewhere
}

func (p *placeOnce) End(err error) { p.ended = append(p.ended, err) }

// hooked is a handler of log lines that calls a function at one of them.
type hooked struct {
	slog.Handler
	line string
	then func()
}

func (s *hooked) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == s.line {
		s.then()
	}
	return s.Handler.Handle(ctx, r)
}

func (s *hooked) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &hooked{s.Handler.WithAttrs(attrs), s.line, s.then}
}

// within waits for something that a goroutine does.
func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("not within a minute: " + what)
	}
}

var errGiven = errors.New("the writer says nothing")

// matches reports whether an error says so; there is none where nothing is to be said.
func matches(err error, says string) bool {
	if says == "" {
		return err == nil
	}
	return err != nil && strings.Contains(err.Error(), says)
}
