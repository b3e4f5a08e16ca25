package lane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/pkg/lanewire"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// scriptWriter is a writer whose every word is in the script, so that it can say what no honest writer says.
type scriptWriter struct {
	lanev1.UnimplementedLaneServiceServer

	say  chan any // *lanev1.LaneResponse or error
	note func(format string, args ...any)
}

func (s *scriptWriter) Lane(stream grpc.BidiStreamingServer[lanev1.LaneRequest, lanev1.LaneResponse]) error {
	go func() {
		for {
			var r lanewire.Request
			if err := stream.RecvMsg(&r); errors.Is(err, io.EOF) {
				s.note("half-close")
				return
			} else if err != nil {
				return
			}
			s.request(&r)
		}
	}()
	for {
		select {
		case word := <-s.say:
			switch word := word.(type) {
			case error:
				return word
			case *lanev1.LaneResponse:
				if err := stream.Send(word); err != nil || word.GetClosed() != nil {
					return err
				}
			}
		case <-stream.Context().Done():
			s.note("call broken")
			return stream.Context().Err()
		}
	}
}

func (s *scriptWriter) request(r *lanewire.Request) {
	switch {
	case r.Control == nil:
		text := ""
		for _, b := range r.Append.Blocks {
			text += fmt.Sprintf(" %s:%q", []string{"a", "b"}[b.Route], unframe(b.Bytes.Materialize()))
			if b.Dropped > 0 {
				text += fmt.Sprintf(" dropped %d", b.Dropped)
			}
		}
		s.note("Append %d to %d%s", r.Append.Sequence, r.Append.EndPosition, text)
	case r.Control.GetOpen() != nil:
		rows := ""
		if v := versionOf(r.Control.GetOpen().GetRoutes()[0]); v > 0 {
			rows = fmt.Sprintf(", rows of version %d", v)
		}
		s.note("Open at %d with %q%s", r.Control.GetOpen().GetPosition(), r.Control.GetOpen().GetCheckpoint(), rows)
	case r.Control.GetDurable() != nil:
		s.note("Durable %d", r.Control.GetDurable().GetBarrier())
	case r.Control.GetLeftOut() != nil:
		s.note("LeftOut %v for %d", r.Control.GetLeftOut().GetOffsets(), r.Control.GetLeftOut().GetSequence())
	}
}

// word parses what the writer says: opened, settled SEQ POS, checkpoint BARRIER POS, refused SEQ ROUTE:ROW..., notice
// CAUSE TEXT, drain, closed POS, fail CODE.
func word(t *testing.T, line string) any {
	f := strings.Fields(line)
	n := func(i int) int64 {
		v, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return v
	}
	pairs := func(from int) (out [][2]uint32) {
		for _, s := range f[from:] {
			var p [2]uint32
			if _, err := fmt.Sscanf(s, "%d:%d", &p[0], &p[1]); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			out = append(out, p)
		}
		return out
	}
	switch f[0] {
	case "opened":
		m := &lanev1.Opened{Checkpoint: f[1]}
		for _, p := range pairs(2) {
			m.Replay = append(m.Replay, &lanev1.Replay{Route: p[0], Rows: uint64(p[1])})
		}
		return &lanev1.LaneResponse{Message: &lanev1.LaneResponse_Opened{Opened: m}}
	case "settled":
		return &lanev1.LaneResponse{Message: &lanev1.LaneResponse_Settled{Settled: &lanev1.Settled{
			Sequence: uint64(n(1)), Position: n(2), Checkpoint: "settled-" + f[1],
		}}}
	case "checkpoint":
		return &lanev1.LaneResponse{Message: &lanev1.LaneResponse_Checkpoint{Checkpoint: &lanev1.Checkpoint{
			Barrier: uint64(n(1)), Position: n(2), Checkpoint: "barrier-" + f[1],
		}}}
	case "refused":
		m := &lanev1.Refused{Sequence: uint64(n(1))}
		for _, p := range pairs(2) {
			m.Rows = append(m.Rows, &lanev1.RefusedRow{Route: p[0], Row: p[1], Code: "FIELDS_ERROR", Message: "no"})
		}
		return &lanev1.LaneResponse{Message: &lanev1.LaneResponse_Refused{Refused: m}}
	case "drain":
		return &lanev1.LaneResponse{Message: &lanev1.LaneResponse_Drain{Drain: &lanev1.Drain{Reason: "scripted"}}}
	case "notice":
		m := &lanev1.Notice{}
		if len(f) > 1 {
			m.Cause, m.Text, m.Since = f[1], strings.Join(f[2:], " "), timestamppb.Now()
		}
		return &lanev1.LaneResponse{Message: &lanev1.LaneResponse_Notice{Notice: m}}
	case "closed":
		return &lanev1.LaneResponse{Message: &lanev1.LaneResponse_Closed{Closed: &lanev1.Closed{
			Position: n(1), Checkpoint: "clean",
		}}}
	case "fail":
		for c := codes.OK; c <= codes.Unauthenticated; c++ {
			if c.String() == f[1] {
				return status.Error(c, "scripted")
			}
		}
	}
	t.Fatalf("unknown word %q", line)
	return nil
}

