package lane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/lanewire"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// script is one conversation of testdata: a person plays ingest, BigQuery is in memory, time is fake.
//
//	writer [batches=N bytes=N block=N checkpoint=N rest=D budget=N]
//	                                 a fresh writer; BigQuery and what is committed stay
//	open [position=N routing=N topic=T cluster=C checkpoint=TOKEN routes=a,b]
//	                                 opens a lane from what is committed; a route b~ is at least once
//	send        one message a line, then all that comes back within a second:
//	              durable N                     the checkpoint seen last is committed first
//	              append SEQ end=N [at=OFFSET] TABLE=ROWS [bad=INDEX,...] [drop=N] [says=ROWS] [size=N] ...
//	              left-out OFFSET... [sequence=N]
//	              open | empty | half-close
//	wait D      lets time pass
//	cut         ingest's call breaks off
//	drain D     the writer stops, and gives its lanes so long
//	bigquery [latency=D slow=D listed=N] [expire=STREAM] [finalize=STREAM] [lose=STREAM] [stranger=STREAM]
//	                                 then shows its streams
//	others N    other lanes of the writer hold so many bytes of its budget
//	committed   shows what is committed
//	lanes       shows Service.Status
type script struct {
	t   *testing.T
	q   *bigquery
	w   *writer
	all []*writer

	call      grpc.BidiStreamingClient[lanev1.LaneRequest, lanev1.LaneResponse]
	cancel    context.CancelFunc
	responses chan string
	drained   chan string
	seen      *string // newest checkpoint of the writer
	seenAt    int64
	position  int64 // committed
	token     string
	end       int64 // next offset to send
	routes    []string
	others    int64 // bytes of the budget that other lanes hold
}

// Scripts are the text files of testdata itself: rapid keeps the failures that it finds in a folder below.
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) { playScript(t, path) })
	}
}

func playScript(t *testing.T, path string) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, q: newBigQuery(t), drained: make(chan string, 10)}
		s.q.explains = s.explains
		s.writer(Limits{}, nil)
		defer func() {
			if s.cancel != nil {
				s.cancel()
			}
			for _, w := range s.all {
				w.stop()
			}
		}()
		datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string { return s.do(d) })
	})
}

func (s *script) writer(limits Limits, budget *Budget) {
	s.w = startWriter(s.t, &Service{Sink: s.q, Limits: limits, Budget: budget, Name: "w1"})
	s.all = append(s.all, s.w)
}

// explains is the part of the law that a script can tell: the committed checkpoint names the stream and is not clean.
func (s *script) explains(_, stream string, _ int64, _ string) error {
	c, err := checkpoint.Decode(s.token)
	if err != nil {
		return err
	}
	for _, t := range c.Tables {
		if t.Stream == stream && !c.Clean {
			return nil
		}
	}
	return fmt.Errorf("committed: %s", show(s.token))
}

