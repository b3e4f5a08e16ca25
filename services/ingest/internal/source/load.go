package source

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/assignment"
)

// What members tell the leader of their load, and when they tell it anew.
const (
	// loadEvery is how often it is measured, loadWindow over which time it is smoothed.
	loadEvery  = time.Second
	loadWindow = 10 * time.Second
	// replanEvery is the least time between two rebalances that a member asks for because of its load, and urgentEvery
	// that of one which has more than it can carry.
	replanEvery, urgentEvery = 30 * time.Second, 5 * time.Second
	// replanShare is the change of the load, as a share of the capacity, that makes it ask.
	replanShare = 0.2
	// urgentRise is by how much the load of one that has too much must exceed what it reported to be urgent.
	urgentRise = 1.02
	// A partition that brings rise times what it did, in each of so many measurements, does so from now on: an average
	// would know it when its member is far behind.
	rise, rising = 1.25, 3
	// catchUp is how soon what has not been read yet is to be read, in seconds: as much more counts as coming. What
	// comes within usual is not late.
	catchUp, usual = 30, 2
)

// load is how many bytes a second a partition brings: how many offsets are added to it, times what one took of late.
type load struct {
	reader *reader
	// since and from are when measuring began and where the partition ended then, at and end the last measurement.
	since, at time.Time
	from, end int64
	rate      float64
	// risen is how many measurements in a row have been above the rate by rise, and more what they come to.
	risen int
	more  float64
	// backlog is how many bytes have not been read.
	backlog float64
}

// measure looks again.
func (l *load) measure(r *reader, now time.Time, window time.Duration) {
	if r == nil || r.newestAt.Load() == 0 {
		return
	}
	end := r.newest.Load()
	if l.reader != r || end < l.end {
		if l.since.IsZero() || end < l.end { // a reader of its own goes on in the same partition
			l.since, l.from = now, end
		}
		l.reader, l.at, l.end = r, now, end
		return
	}
	offsets := r.fetchedOffsets.Load()
	elapsed := now.Sub(l.at).Seconds()
	if offsets <= 0 || elapsed <= 0 {
		l.at, l.end = now, end
		return
	}
	each := float64(r.fetchedBytes.Load()) / float64(offsets)
	l.backlog = float64(r.Backlog()) * each
	if age := now.Sub(l.since); age < window {
		l.rate = float64(end-l.from) / age.Seconds() * each
	} else {
		l.follow(float64(end-l.end)/elapsed*each, elapsed, window)
	}
	l.at, l.end = now, end
}

// follow takes what a partition has brought of late.
func (l *load) follow(sample, elapsed float64, window time.Duration) {
	if sample <= rise*l.rate {
		l.risen, l.more = 0, 0
	} else if l.risen, l.more = l.risen+1, l.more+sample; l.risen == rising {
		l.rate = l.more / rising
		l.risen, l.more = 0, 0
		return
	}
	l.rate += (sample - l.rate) * (1 - math.Exp(-elapsed/window.Seconds()))
}

// needs is what the partition takes of a member: what it brings, and what it takes to catch up, both together no more
// than a member is filled with. Else the members that are behind would be those that seem to have nothing to do once
// producers rest.
func (l *load) needs(capacity float64) float64 {
	late := max(0, l.backlog-usual*l.rate)
	return max(l.rate, min(l.rate+late/catchUp, assignment.Fill*capacity))
}

// share is what a partition needs, for a report; it is unknown before it has been measured for a while.
func (l *load) share(window time.Duration, capacity float64) uint64 {
	if l.since.IsZero() || l.at.Sub(l.since) < window/3 {
		return assignment.Unknown
	}
	return uint64(max(0, l.needs(capacity)))
}

// report is what the leader gets at the next join.
func (m *membership) report() assignment.Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := assignment.Report{Generation: -1, Capacity: uint64(max(0, m.source.config.Kafka.Capacity))}
	if m.member.id != "" {
		r.Generation = m.member.generation
	}
	m.reportedLoad, m.reportedAt = 0, time.Now()
	m.reports++
	capacity := float64(m.source.config.Kafka.Capacity)
	for tp, c := range m.claims {
		if c.named == 0 {
			c.named = m.reports
		}
		p := assignment.Partition{Topic: tp.topic, Number: tp.partition}
		s := assignment.Share{Partition: p, Rate: c.load.share(m.source.loadWindow, capacity)}
		if s.Rate != assignment.Unknown {
			m.reportedLoad += c.load.needs(capacity)
		}
		r.Holds = append(r.Holds, s)
	}
	slices.SortFunc(r.Holds, func(a, b assignment.Share) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Number, b.Number))
	})
	return r
}

// follow measures what the claims bring, and asks for a plan when it is no longer what was reported to the leader.
func (m *membership) follow(ctx context.Context) {
	for Sleep(ctx, m.source.loadEvery) {
		m.mu.Lock()
		now, sum := time.Now(), 0.0
		capacity := float64(m.source.config.Kafka.Capacity)
		for _, c := range m.claims {
			c.load.measure(c.reader(), now, m.source.loadWindow)
			sum += c.load.needs(capacity)
		}
		if s := m.session; s != nil && m.outdated(sum, capacity, now.Sub(m.reportedAt)) {
			m.source.log.Info("the load has changed: asking the leader for a plan", "bytes_per_second", int64(sum),
				"reported", int64(m.reportedLoad), "capacity", int64(capacity))
			m.reportedAt = now
			s.renew()
		}
		m.mu.Unlock()
	}
}

// outdated says that the leader is to plan anew: the load has changed since it was reported, or it is more than can be
// carried. The leader learns soon when it is more than was reported, and else again and again, since another member may
// have room by now. The caller holds mu.
func (m *membership) outdated(load, capacity float64, ago time.Duration) bool {
	over := load > assignment.Limit*capacity
	changed := math.Abs(load-m.reportedLoad) > replanShare*capacity
	return ago > m.source.replanEvery && (changed || over) ||
		ago > m.source.urgentEvery && over && load > urgentRise*m.reportedLoad
}
