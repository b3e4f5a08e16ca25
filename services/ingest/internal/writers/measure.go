package writers

import (
	"math"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/placement"
)

// measure is a lane's counters as of the last look.
type measure struct {
	bytes, settled uint64
	settling       time.Duration
}

// latency is how long a writer takes to settle a batch, over the last seconds.
type latency struct {
	mean   float64       // of what was settled, in seconds; 0: nothing was
	age    time.Duration // since something was
	oldest time.Duration // at least as late are all lanes there
}

// latencyFor is how far back latencies are averaged, and forgotten after.
const latencyFor, latencyKept = 3 * time.Second, 10 * time.Second

func (l *latency) observe(elapsed, settling time.Duration, settled uint64) {
	l.age += elapsed
	if settled == 0 {
		return
	}
	mean := settling.Seconds() / float64(settled)
	if l.mean == 0 || l.age > latencyKept {
		l.mean = mean
	} else {
		l.mean += (mean - l.mean) * (1 - math.Exp(-elapsed.Seconds()/latencyFor.Seconds()))
	}
	l.age = 0
}

func (l *latency) value() time.Duration {
	v := l.oldest
	if l.mean > 0 && l.age <= latencyKept {
		v = max(v, time.Duration(l.mean*float64(time.Second)))
	}
	return v
}

// measure works out what lanes carry and how long writers take, from what the lanes say. f.mu is held.
func (f *Fleet) measure(now time.Time, elapsed time.Duration, carried []lane.Carried) []placement.Lane {
	type sum struct {
		settled  uint64
		settling time.Duration
		oldest   time.Duration
		waiting  bool
	}
	sums := make(map[*peer]*sum, len(f.peers))
	lanes, there := f.placed[:0], f.spare
	clear(there)
	for i := range carried {
		st := &carried[i]
		id := placement.LaneID{Topic: st.Topic, Partition: st.Partition}
		was, known := f.measured[id]
		there[id] = measure{bytes: st.Bytes, settled: st.Settled, settling: st.Settling}
		l := placement.Lane{LaneID: id, Open: st.Open && known}
		if known && elapsed > 0 && st.Bytes >= was.bytes {
			l.Rate = float64(st.Bytes-was.bytes) / elapsed.Seconds()
		}
		if s := f.seats[id]; s != nil {
			l.Writer = s.peer.address
			total := sums[s.peer]
			if total == nil {
				total = &sum{}
				sums[s.peer] = total
			}
			if known && st.Settled > was.settled {
				total.settled += st.Settled - was.settled
				total.settling += max(0, st.Settling-was.settling)
				s.peer.quiet = 0
			}
			if !st.Oldest.IsZero() && st.Open {
				age := now.Sub(st.Oldest)
				if !total.waiting || age < total.oldest {
					total.oldest = age
				}
				total.waiting = true
			}
		}
		lanes = append(lanes, l)
	}
	for id, s := range f.seats {
		if _, ok := there[id]; !ok { // it was placed after the lanes were looked at
			lanes = append(lanes, placement.Lane{LaneID: id, Writer: s.peer.address})
		}
	}
	f.measured, f.spare, f.placed = there, f.measured, lanes
	for _, p := range f.peers {
		var total sum
		if t := sums[p]; t != nil {
			total = *t
		}
		p.latency.observe(elapsed, total.settling, total.settled)
		p.latency.oldest = 0
		if total.waiting && total.settled == 0 {
			p.latency.oldest = max(0, total.oldest)
		}
	}
	return lanes
}