// gated is a partition whose commits and dead letters the script can hold.
type gated struct {
	*member
	note func(format string, args ...any)
	mu   sync.Mutex
	gate chan struct{}
}

func (g *gated) pass(ctx context.Context) error {
	g.mu.Lock()
	gate := g.gate
	g.mu.Unlock()
	select {
	case <-gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gated) Commit(ctx context.Context, p Pair) error {
	if err := g.pass(ctx); err != nil {
		return err
	}
	g.note("  commit %d %s", p.Position, p.Checkpoint)
	return g.member.Commit(ctx, p)
}

func (g *gated) CommitLater(p Pair) {
	g.note("  commit later %d %s", p.Position, p.Checkpoint)
	g.member.CommitLater(p)
}

func (g *gated) DeadLetter(ctx context.Context, letters []DeadLetter, waits func(string)) error {
	if err := g.pass(ctx); err != nil {
		return err
	}
	for _, l := range letters {
		g.note("  dead letter %d %s: %s", l.Record.Offset, l.Reason, l.Err)
	}
	return g.member.DeadLetter(ctx, letters, waits)
}

// Scripts are the text files of testdata itself: rapid keeps the failures that it finds in a folder below.
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runScript(t, path) })
		})
	}
}

func runScript(t *testing.T, path string) {
	var (
		mu           sync.Mutex
		kafka, wrote strings.Builder
	)
	// What goes to Kafka and what goes to the writer are listed apart: they race unless one waits for the other, which
	// hold shows.
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&wrote, format+"\n", args...)
	}
	noteKafka := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&kafka, format+"\n", args...)
	}
	w := &world{t: t, log: newPartitionLog(), store: &warehouse{}, pipes: newPipes()}
	writer := &scriptWriter{say: make(chan any), note: note}
	w.serve(writer)
	var p *process
	g := &gated{note: noteKafka, gate: make(chan struct{})}
	close(g.gate)
	versions, away := &keyVersions{}, make(chan struct{})
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
		lines := strings.Split(strings.TrimSpace(d.Input), "\n")
		switch d.Cmd {
		case "produce":
			for _, l := range lines {
				kind, text, _ := strings.Cut(l, " ")
				w.log.produce(kind, text)
			}
		case "start":
			p = w.start(func(p *process) {
				small(p)
				p.member.tick = time.Hour
				g.member = p.member
				p.lane.Partition = g
				p.lane.Contracts = &keyContracts{fingerprint: 7, versions: versions}
			})
		case "say":
			for _, l := range lines {
				select {
				case writer.say <- word(t, l):
				case <-time.After(time.Minute):
					t.Fatalf("%s: %s: no call is open", d.Pos, l)
				}
				synctest.Wait()
			}
		case "hold":
			g.mu.Lock()
			g.gate = make(chan struct{})
			g.mu.Unlock()
		case "release":
			close(g.gate)
		case "registry-away":
			away = make(chan struct{})
			versions.set(away)
		case "registry-back":
			versions.set(nil)
			close(away)
		case "sleep":
			wait, err := time.ParseDuration(d.CmdArgs[0].Key)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(wait)
		case "stop":
			p.stop()
		case "status":
			s := p.lane.Status()
			note("%s, position %d, window %d: %s", s.State, s.Position, s.WindowBatches, s.LastError)
		case "waits":
			s := p.lane.Status()
			note("%s, lag %d, waits for %q since %v", s.State, s.Lag, s.WaitingFor,
				time.Since(s.WaitingSince) < time.Hour)
		default:
			t.Fatalf("unknown command %s", d.Cmd)
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		out := kafka.String() + wrote.String()
		kafka.Reset()
		wrote.Reset()
		return out
	})
}
