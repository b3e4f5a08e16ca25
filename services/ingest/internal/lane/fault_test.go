package lane

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// rewinding is a claim whose reader hands out a record twice.
type rewinding struct{ Partition }

func (b rewinding) Read(ctx context.Context, from int64) (Reader, error) {
	r, err := b.Partition.Read(ctx, from)
	return &rewindingReader{r, false}, err
}

type rewindingReader struct {
	Reader
	done bool
}

func (b *rewindingReader) Next(ctx context.Context, dst []record.Record, d time.Time) ([]record.Record, error) {
	out, err := b.Reader.Next(ctx, dst, d)
	if n := len(out); err == nil && !b.done && n > 1 && n < cap(out) {
		b.done = true
		out = append(out, out[n-1])
	}
	return out, err
}

// A reader that goes back ends the call, and nothing of the budget stays behind: neither of the records that were taken
// and not accounted for, nor of those that came after.
func TestReaderThatGoesBackEndsTheCall(t *testing.T) {
	for _, kind := range []string{"ignore", "a", "nobody"} {
		bubble(t, func(t *testing.T, w *world) {
			for range 8 {
				w.log.produce(kind, "x")
			}
			p := w.start(func(p *process) { p.lane.Partition = rewinding{p.lane.Partition} })
			time.Sleep(time.Minute)
			if s := p.lane.Status(); !strings.Contains(s.LastError, "reader went back to offset") {
				t.Errorf("last error %q", s.LastError)
			}
			p.end()
			checkBudget(t, p)
		})
	}
}

// panicky panics the first times that a place is passed.
type panicky struct {
	Partition
	Contracts
	place string
	left  int
}

func (p *panicky) at(place string) {
	if place == p.place && p.left > 0 {
		p.left--
		panic("a fault at " + place)
	}
}

func (p *panicky) Read(ctx context.Context, from int64) (Reader, error) {
	p.at("read")
	return p.Partition.Read(ctx, from)
}

func (p *panicky) Commit(ctx context.Context, pair Pair) error {
	if strings.Contains(pair.Checkpoint, "#") { // a write stream is named: that of the barrier, not of the opening
		p.at("commit")
	}
	return p.Partition.Commit(ctx, pair)
}

func (p *panicky) DeadLetter(ctx context.Context, letters []DeadLetter, waits func(string)) error {
	p.at("dead letter")
	return p.Partition.DeadLetter(ctx, letters, waits)
}

func (p *panicky) Renew() {
	p.at("renew")
	p.Contracts.Renew()
}

func (p *panicky) Prepare(ctx context.Context, records []record.Record, waits func(string)) (bool, error) {
	p.at("prepare")
	return p.Contracts.Prepare(ctx, records, waits)
}

func (p *panicky) Match(r *record.Record) *record.Match {
	p.at("match")
	return p.Contracts.Match(r)
}

func (p *panicky) AppendRow(dst []byte, r *record.Record, now int64) ([]byte, error) {
	if r.Offset > 4 { // with rows laid down before it
		p.at("row")
	}
	return p.Contracts.AppendRow(dst, r, now)
}

// A panic in any goroutine of a lane ends the call and not the process: the lane gives back all that it holds, says
// where the fault is, and goes on once it is over.
func TestPanicEndsTheCall(t *testing.T) {
	for _, place := range []string{"read", "commit", "dead letter", "renew", "prepare", "match", "row"} {
		t.Run(place, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				produceMix(w)
				var faulty *panicky
				p := w.start(func(p *process) {
					small(p)
					faulty = &panicky{Partition: p.lane.Partition, Contracts: p.lane.Contracts, place: place, left: 1}
					p.lane.Partition, p.lane.Contracts = faulty, faulty
				})
				time.Sleep(5 * time.Second)
				synctest.Wait()
				s := p.lane.Status()
				if s.State != Refused || !strings.Contains(s.LastError, "a fault at "+place) {
					t.Errorf("state %s, last error %q", s.State, s.LastError)
				}
				checkBudget(t, p)
				w.settle()
				w.verify()
				p.end()
				checkBudget(t, p)
			})
		})
	}
}

// A writer that does not read holds up neither the end of a claim nor what the lane holds.
func TestWriterThatDoesNotRead(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.model.deaf = true
		w.model.limits.WindowBytes = 0
		for range 200 {
			w.log.produce("a", strings.Repeat("x", 10_000))
		}
		p := w.start(nil)
		time.Sleep(10 * time.Second)
		if s := p.lane.Status(); s.WindowBytes < 1<<20 {
			t.Errorf("%d bytes are under way: the connection was to be full", s.WindowBytes)
		}
		began := time.Now()
		p.end()
		if took := time.Since(began); took > p.lane.Config.DrainTimeout {
			t.Errorf("stopping took %v", took)
		}
		checkBudget(t, p)
	})
}
