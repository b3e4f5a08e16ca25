package lane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/pkg/lanewire"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// record is what the topic holds at an offset. The header routes it to a table (-1: an ignored type).
type record struct {
	route int
	kind  byte // r: a row; u: cannot be decoded; x: BigQuery refuses it
}

// kafka is one partition and what its group has committed.
type kafka struct {
	records []record
	tables  []string // names of the routes

	mu          sync.Mutex
	generation  int
	position    int64
	token       string
	deadLetters map[int64]int
	// repeated are the routes that were at least once in some life.
	repeated map[int]bool
}

func (k *kafka) commit(generation int, position int64, token string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if generation != k.generation {
		return errors.New("illegal generation")
	}
	k.position, k.token = position, token
	return nil
}

func (k *kafka) join() (generation int, position int64, token string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.generation++
	return k.generation, k.position, k.token
}

func (k *kafka) repeat(route int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.repeated == nil {
		k.repeated = make(map[int]bool)
	}
	k.repeated[route] = true
}

func (k *kafka) row(offset int64) string {
	if k.records[offset].kind == 'x' {
		return fmt.Sprintf("bad %d", offset)
	}
	return fmt.Sprintf("row %d", offset)
}

func leftOut(c *checkpoint.Checkpoint, o int64) bool { return within(c.LeftOut, o, o+1) == 1 }

// explains is the law in full: were everybody to die with this row written, the next owner would count it where it is.
// The row's place in the stream must be its place among the records of its table after the committed position.
func (k *kafka) explains(table, stream string, index int64, row string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	offset, _ := strconv.ParseInt(row[strings.LastIndex(row, " ")+1:], 10, 64)
	c, err := checkpoint.Decode(k.token)
	if err != nil {
		return err
	}
	if c.Clean {
		return errors.New("the committed checkpoint is clean")
	}
	for _, t := range c.Tables {
		if t.Stream != stream {
			continue
		}
		if leftOut(c, offset) {
			return errors.New("it is left out")
		}
		n := -t.Drop
		for o := c.Position; o < offset; o++ {
			if r := k.records[o]; r.route >= 0 && strings.HasSuffix(table, "/"+k.tables[r.route]) && !leftOut(c, o) {
				n++
			}
		}
		if n != index-t.Rows || offset < c.Position {
			return fmt.Errorf("committed position %d, rows %d, drop %d place it at %d", c.Position, t.Rows, t.Drop,
				t.Rows+n)
		}
		return nil
	}
	return errors.New("the committed checkpoint does not name the stream")
}

var errCrash = errors.New("ingest crashed")

// ingest is the other half of the protocol, in a few lines.
type ingest struct {
	kafka  *kafka
	client lanev1.LaneServiceClient
	batch  int
	window int
	// every says which Settled is committed: 1 all, 2 every second...
	every int
	steps int // messages and commits until it crashes; < 0: never
	// zombie: on a crash the call stays open for a while, as if the process were paused.
	zombie time.Duration
	die    func() // what a crash kills besides; may be nil
	away   func() // called before each commit; may be nil

	counted int // steps taken
	routing uint64
	repeats []bool // routes that are at least once
	drained bool
}

type sentBatch struct {
	end  int64
	rows [][]int64 // offsets by route
}

func (g *ingest) step() error {
	if g.steps == g.counted {
		if g.die != nil {
			g.die()
		}
		time.Sleep(g.zombie)
		return errCrash
	}
	g.counted++
	return nil
}

func entry1(rows ...string) mem.BufferSlice {
	var b []byte
	for _, r := range rows {
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendString(b, r)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}
}

