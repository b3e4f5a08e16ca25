package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// membership is our part in the group, for as long as the source runs: the claims, and what they share. A claim lives
// across generations while its partition stays with us.
//
// Who may commit for a partition, and when, is decided here and in the committer alone; docs/exactly-once.md has the
// argument ("Generations").
type membership struct {
	source  *Source
	handler Handler

	committer *committer
	prefetch  *prefetch
	// pools are as many as connections to a broker; each has some of the claims.
	pools []*fetchers
	// ends are where the partitions end.
	ends *ends

	// running are the committer and ends, readers the goroutines of readers and fetchers, lanes those of claims.
	running sync.WaitGroup
	readers sync.WaitGroup
	lanes   sync.WaitGroup
	// ctx is what claims live in; stop ends what they share.
	ctx  context.Context
	stop context.CancelFunc

	mu sync.Mutex
	// member is who we are, in the newest generation that we know of, and assigned what is ours in it.
	member   member
	assigned map[topicPartition]bool
	// claims are those that have not ended, with at most one for a partition. load counts them by pool.
	claims map[topicPartition]*claim
	load   []int
	// session is the one under way; nil between two.
	session *session
	// reported says that the leader of the generation to come has read our report.
	reported bool
	// reports counts those of our joins. joined is how many there were when we entered the newest generation, so that
	// one is what its leader had, and heeded says that this leader has read it.
	reports, joined int
	heeded          bool
	// revoking says that the newest generation took claims from us, which makes sarama join again. entered is closed
	// when the next generation is entered.
	revoking bool
	entered  chan struct{}
	// reportedLoad is how many bytes a second were in our last report to the leader, reportedAt when that was.
	reportedLoad float64
	reportedAt   time.Time
}

// newMembership starts what the claims share.
func newMembership(ctx context.Context, s *Source, handler Handler) (*membership, error) {
	k := &s.config.Kafka
	m := &membership{
		source: s, handler: handler, claims: make(map[topicPartition]*claim), ends: newEnds(s),
		entered: make(chan struct{}),
	}
	m.prefetch, _ = newPrefetch(int64(k.Fetch.Prefetch), int64(k.Fetch.Bytes), k.Fetch.Records, 1)
	s.metrics.budget.Store(m.prefetch)
	clients := cmp.Or(k.Fetch.Clients, fewClients())
	response := max(int32(min(int64(k.Fetch.Prefetch)/int64(4*clients), 50<<20)), minFetch)
	config, err := k.dataConfig(int32(max(k.Fetch.Bytes, minFetch)), response)
	if err != nil {
		return nil, err
	}
	m.ctx, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	for range clients {
		pool := newFetchers(m.ctx, s.leaders, config, &m.readers)
		pool.pace = s.pace
		m.pools = append(m.pools, pool)
	}
	m.load = make([]int, clients)
	m.committer = newCommitter(m.send, m.doubted, time.Duration(s.config.Commit.Interval), s.backoff, s.log, s.metrics)
	m.committer.grace = s.fenceGrace
	m.running.Go(func() { m.committer.run(m.ctx) })
	m.running.Go(func() { m.ends.run(m.ctx) })
	if k.Assignment == AssignLoad { // while a group changes over, its members just join
		m.running.Go(func() { m.follow(m.ctx) })
	}
	return m, nil
}

// close drains the claims that are left and ends what they shared.
func (m *membership) close() {
	m.committer.conclude()
	m.mu.Lock()
	for _, c := range m.claims {
		c.end(nil)
	}
	m.mu.Unlock()
	m.lanes.Wait()
	m.stop()
	m.running.Wait()
	m.readers.Wait()
}

// send commits for the member that the pairs are on their way for.
func (m *membership) send(pairs map[topicPartition]*handed) map[topicPartition]error {
	for _, p := range pairs {
		return m.source.offsets.commit(p.as, pairs)
	}
	return nil
}

// doubted asks for another generation, since in this one a commit has no response, or is refused. Sarama has no call
// for that, so its session ends; the claims go on, and commit again when the next one has them.
func (m *membership) doubted(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.source.renewal.doubt(m.member)
	log := m.source.log.With("generation", m.member.generation, "member", m.member.id, "error", err)
	if errors.Is(err, errDoubtful) {
		log.Warn("an offset commit was left without a response; nothing is committed until the next generation, " +
			"in which it cannot land")
	} else {
		log.Warn("commits are fenced but the session goes on: joining the group again")
	}
	if m.session != nil {
		m.session.renew()
	}
}

