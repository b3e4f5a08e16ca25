package lane

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/pkg/lanewire"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// modelCheckpoint is the model's checkpoint.
type modelCheckpoint struct {
	Position int64
	Clean    bool
	Routing  uint64
	Tables   map[string]modelTable
	LeftOut  []int64
}

type modelTable struct {
	Stream string
	Rows   int64
	Drop   uint64
}

// modelWriter is the writer's half of the protocol, one batch at a time and without a thought for speed.
type modelWriter struct {
	lanev1.UnimplementedLaneServiceServer

	name  string
	store *warehouse
	// step is called before every effect; false means that the process dies: the call breaks.
	step   func(what string) bool
	limits *lanev1.Limits
	// latency is that of an append; changed under mu once a lane runs.
	latency time.Duration
	// zombie keeps appending what it has received after its call is broken.
	zombie bool
	// away: it refuses lanes as one that stops does, and counts them.
	away  bool
	tries int
	// deaf: nothing is read after the opening.
	deaf bool
	// drain is closed to drain the calls of the moment.
	drain chan struct{}
	// barriers counts those raised, adopted the streams taken over.
	mu                sync.Mutex
	barriers, adopted int
}

func (w *modelWriter) setAway(away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = away
}

// drainNow asks the calls of the moment to go elsewhere.
func (w *modelWriter) drainNow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.drain)
	w.drain = make(chan struct{})
}

var errWriterDied = status.Error(codes.Unavailable, "the writer died")

type modelCall struct {
	*modelWriter
	stream   grpc.BidiStreamingServer[lanev1.LaneRequest, lanev1.LaneResponse]
	requests chan lanewire.Request
	queued   []lanewire.Request
	open     *lanev1.Open
	state    modelCheckpoint // at the settled position
	barrier  uint64
	leftOut  bool // a LeftOut came since the last barrier
}

func (w *modelWriter) Lane(stream grpc.BidiStreamingServer[lanev1.LaneRequest, lanev1.LaneResponse]) error {
	w.mu.Lock()
	away := w.away
	w.tries++
	w.mu.Unlock()
	if away {
		return status.Error(codes.Unavailable, "nobody is here")
	}
	c := &modelCall{modelWriter: w, stream: stream, requests: make(chan lanewire.Request, 4096)}
	go func() {
		defer close(c.requests)
		for {
			var r lanewire.Request
			if err := stream.RecvMsg(&r); err != nil {
				if !errors.Is(err, io.EOF) {
					// A break is no half-close.
					c.requests <- lanewire.Request{Control: &lanev1.LaneRequest{}}
				}
				return
			}
			c.requests <- r
			if w.deaf && r.Control.GetDurable() != nil {
				return
			}
		}
	}()
	return c.serve()
}

func (c *modelCall) say(m *lanev1.LaneResponse) error {
	if !c.step("say") {
		return errWriterDied
	}
	return c.stream.Send(m)
}

func (c *modelCall) serve() error {
	first, ok := <-c.requests
	c.open = first.Control.GetOpen()
	if !ok || c.open == nil {
		return status.Error(codes.InvalidArgument, "no Open")
	}
	opened, err := c.fence()
	if err != nil {
		return err
	}
	if err := c.say(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Opened{Opened: opened}}); err != nil {
		return err
	}
	if err := c.awaitDurable(0); err != nil {
		return err
	}
	if c.deaf {
		<-c.stream.Context().Done()
		return nil
	}
	c.mu.Lock()
	drain := c.drain
	c.mu.Unlock()
	for {
		var request lanewire.Request
		requests := c.requests
		if len(c.queued) > 0 {
			requests = nil
		}
		select {
		case <-drain:
			drain = nil
			m := &lanev1.LaneResponse_Drain{Drain: &lanev1.Drain{Reason: "test"}}
			if err := c.say(&lanev1.LaneResponse{Message: m}); err != nil {
				return err
			}
			continue
		case request, ok = <-requests:
		case <-ready(len(c.queued) > 0):
			request, ok = c.queued[0], true
			c.queued = c.queued[1:]
		}
		switch {
		case !ok:
			c.state.Clean = true
			return c.say(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Closed{
				Closed: &lanev1.Closed{Position: c.state.Position, Checkpoint: c.state.encode()},
			}})
		case request.Control == nil:
			if err := c.append(&request.Append); err != nil {
				return err
			}
		case request.Control.GetLeftOut() != nil:
			c.state.LeftOut = append(c.state.LeftOut, request.Control.GetLeftOut().GetOffsets()...)
			c.leftOut = true
		default:
			if !c.zombie || c.stream.Context().Err() == nil {
				return status.Error(codes.InvalidArgument, "out of place")
			}
		}
	}
}

