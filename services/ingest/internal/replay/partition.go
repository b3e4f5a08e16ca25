package replay

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// Partition is a claim of which a lane reads a range: lane.Partition.
type Partition struct {
	lane.Partition
	of      Range
	pace    *Pace
	letters func([]lane.DeadLetter)

	// need is the position from which on the range is settled; -1 until the reader has come to its end. reader is the
	// last one.
	need   atomic.Int64
	reader atomic.Pointer[reader]
}

// passer is a reader that tells what it has passed. given is the offset after the last record that it has returned;
// between it and passed there is no record.
type passer interface {
	Passed() (given, passed int64)
}

var _ lane.Partition = (*Partition)(nil)

// NewPartition bounds a claim. Dead letters are written as those of any lane unless letters is there, which is told
// them instead, and keeps nothing of them.
func NewPartition(claim lane.Partition, of Range, pace *Pace, letters func([]lane.DeadLetter)) *Partition {
	p := &Partition{Partition: claim, of: of, pace: pace, letters: letters}
	p.need.Store(-1)
	return p
}

// Settled reports whether all of the range is settled at a position. Where it ends with offsets that hold no record,
// such as markers of transactions, the position need not come to its end.
func (p *Partition) Settled(position int64) bool {
	need := p.need.Load()
	if position >= p.of.To || need >= 0 && position >= need {
		return true
	}
	r := p.reader.Load()
	if r == nil || r.passer == nil {
		return false
	}
	given, passed := r.passer.Passed()
	return passed >= p.of.To && given <= p.of.To && position >= given
}

// Committed implements lane.Partition: where nothing is committed, the range begins.
func (p *Partition) Committed(ctx context.Context) (lane.Pair, error) {
	pair, err := p.Partition.Committed(ctx)
	if err == nil && pair.Position < 0 {
		pair = lane.Pair{Position: p.of.From}
	}
	return pair, err
}

// Behind implements lane.Partition: behind the range there is nothing.
func (p *Partition) Behind(position int64) int64 {
	behind := p.Partition.Behind(position)
	if p.Settled(position) {
		return 0
	}
	return min(behind, p.of.To-position)
}

// DeadLetter implements lane.Partition.
func (p *Partition) DeadLetter(ctx context.Context, letters []lane.DeadLetter, waits func(string)) error {
	if p.letters == nil {
		return p.Partition.DeadLetter(ctx, letters, waits)
	}
	p.letters(letters)
	return ctx.Err()
}

// Read implements lane.Partition.
func (p *Partition) Read(ctx context.Context, from int64) (lane.Reader, error) {
	r := &reader{partition: p, next: from, never: make(chan struct{})}
	if from >= p.of.To {
		r.ends()
		return r, nil
	}
	inner, err := p.Partition.Read(ctx, from)
	if err != nil {
		return nil, err
	}
	r.Reader = inner
	r.passer, _ = inner.(passer)
	p.reader.Store(r)
	return r, nil
}

// reader ends with the range.
type reader struct {
	lane.Reader // nil when there is nothing to read

	passer    passer
	partition *Partition
	// next is the offset behind the last record returned.
	next int64
	// over: nothing more is returned.
	over  bool
	never chan struct{}
}

// ends says that what was returned is all.
func (r *reader) ends() {
	r.over = true
	r.partition.need.Store(r.next)
}

// Next implements lane.Reader.
func (r *reader) Next(ctx context.Context, dst []record.Record, deadline time.Time) ([]record.Record, error) {
	if !r.over {
		if err := r.partition.pace.wait(ctx); err != nil {
			return dst, err
		}
		had := len(dst)
		out, err := r.Reader.Next(ctx, dst, deadline)
		if err != nil {
			return out, err
		}
		out = r.cut(out, had)
		if len(out) > had || !r.over {
			return out, nil
		}
		dst = out
	}
	return dst, r.rest(ctx, deadline)
}

// cut gives back what is behind the range, and counts the rest.
func (r *reader) cut(out []record.Record, had int) []record.Record {
	bytes := 0
	for i := had; i < len(out); i++ {
		if out[i].Offset < r.partition.of.To {
			r.next = out[i].Offset + 1
			bytes += out[i].Size()
			continue
		}
		var behind record.Places
		for j := i; j < len(out); j++ {
			behind.Pass(&out[j])
			out[j].Reset()
		}
		behind.Release()
		out = out[:i]
		r.ends()
		break
	}
	if r.next >= r.partition.of.To && !r.over {
		r.ends()
	}
	r.partition.pace.pay(bytes)
	return out
}

// rest waits for the deadline, zero for ever: nothing comes any more.
func (r *reader) rest(ctx context.Context, deadline time.Time) error {
	var over <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ready implements lane.Reader.
func (r *reader) Ready() <-chan struct{} {
	if r.over {
		return r.never
	}
	return r.Reader.Ready()
}

// Backlog implements lane.Reader.
func (r *reader) Backlog() int64 {
	if r.over {
		return 0
	}
	return min(r.Reader.Backlog(), max(0, r.partition.of.To-r.next))
}

// Close implements lane.Reader.
func (r *reader) Close() {
	if r.Reader != nil {
		r.Reader.Close()
	}
}

// Pace bounds how fast the partitions of a replay are read together. Safe for concurrent use; nil does not bound.
type Pace struct {
	rate float64 // bytes a second

	mu sync.Mutex
	// until is when what was read so far is paid for.
	until time.Time
	bytes int64
}

// NewPace is for a rate in bytes a second; 0 is none.
func NewPace(rate int64) *Pace { return &Pace{rate: float64(rate)} }

// Bytes is how many were read.
func (p *Pace) Bytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}

// pay counts what was read.
func (p *Pace) pay(bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes += int64(bytes)
	if p.rate == 0 {
		return
	}
	now := time.Now()
	if p.until.Before(now) {
		p.until = now
	}
	p.until = p.until.Add(time.Duration(float64(bytes) / p.rate * float64(time.Second)))
}

// wait waits until what was read so far is paid for.
func (p *Pace) wait(ctx context.Context) error {
	p.mu.Lock()
	left := time.Until(p.until)
	p.mu.Unlock()
	if left > 0 {
		source.Sleep(ctx, left)
	}
	return ctx.Err()
}