// run carries the partition to its end: nil when everything is settled and closed.
func (g *ingest) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	generation, position, token := g.kafka.join()
	call, err := g.client.Lane(ctx)
	if err != nil {
		return err
	}
	responses := make(chan *lanev1.LaneResponse)
	broken := make(chan error, 1)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	reading.Go(func() {
		for {
			r, err := call.Recv()
			if err != nil {
				broken <- err
				return
			}
			select {
			case responses <- r:
			case <-ctx.Done():
				return
			}
		}
	})
	open := &lanev1.Open{Group: "g", Topic: "t", Position: position, Checkpoint: token, Routing: g.routing}
	for i, table := range g.kafka.tables {
		route := &lanev1.Route{Table: table, Row: &lanev1.Route_Message{Message: "m"}}
		if i < len(g.repeats) && g.repeats[i] {
			route.Delivery = lanev1.Delivery_DELIVERY_AT_LEAST_ONCE
			g.kafka.repeat(i)
		}
		open.Routes = append(open.Routes, route)
	}
	send := func(m any) error {
		if err := g.step(); err != nil {
			return err
		}
		if err := call.SendMsg(m); err != nil {
			return <-broken
		}
		return nil
	}
	control := func(m *lanev1.LaneRequest) error { return send(m) }
	commit := func(position int64, token string) error {
		if err := g.step(); err != nil {
			return err
		}
		if g.away != nil {
			g.away()
		}
		return g.kafka.commit(generation, position, token)
	}
	if err := control(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: open}}); err != nil {
		return err
	}
	replay := make([]uint64, len(g.kafka.tables))
	skip := make(map[int64]bool)
	var sequence, settled uint64
	sent := make(map[uint64]*sentBatch)
	end := position
	ready, closing := false, false
	for {
		for ready && !closing && !g.drained && len(sent) < g.window && end < int64(len(g.kafka.records)) {
			b := &sentBatch{rows: make([][]int64, len(g.kafka.tables))}
			dropped := make([]uint32, len(g.kafka.tables))
			var bad []int64
			for n := 0; n < g.batch && end < int64(len(g.kafka.records)); n++ {
				r, o := g.kafka.records[end], end
				end++
				switch {
				case r.route < 0 || skip[o]:
				case replay[r.route] > 0:
					replay[r.route]--
					dropped[r.route]++
				case r.kind == 'u':
					bad = append(bad, o)
				default:
					b.rows[r.route] = append(b.rows[r.route], o)
				}
			}
			b.end = end
			if len(bad) > 0 {
				g.kafka.letters(bad)
				if err := control(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_LeftOut{LeftOut: &lanev1.LeftOut{
					Offsets: bad,
				}}}); err != nil {
					return err
				}
			}
			sequence++
			a := &lanewire.Append{Sequence: sequence, EndPosition: end}
			for route, offsets := range b.rows {
				if len(offsets) == 0 && dropped[route] == 0 {
					continue
				}
				var rows []string
				for _, o := range offsets {
					rows = append(rows, g.kafka.row(o))
				}
				a.Blocks = append(a.Blocks, lanewire.Block{
					Route: uint32(route), Rows: uint32(len(rows)), Dropped: dropped[route], Bytes: entry1(rows...),
				})
			}
			sent[sequence] = b
			if err := send(a); err != nil {
				return err
			}
		}
		if ready && !closing && len(sent) == 0 && (end == int64(len(g.kafka.records)) || g.drained) {
			closing = true
			if err := g.step(); err != nil {
				return err
			}
			_ = call.CloseSend()
		}
		var r *lanev1.LaneResponse
		select {
		case r = <-responses:
		case err := <-broken:
			if errors.Is(err, io.EOF) {
				return errors.New("call ended without Closed")
			}
			return err
		}
		if err := g.step(); err != nil {
			return err
		}
		switch m := r.GetMessage().(type) {
		case *lanev1.LaneResponse_Opened:
			for _, p := range m.Opened.GetReplay() {
				replay[p.GetRoute()] = p.GetRows()
			}
			for _, o := range m.Opened.GetLeftOut() {
				skip[o] = true
			}
			if err := commit(position, m.Opened.GetCheckpoint()); err != nil {
				return err
			}
			if err := control(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Durable{
				Durable: &lanev1.Durable{},
			}}); err != nil {
				return err
			}
			ready = true
		case *lanev1.LaneResponse_Checkpoint:
			if err := commit(m.Checkpoint.GetPosition(), m.Checkpoint.GetCheckpoint()); err != nil {
				return err
			}
			if err := control(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Durable{Durable: &lanev1.Durable{
				Barrier: m.Checkpoint.GetBarrier(),
			}}}); err != nil {
				return err
			}
		case *lanev1.LaneResponse_Settled:
			settled++
			b := sent[m.Settled.GetSequence()]
			if settled != m.Settled.GetSequence() || b == nil || b.end != m.Settled.GetPosition() {
				return fmt.Errorf("settled out of order: %v", m.Settled)
			}
			delete(sent, settled)
			if settled%uint64(g.every) == 0 {
				if err := commit(m.Settled.GetPosition(), m.Settled.GetCheckpoint()); err != nil {
					return err
				}
			}
		case *lanev1.LaneResponse_Refused:
			var bad []int64
			for _, row := range m.Refused.GetRows() {
				bad = append(bad, sent[m.Refused.GetSequence()].rows[row.GetRoute()][row.GetRow()])
			}
			g.kafka.letters(bad)
			confirm := &lanev1.LeftOut{Offsets: bad, Sequence: m.Refused.GetSequence()}
			if err := control(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_LeftOut{LeftOut: confirm}}); err != nil {
				return err
			}
		case *lanev1.LaneResponse_Drain:
			g.drained = true
		case *lanev1.LaneResponse_Closed:
			return commit(m.Closed.GetPosition(), m.Closed.GetCheckpoint())
		}
	}
}

func (k *kafka) letters(offsets []int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.deadLetters == nil {
		k.deadLetters = make(map[int64]int)
	}
	for _, o := range offsets {
		k.deadLetters[o]++
	}
}

// audit compares the tables with the topic: every row once, every bad record in the dead letters.
func (k *kafka) audit(q *bigquery) error {
	seen := make(map[string]int)
	for _, table := range k.tables {
		for _, row := range q.rows("projects/p/datasets/d/tables/" + table) {
			seen[table+" "+row]++
		}
	}
	for o, r := range k.records {
		if r.route < 0 {
			continue
		}
		key, want := k.tables[r.route]+" "+k.row(int64(o)), 1
		if r.kind != 'r' {
			want = 0
			if k.deadLetters[int64(o)] == 0 {
				return fmt.Errorf("record %d is in no dead letter", o)
			}
		}
		if n := seen[key]; n != want && (n < want || want == 0 || !k.repeated[r.route]) {
			return fmt.Errorf("record %d is in the table %d times", o, seen[key])
		}
		delete(seen, key)
	}
	for key, n := range seen {
		if n > 0 {
			return fmt.Errorf("%s was never in the topic", key)
		}
	}
	return nil
}