// enter goes on in a generation, with what is assigned to us in it. reported says that the leader knew what we held
// when it assigned; a leader that knows gives nothing of it to others before we have joined once more without it.
//
// Claims live on in the generation that follows the one in which they were ours: nobody else can have had the
// partition. Those that are not ours any more may drain, and commit in this generation, if the leader knew; heeded
// says that it has read our report. When generations are missing between the two, a dynamic member has joined each of
// them, telling what it held, for otherwise the coordinator would have removed it. A static member may have missed
// them, and then its last report stood for it: see stood. Whatever is not known to be ours has ended, as after a crash:
// lost says that something has.
//
// rest are the claims that drain.
func (m *membership) enter(next member, topics map[string][]int32, reported, heeded bool) (rest []*claim, lost bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, gap := m.member, next.generation-m.member.generation
	same := last.id == next.id && (gap == 0 || gap == 1 || gap > 1 && reported && next.instance == nil)
	missed := last.id == next.id && gap > 1 && reported && m.heeded && heeded
	m.assigned = make(map[topicPartition]bool)
	for topic, partitions := range topics {
		for _, p := range partitions {
			m.assigned[topicPartition{topic, p}] = true
		}
	}
	kept := 0
	for tp, c := range m.claims {
		goesOn := same || missed && m.stood(c)
		switch {
		case goesOn && m.assigned[tp]:
			kept++
		case goesOn && reported:
			rest = append(rest, c)
			c.end(nil)
		default:
			lost = true
			why := fmt.Errorf("%w: generation %d follows %d", lane.ErrFenced, next.generation, last.generation)
			m.committer.retire(tp, why)
			c.end(why)
		}
	}
	m.member, m.joined, m.heeded, m.revoking = next, m.reports, heeded, len(rest) > 0
	close(m.entered)
	m.entered = make(chan struct{})
	m.prefetch.divide(len(m.assigned))
	m.committer.advance(next)
	if gap != 0 || last.id != next.id {
		m.source.metrics.generations.Inc()
		m.source.log.Info("joined the group", "generation", next.generation, "member", next.id, "claims",
			len(m.assigned), "kept", kept, "revoked", len(rest), "fetch_bytes", m.prefetch.fetch.Load())
	}
	return rest, lost
}

// rebalanced waits while a join of ours is under way in a session, for at most limit, or until ctx ends. Nobody can
// take such a join back, and until its response no other member gets what we end: who stops carries on meanwhile.
func (m *membership) rebalanced(ctx context.Context, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		m.mu.Lock()
		joins := m.session != nil && len(m.claims) > 0 && (m.revoking || m.reports > m.joined)
		entered := m.entered
		m.mu.Unlock()
		if !joins {
			return
		}
		select {
		case <-entered:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// stood says that each report of ours that a leader may have had since the newest generation began, that of the join
// for it included, names the partition of a claim. A leader of ours withholds it then, in a generation also for which
// we did not join: the coordinator repeats for a static member what it said last. The caller holds mu.
func (m *membership) stood(c *claim) bool { return c.named > 0 && c.named <= m.joined }

// known is who a session says that we are. An expelled member without claims comes back with another id.
func (m *membership) known(as member) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if as.generation == m.member.generation && as.id != m.member.id {
		m.member = as
		m.committer.advance(as)
	}
}

// claim returns the claim of a partition, which begins unless it was there before. It is nil when the partition is not
// ours any more, or ctx has ended.
func (m *membership) claim(ctx context.Context, tp topicPartition) *claim {
	for {
		m.mu.Lock()
		c, ours := m.claims[tp], m.assigned[tp]
		if ours && c == nil {
			c = m.begin(tp)
		}
		m.mu.Unlock()
		switch {
		case !ours:
			return nil
		case c.owned.Err() == nil:
			return c
		}
		select {
		case <-c.done:
		case <-ctx.Done():
			return nil
		}
	}
}

// begin makes a claim and starts its lane. The caller holds mu.
func (m *membership) begin(tp topicPartition) *claim {
	pool := slices.Index(m.load, slices.Min(m.load))
	m.load[pool]++
	c := &claim{
		tp: tp, membership: m, fetchers: m.pools[pool], done: make(chan struct{}),
	}
	c.owned, c.end = context.WithCancelCause(m.ctx)
	c.alive, c.kill = context.WithCancelCause(m.ctx)
	m.claims[tp] = c
	m.committer.admit(tp)
	m.lanes.Add(1)
	go c.run(pool)
	return c
}

// ended forgets a claim of a pool: its last goroutine is about to end.
func (m *membership) ended(c *claim, pool int) {
	m.mu.Lock()
	delete(m.claims, c.tp)
	m.load[pool]--
	m.mu.Unlock()
	close(c.done)
	m.lanes.Done()
}
