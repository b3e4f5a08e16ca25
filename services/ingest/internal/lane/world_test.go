package lane

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/pkg/lanewire"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keyContracts routes by the key: `a` and `b` are rows of tables a and b, `ignore` is ignored, all else unknown. A row
// is the value. A value that ends in `bad` is undecodable.
type keyContracts struct {
	fingerprint uint64
	decoded     int
	// versions are those of the process, at is the one of the call.
	versions *keyVersions
	at       int
}

func (k *keyContracts) Fingerprint() uint64 { return k.fingerprint }

func (*keyContracts) Match(r *record.Record) *record.Match {
	switch string(r.Key) {
	case "a":
		return &record.Match{Route: 0, Name: "as"}
	case "b":
		return &record.Match{Route: 1, Name: "bs"}
	case "ignore":
		return &record.Match{Action: record.Ignore}
	}
	return &record.Match{Action: record.Unknown, Reason: "no contract matches"}
}

func (k *keyContracts) AppendRow(dst []byte, r *record.Record, _ int64) ([]byte, error) {
	if strings.HasSuffix(string(r.Value), "bad") {
		return dst, errors.New("byte 0: bad")
	}
	k.decoded++
	return protowire.AppendBytes(append(dst, 0x0a), r.Value), nil
}

// pipes is a listener over net.Pipe: no sockets, so that it lives in a bubble of fake time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// world is everything outside of the lanes.
type world struct {
	t     *testing.T
	log   *partitionLog
	store *warehouse
	pipes *pipes
	model *modelWriter

	mu    sync.Mutex
	steps int
	trace []string
	// dieAt is the number of the step at which a process dies, 0 for never; writerDies says which.
	dieAt      int
	writerDies bool
	onDeath    func()
	// alter changes what writers say; nil: nothing. It is set before the first lane starts.
	alter func(*lanev1.LaneResponse)
	// skipped are offsets that an operator has skipped: their records are dead letters, or rows that were there before
	// the order was.
	skipped map[int64]bool
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, log: newPartitionLog(), store: &warehouse{}, pipes: newPipes()}
	w.store.explained = func(stream string) bool {
		var c modelCheckpoint
		if err := json.Unmarshal([]byte(w.log.pair().Checkpoint), &c); err != nil {
			return false
		}
		for _, table := range c.Tables {
			if table.Stream == stream {
				return true
			}
		}
		return false
	}
	w.model = &modelWriter{
		name: "w1", store: w.store, drain: make(chan struct{}), latency: 10 * time.Millisecond,
		step:   func(what string) bool { return !w.step("writer " + what) },
		limits: &lanev1.Limits{BlockBytes: 1 << 20, WindowBytes: 4 << 20, WindowBatches: 64},
	}
	w.serve(w.model)
	return w
}

// serve starts a gRPC server for the duration of the test.
func (w *world) serve(writer lanev1.LaneServiceServer) {
	server := grpc.NewServer(grpc.ForceServerCodecV2(lanewire.Codec()), grpc.WaitForHandlers(true),
		grpc.StreamInterceptor(w.intercept))
	lanev1.RegisterLaneServiceServer(server, writer)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(w.pipes) }()
	w.t.Cleanup(func() { server.Stop(); <-done })
}

// step counts the effects of the world. At the fatal one it kills a process; it returns true when that is the writer.
func (w *world) step(what string) (writerDied bool) {
	w.mu.Lock()
	w.steps++
	w.trace = append(w.trace, what)
	die, then, writer := w.steps == w.dieAt, w.onDeath, w.writerDies
	w.mu.Unlock()
	if die && then != nil {
		then()
	}
	return die && writer
}

// process is an ingest process with one lane.
type process struct {
	lane   *Lane
	member *member
	conns  []net.Conn
	conn   *grpc.ClientConn
	mu     sync.Mutex
	dead   bool
	stop   context.CancelFunc
	done   chan struct{}
}

func testConfig() Config {
	c := DefaultConfig()
	c.BatchBytes, c.Linger = 1<<16, 50*time.Millisecond
	return c
}

// leaveBehind produces five rows and has them written by a lane that dies before it has committed a position behind
// them.
func (w *world) leaveBehind() {
	w.produceRows("a", 5)
	p := w.start(func(p *process) { p.member.tick = time.Hour })
	time.Sleep(time.Second)
	p.kill()
	<-p.done
}