// ready is a channel that can be received from at once, or never.
func ready(yes bool) <-chan struct{} {
	if !yes {
		return nil
	}
	c := make(chan struct{})
	close(c)
	return c
}

// fence takes over what the checkpoint names.
func (c *modelCall) fence() (*lanev1.Opened, error) {
	c.state = modelCheckpoint{
		Position: c.open.GetPosition(), Routing: c.open.GetRouting(), Tables: map[string]modelTable{},
	}
	if c.open.GetCheckpoint() != "" {
		var old modelCheckpoint
		if err := json.Unmarshal([]byte(c.open.GetCheckpoint()), &old); err != nil {
			return nil, status.Error(codes.FailedPrecondition, err.Error())
		}
		if old.Position != c.open.GetPosition() {
			return nil, status.Errorf(codes.FailedPrecondition, "checkpoint of %d at %d", old.Position,
				c.open.GetPosition())
		}
		for table, t := range old.Tables {
			if t.Stream != "" && old.Clean {
				c.mu.Lock()
				c.adopted++
				c.mu.Unlock()
			} else if t.Stream != "" {
				if !c.step("finalize") {
					return nil, errWriterDied
				}
				n := c.store.finalize(t.Stream)
				if n < t.Rows {
					return nil, status.Error(codes.FailedPrecondition, "rows are missing")
				}
				t = modelTable{Drop: t.Drop + uint64(n-t.Rows)}
			}
			if t.Drop > 0 && old.Routing != c.open.GetRouting() {
				return nil, status.Error(codes.FailedPrecondition,
					"the routing changed while rows are to be dropped: two ways out")
			}
			c.state.Tables[table] = t
		}
		c.state.LeftOut = old.LeftOut
	}
	opened := &lanev1.Opened{Checkpoint: c.state.encode(), LeftOut: c.state.LeftOut, Limits: c.limits, Writer: c.name}
	for i, r := range c.open.GetRoutes() {
		if d := c.state.Tables[r.GetTable()].Drop; d > 0 {
			opened.Replay = append(opened.Replay, &lanev1.Replay{Route: uint32(i), Rows: d})
		}
	}
	return opened, nil
}

func (c *modelCall) append(a *lanewire.Append) error {
	fresh := false
	for _, b := range a.Blocks {
		table := c.open.GetRoutes()[b.Route].GetTable()
		t := c.state.Tables[table]
		if uint64(b.Dropped) > t.Drop {
			return status.Errorf(codes.InvalidArgument, "dropped %d of %d", b.Dropped, t.Drop)
		}
		if b.Rows > 0 && t.Stream == "" {
			t.Stream, fresh = c.store.create(table), true
			c.state.Tables[table] = t
		}
	}
	if len(a.Blocks) > 0 && (fresh || c.leftOut) {
		if err := c.raise(); err != nil {
			return err
		}
	}
	after := maps.Clone(c.state.Tables)
	for _, b := range a.Blocks {
		table := c.open.GetRoutes()[b.Route].GetTable()
		t := after[table]
		t.Drop -= uint64(b.Dropped)
		rows := unframe(b.Bytes.Materialize())
		if len(rows) != int(b.Rows) {
			return status.Errorf(codes.InvalidArgument, "%d rows, said %d", len(rows), b.Rows)
		}
		for _, row := range rows {
			if wants(row) > versionOf(c.open.GetRoutes()[b.Route]) {
				c.store.breach("row %s came with the routes %s, which lack its fields", row,
					c.open.GetRoutes()[b.Route].GetMessage())
			}
		}
		rows, err := c.refuse(a.Sequence, b.Route, rows)
		if err != nil {
			return err
		}
		c.mu.Lock()
		latency := c.latency
		c.mu.Unlock()
		time.Sleep(latency)
		if len(rows) > 0 {
			if !c.step("append") {
				return errWriterDied
			}
			if err := c.store.append(t.Stream, t.Rows, rows); errors.Is(err, errFinalized) {
				return status.Error(codes.Aborted, err.Error())
			} else if err != nil {
				panic(err)
			}
			if !c.step("appended") {
				return errWriterDied
			}
		}
		t.Rows += int64(len(rows))
		after[table] = t
	}
	c.state.Tables, c.state.Position = after, a.EndPosition
	c.state.LeftOut = slices.DeleteFunc(c.state.LeftOut, func(o int64) bool { return o < a.EndPosition })
	if err := c.say(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Settled{Settled: &lanev1.Settled{
		Sequence: a.Sequence, Position: a.EndPosition, Checkpoint: c.state.encode(),
	}}}); err != nil && (!c.zombie || errors.Is(err, errWriterDied)) {
		return err
	}
	return nil
}