func (s *script) do(d *datadriven.TestData) string {
	args := make(map[string]string)
	for _, a := range d.CmdArgs {
		args[a.Key] = strings.Join(a.Vals, ",")
	}
	switch d.Cmd {
	case "writer":
		var budget *Budget
		if n := number(args["budget"]); n > 0 {
			budget = NewBudget(n)
		}
		rest, _ := time.ParseDuration(args["rest"])
		s.writer(Limits{
			WindowBatches: int(number(args["batches"])), WindowBytes: number(args["bytes"]),
			BlockBytes:      number(args["block"]),
			CheckpointBytes: int(number(args["checkpoint"])), RestAfter: rest,
		}, budget)
		return ""
	case "open":
		s.openLane(args)
		return s.receive(time.Second)
	case "send":
		for line := range strings.Lines(d.Input) {
			s.say(strings.Fields(line))
		}
		return s.receive(time.Second)
	case "wait":
		wait, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			d.Fatalf(s.t, "%v", err)
		}
		return s.receive(wait)
	case "cut":
		s.cancel()
		return s.receive(time.Second)
	case "drain":
		limit, _ := time.ParseDuration(d.CmdArgs[0].Key)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			if err := s.w.Drain(ctx, "maintenance"); err != nil {
				s.drained <- "drained: " + err.Error()
			} else {
				s.drained <- "drained"
			}
		}()
		return s.receive(time.Second)
	case "bigquery":
		return s.bigquery(args)
	case "others":
		n := number(d.CmdArgs[0].Key)
		if n < s.others {
			s.w.Budget.release(s.others - n)
		} else if s.w.Budget.charge(n-s.others, nil) != nil {
			d.Fatalf(s.t, "the budget has no room for %d bytes", n)
		}
		s.others = n
		return s.receive(time.Second)
	case "committed":
		return fmt.Sprintf("position %d %s\n", s.position, show(s.token))
	case "lanes":
		var out strings.Builder
		for _, l := range s.w.Status() {
			fmt.Fprintf(&out, "%s/%d %s: position %d, end %d, window %d, held %d, bytes %d, left out %d, barrier %v",
				l.Topic, l.Partition, l.Phase, l.Position, l.End, l.Window, l.Held, l.Bytes, l.LeftOut, l.Barrier)
			for _, t := range l.Tables {
				fmt.Fprintf(&out, "; %s rows %d drop %d", short(t.Table), t.Rows, t.Drop)
			}
			fmt.Fprintf(&out, "; budget %d, outside %d\n", s.w.Budget.Used(), s.w.Budget.waiting())
		}
		return out.String()
	}
	d.Fatalf(s.t, "unknown command %s", d.Cmd)
	return ""
}

func (s *script) openLane(args map[string]string) {
	if s.cancel != nil {
		s.cancel()
		time.Sleep(time.Millisecond)
	}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	call, err := s.w.client.Lane(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	s.call, s.responses = call, make(chan string, 10000)
	responses := s.responses
	go func() {
		for {
			r, err := call.Recv()
			if err != nil {
				if errors.Is(err, io.EOF) {
					responses <- "end OK"
				} else {
					responses <- fmt.Sprintf("end %v: %s", status.Code(err), status.Convert(err).Message())
				}
				return
			}
			responses <- s.render(r)
		}
	}()
	if _, ok := args["silent"]; ok {
		return
	}
	get := func(key, otherwise string) string {
		if v, ok := args[key]; ok {
			return v
		}
		return otherwise
	}
	open := &lanev1.Open{
		Group: get("group", "g"), Cluster: get("cluster", "c"), Topic: get("topic", "t"),
		Partition: int32(number(get("partition", "0"))),
		Position:  s.position, Checkpoint: get("checkpoint", s.token), Routing: uint64(number(get("routing", "1"))),
	}
	if p, ok := args["position"]; ok {
		open.Position = number(p)
		if s.token == "" {
			s.position = open.Position
		}
	}
	s.end = open.Position
	s.routes = strings.Split(get("routes", "events,stock"), ",")
	for i, table := range s.routes {
		if table == "none" {
			continue
		}
		route := &lanev1.Route{Row: &lanev1.Route_Message{Message: get("message", "m")}}
		if table, repeats := strings.CutSuffix(table, "~"); repeats {
			s.routes[i], route.Delivery = table, lanev1.Delivery_DELIVERY_AT_LEAST_ONCE
		}
		route.Table = s.routes[i]
		open.Routes = append(open.Routes, route)
	}
	_ = call.SendMsg(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: open}})
}