// start joins the group and runs a lane until stop or the end of the test.
func (w *world) start(adjust func(*process)) *process {
	p := &process{done: make(chan struct{})}
	p.member = w.log.join(func(what string) bool {
		if p.isDead() {
			return false
		}
		w.step("ingest " + what)
		return !p.isDead()
	})
	conn, err := grpc.NewClient("passthrough:///pipe", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			if p.isDead() {
				return nil, errDead
			}
			ours, theirs := net.Pipe()
			select {
			case w.pipes.conns <- theirs:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			p.mu.Lock()
			p.conns = append(p.conns, ours)
			p.mu.Unlock()
			return ours, nil
		}))
	if err != nil {
		w.t.Fatal(err)
	}
	p.conn = conn
	budget := NewBudget(64 << 20)
	p.lane = &Lane{
		Partition: p.member, Writers: conn, Contracts: &keyContracts{fingerprint: 7, versions: &keyVersions{}},
		Group:  "g",
		Config: testConfig(),
		Budget: budget, Metrics: NewMetrics(prometheus.NewRegistry(), budget), Log: slog.New(slog.DiscardHandler),
	}
	p.lane.Weather = NewWeather("pipe", p.lane.Log)
	if adjust != nil {
		adjust(p)
	}
	ctx, cancel := context.WithCancelCause(w.t.Context())
	p.stop = func() { cancel(nil) }
	var wait sync.WaitGroup
	wait.Go(func() { p.lane.Run(ctx) })
	ticks, noTicks := context.WithCancel(context.Background())
	ticker := make(chan struct{})
	go func() { defer close(ticker); p.member.commitTicks(ticks, func() { cancel(ErrFenced) }) }()
	go func() {
		wait.Wait()
		noTicks()
		<-ticker
		_ = conn.Close()
		close(p.done)
	}()
	w.t.Cleanup(func() { p.end() })
	return p
}

// end stops the lane as a stop signal does, and waits for it.
func (p *process) end() {
	p.stop()
	<-p.done
}

// kill cuts all I/O of the process at once.
func (p *process) kill() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	p.cut()
	p.stop()
}

// cut cuts the connections to writers.
func (p *process) cut() {
	p.mu.Lock()
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

func (p *process) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// settle waits until the committed position is the end of the partition.
func (w *world) settle() {
	w.t.Helper()
	deadline := time.Now().Add(30 * time.Minute)
	for w.log.pair().Position != w.log.end() {
		if time.Now().After(deadline) {
			w.t.Fatalf("not settled: committed %+v of %d; trace %v", w.log.pair(), w.log.end(), tail(w.trace))
		}
		time.Sleep(time.Second)
	}
	synctest.Wait()
}

func tail(trace []string) []string { return trace[max(0, len(trace)-40):] }

// verify checks that every record is where it belongs, once and in order.
func (w *world) verify() {
	w.t.Helper()
	want := map[string][]string{}
	var letters []int64
	for _, r := range w.log.records {
		key, value := string(r.Key), string(r.Value)
		switch {
		case r.Value == nil || key == "ignore":
		case w.skipped[r.Offset] && !slices.Contains(w.store.rows(key), value):
			letters = append(letters, r.Offset)
		case key != "a" && key != "b", strings.HasSuffix(value, "bad"), strings.HasSuffix(value, "refuse"):
			letters = append(letters, r.Offset)
		default:
			want[key] = append(want[key], value)
		}
	}
	for _, table := range []string{"a", "b"} {
		if diff := cmp.Diff(want[table], w.store.rows(table)); diff != "" {
			w.t.Errorf("table %s (-want +got):\n%s", table, diff)
		}
	}
	var got []int64
	for _, l := range w.log.letters {
		if w.skipped[l.Offset] && !slices.Contains(letters, l.Offset) {
			continue // who wrote it died before the record was left out
		}
		got = append(got, l.Offset)
		if was := w.log.records[l.Offset]; !bytes.Equal(l.Key, was.Key) || !bytes.Equal(l.Value, was.Value) {
			w.t.Errorf("dead letter %d has %q and %q, the record %q and %q", l.Offset, l.Key, l.Value, was.Key,
				was.Value)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(letters, slices.Compact(got)); diff != "" {
		w.t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	for _, broken := range w.store.broken {
		w.t.Error(broken)
	}
	for i, p := range w.log.history[min(1, len(w.log.history)):] {
		if p.Position < w.log.history[i].Position {
			w.t.Errorf("commit %d went back from position %d to %d", i+1, w.log.history[i].Position, p.Position)
		}
	}
	if w.t.Failed() {
		w.t.Logf("trace: %s", strings.Join(w.trace, "; "))
	}
}

// bubble runs a test on a fake clock.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t)) })
}

func (w *world) produceRows(kind string, n int) {
	for i := range n {
		w.log.produce(kind, fmt.Sprint("row ", i))
	}
}