// refuse returns the rows without those that BigQuery will never take.
func (c *modelCall) refuse(sequence uint64, route uint32, rows []string) ([]string, error) {
	refused := &lanev1.Refused{Sequence: sequence}
	var good []string
	for i, r := range rows {
		if strings.HasSuffix(r, "refuse") {
			refused.Rows = append(refused.Rows, &lanev1.RefusedRow{
				Route: route, Row: uint32(i), Code: "FIELDS_ERROR", Message: "no",
			})
			continue
		}
		good = append(good, r)
	}
	if len(refused.Rows) == 0 {
		return rows, nil
	}
	if err := c.say(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Refused{Refused: refused}}); err != nil {
		return nil, err
	}
	response, err := c.await(func(r *lanev1.LaneRequest) bool { return r.GetLeftOut().GetSequence() == sequence })
	if err != nil {
		return nil, err
	}
	if len(response.GetLeftOut().GetOffsets()) != len(refused.Rows) {
		return nil, status.Error(codes.InvalidArgument, "LeftOut does not respond Refused")
	}
	c.state.LeftOut = append(c.state.LeftOut, response.GetLeftOut().GetOffsets()...)
	return good, c.raise()
}

// raise is the barrier.
func (c *modelCall) raise() error {
	c.mu.Lock()
	c.barriers++
	c.mu.Unlock()
	c.barrier++
	slices.Sort(c.state.LeftOut)
	err := c.say(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Checkpoint{Checkpoint: &lanev1.Checkpoint{
		Barrier: c.barrier, Position: c.state.Position, Checkpoint: c.state.encode(),
	}}})
	if err != nil {
		return err
	}
	c.leftOut = false
	return c.awaitDurable(c.barrier)
}

func (c *modelCall) awaitDurable(barrier uint64) error {
	_, err := c.await(func(r *lanev1.LaneRequest) bool {
		return r.GetDurable() != nil && r.GetDurable().GetBarrier() == barrier
	})
	return err
}

// await receives until the message comes; everything else is queued for later.
func (c *modelCall) await(wanted func(*lanev1.LaneRequest) bool) (*lanev1.LaneRequest, error) {
	for {
		select {
		case r, ok := <-c.requests:
			if !ok || r.Control != nil && r.Control.GetMessage() == nil {
				return nil, status.Error(codes.InvalidArgument, "the call ended before the response")
			}
			if r.Control != nil && wanted(r.Control) {
				return r.Control, nil
			}
			c.queued = append(c.queued, r)
		case <-c.stream.Context().Done():
			return nil, context.Cause(c.stream.Context())
		}
	}
}

func (m *modelCheckpoint) encode() string {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func unframe(data []byte) []string {
	var rows []string
	for len(data) > 0 {
		row, n := protowire.ConsumeBytes(data[1:])
		rows = append(rows, string(row))
		data = data[1+n:]
	}
	return rows
}