func (s *script) say(words []string) {
	control := func(m *lanev1.LaneRequest) { _ = s.call.SendMsg(m) }
	switch words[0] {
	case "durable":
		if s.seen != nil {
			s.position, s.token, s.seen = s.seenAt, *s.seen, nil
		}
		control(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Durable{Durable: &lanev1.Durable{
			Barrier: uint64(number(words[1])),
		}}})
	case "left-out":
		m := new(lanev1.LeftOut)
		for _, w := range words[1:] {
			from, to, isRange := strings.Cut(w, "..")
			switch seq, ok := strings.CutPrefix(w, "sequence="); {
			case ok:
				m.Sequence = uint64(number(seq))
			case isRange:
				for o := number(from); o < number(to); o += 2 {
					m.Offsets = append(m.Offsets, o)
				}
			default:
				m.Offsets = append(m.Offsets, number(w))
			}
		}
		control(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_LeftOut{LeftOut: m}})
	case "open":
		control(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{}}})
	case "empty":
		control(&lanev1.LaneRequest{})
	case "half-close":
		_ = s.call.CloseSend()
	case "append":
		_ = s.call.SendMsg(s.parse(words[1:]))
	default:
		s.t.Fatalf("unknown message %q", words)
	}
}

func (s *script) parse(words []string) *lanewire.Append {
	a := &lanewire.Append{Sequence: uint64(number(words[0]))}
	var rows []string
	offset := s.end
	flush := func() {
		if n := len(a.Blocks); n > 0 && a.Blocks[n-1].Bytes == nil {
			a.Blocks[n-1].Bytes = entry1(rows...)
		}
	}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		last := len(a.Blocks) - 1
		switch key {
		case "end":
			a.EndPosition = number(value)
			s.end = a.EndPosition
		case "at":
			offset = number(value)
		case "bad":
			for i := range strings.SplitSeq(value, ",") {
				rows[number(i)] = "bad" + strings.TrimPrefix(rows[number(i)], "row")
			}
		case "drop":
			a.Blocks[last].Dropped = uint32(number(value))
		case "says":
			a.Blocks[last].Rows = uint32(number(value))
		case "size":
			rows[0] = strings.Repeat("x", int(number(value))-2) // tag and length
		default:
			flush()
			route := -1
			for i, r := range s.routes {
				if r == key {
					route = i
				}
			}
			if route < 0 {
				route = int(number(key))
			}
			rows = nil
			for range number(value) {
				rows = append(rows, fmt.Sprintf("row %d", offset))
				offset++
			}
			a.Blocks = append(a.Blocks, lanewire.Block{Route: uint32(route), Rows: uint32(number(value))})
		}
	}
	flush()
	return a
}

// receive lets time pass and lists what came.
func (s *script) receive(wait time.Duration) string {
	time.Sleep(wait)
	synctest.Wait()
	var out strings.Builder
	for len(s.responses) > 0 {
		out.WriteString(<-s.responses + "\n")
	}
	for len(s.drained) > 0 {
		out.WriteString(<-s.drained + "\n")
	}
	return out.String()
}

func (s *script) bigquery(args map[string]string) string {
	if d, err := time.ParseDuration(args["latency"]); err == nil {
		s.q.latency = d
	}
	if d, err := time.ParseDuration(args["slow"]); err == nil {
		s.q.slow = d
	}
	if n, ok := args["listed"]; ok {
		s.q.listed = int(number(n))
	}
	s.q.mu.Lock()
	defer s.q.mu.Unlock()
	if op, ok := args["deny"]; ok {
		s.q.fault = func(o, name string) error {
			if o == op {
				return errors.New("permission denied on " + short(name))
			}
			return nil
		}
	}
	var out []string
	for name, st := range s.q.streams {
		id := name[strings.LastIndex(name, "/")+1:]
		switch id {
		case args["expire"]:
			delete(s.q.streams, name)
			continue
		case args["finalize"]:
			st.finalized = true
		case args["stranger"]:
			st.rows = append(st.rows, "not ours")
		case args["lose"]:
			st.rows = st.rows[:len(st.rows)-1]
		}
		line := fmt.Sprintf("%s %s: %s", id, short(st.table), strings.Join(st.rows, ", "))
		if st.finalized {
			line += " (finalized)"
		}
		out = append(out, line+"\n")
	}
	sort.Strings(out)
	return strings.Join(out, "")
}
