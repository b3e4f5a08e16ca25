package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

var (
	claimed = topicPartition{testTopic, 0}
	ours    = map[string][]int32{testTopic: {0}}
)

// groupless is a consumer group that is asked to pause, once for each claim that a session has begun with.
type groupless struct {
	sarama.ConsumerGroup
	paused chan struct{}
}

func (g *groupless) Pause(map[string][]int32) { g.paused <- struct{}{} }

// alone is a membership without a group, in its fifth generation with one partition, and its log.
func alone(t *testing.T, handler Handler, change ...func(*Config)) (*membership, *logtest.Log) {
	t.Helper()
	log := new(logtest.Log)
	c := testConfig("localhost:1")
	for _, f := range change {
		f(&c)
	}
	s := New(c, log.Logger(), nil)
	s.group, s.fenceGrace = &groupless{paused: make(chan struct{}, 10)}, 50*time.Millisecond
	m, err := newMembership(t.Context(), s, handler)
	if err != nil {
		t.Fatal(err)
	}
	m.enter(member{id: "m", generation: 5}, ours, true, true)
	return m, log
}

// generation is a sarama session of which nothing but this is there.
type generation struct {
	sarama.ConsumerGroupSession
	id     string
	number int32
	claims map[string][]int32
	ctx    context.Context
}

func (g *generation) MemberID() string           { return g.id }
func (g *generation) GenerationID() int32        { return g.number }
func (g *generation) Claims() map[string][]int32 { return g.claims }
func (g *generation) Context() context.Context   { return g.ctx }

// plainClaim is a sarama claim that cannot be closed by us.
type plainClaim struct {
	sarama.ConsumerGroupClaim
	messages chan *sarama.ConsumerMessage
}

func (plainClaim) Topic() string                              { return claimed.topic }
func (plainClaim) Partition() int32                           { return claimed.partition }
func (c plainClaim) Messages() <-chan *sarama.ConsumerMessage { return c.messages }

// There are as many pools of connections as there are to be, and none where they cannot be made.
func TestPoolsOfConnections(t *testing.T) {
	m, _ := alone(t, waits, func(c *Config) { c.Kafka.Fetch.Clients = 7 })
	defer m.close()
	if len(m.pools) != 7 || len(m.load) != 7 {
		t.Errorf("%d pools", len(m.pools))
	}
	c := testConfig("localhost:1")
	c.Kafka.Fetch.Clients, c.Kafka.Version = 1, "none"
	if _, err := newMembership(t.Context(), New(c, new(logtest.Log).Logger(), nil), waits); err == nil {
		t.Error("a membership that cannot connect")
	}
}

// A doubt, or a refusal, asks for another generation, and says which of them it was; between two sessions the next one
// is on its way already.
func TestAnotherGenerationIsRequested(t *testing.T) {
	for why, says := range map[error]string{
		errDoubtful: "was left without a response", errRefused: "are fenced but the session goes on",
	} {
		m, log := alone(t, waits)
		m.doubted(why) // there is no session
		left := 0
		s := &session{membership: m, leave: func() { left++ }}
		m.session = s
		m.doubted(why)
		if left != 1 || !s.renewed.Load() || log.Count(says) != 2 {
			t.Errorf("%v: left %d times; log: %s", why, left, log)
		}
		m.close()
	}
}

// A generation is one for each member and number: to learn of it again makes it no other.
func TestGenerationsAreCounted(t *testing.T) {
	m, log := alone(t, waits)
	defer m.close()
	for _, step := range []struct {
		as   member
		want float64
	}{
		{member{id: "m", generation: 5}, 1},
		{member{id: "m", generation: 6}, 2},
		{member{id: "m", generation: 6}, 2},
		{member{id: "n", generation: 6}, 3},
	} {
		m.enter(step.as, ours, true, true)
		if n := testutil.ToFloat64(m.source.metrics.generations); n != step.want ||
			log.Count("joined the group") != int(n) {
			t.Errorf("%+v: %v generations, log: %s", step.as, n, log)
		}
	}
}

// A session may know another id of ours than the one that we joined with, and counts in its own generation alone; to
// learn the same again lifts no bar.
func TestWhoWeAre(t *testing.T) {
	m, _ := alone(t, waits)
	defer m.close()
	now := member{id: "m", generation: 5}
	for _, step := range []struct{ as, want member }{
		{member{id: "n", generation: 4}, now},
		{member{id: "n", generation: 6}, now},
		{member{id: "n", generation: 5}, member{id: "n", generation: 5}},
	} {
		if m.known(step.as); !m.member.same(step.want) || !m.committer.member.same(step.want) {
			t.Errorf("%+v: we are %+v", step.as, m.member)
		}
	}
	m.committer.bar(m.member, errRefused)
	if m.known(m.member); m.committer.barred == nil {
		t.Error("the generation is not refused any more")
	}
}

// Only a static member has an instance.
func TestIdentity(t *testing.T) {
	m, _ := alone(t, waits)
	defer m.close()
	if as := m.identity("m", 3); as.id != "m" || as.generation != 3 || as.instance != nil {
		t.Errorf("%+v", as)
	}
	m.source.config.Kafka.InstanceID = "pod-7"
	if as := m.identity("m", 3); as.instance == nil || *as.instance != "pod-7" {
		t.Errorf("%+v", as)
	}
}

// A claim begins where the partition is ours, once; one that drains is waited for, and so is nobody's for longer than
// it is asked for.
func TestClaimBegins(t *testing.T) {
	release := make(chan struct{})
	m, _ := alone(t, func(ctx context.Context, _ lane.Partition) {
		<-ctx.Done()
		<-release
	})
	defer m.close()
	if c := m.claim(t.Context(), topicPartition{testTopic, 9}); c != nil || len(m.claims) != 0 {
		t.Error("a claim of a partition that is not ours")
	}
	first := m.claim(t.Context(), claimed)
	if again := m.claim(t.Context(), claimed); again != first {
		t.Error("a partition has two claims")
	}
	first.end(nil)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if c := m.claim(over, claimed); c != nil {
		t.Error("a claim for a session that is over")
	}
	begun := make(chan *claim)
	go func() { begun <- m.claim(t.Context(), claimed) }()
	close(release)
	if next := <-begun; next == nil || next == first || next.owned.Err() != nil {
		t.Error("the next claim did not begin when the first had drained")
	}
}

// A lane that ends early is a fault that is reported, with a panic where it was one, and its claim rests until it ends.
// One that ends with its claim is none.
func TestALaneThatEndsEarly(t *testing.T) {
	for name, test := range map[string]struct {
		handler  Handler
		early    bool
		panicked bool
	}{
		"with its claim": {waits, false, false},
		"early":          {func(context.Context, lane.Partition) {}, true, false},
		"in a panic":     {func(context.Context, lane.Partition) { panic("a fault") }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			m, log := alone(t, test.handler)
			defer m.close()
			c := m.claim(t.Context(), claimed)
			if test.early {
				eventually(t, "the lane has ended", func() bool { return m.source.unserved.Load() == 1 })
			}
			select {
			case <-c.done:
				t.Error("the claim has ended with its lane")
			case <-time.After(10 * time.Millisecond):
			}
			c.end(nil)
			<-c.done
			if n := m.source.unserved.Load(); n != 0 {
				t.Errorf("%d claims rest", n)
			}
			rests, panicked := log.Count("the lane ended while") == 1, log.Count("the lane panicked") == 1
			if rests != test.early || panicked != test.panicked {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// What a claim had still to commit at its end, and could not, is in the log of whoever looks for it.
func TestLastCommitOfAClaim(t *testing.T) {
	for _, lost := range []bool{false, true} {
		var mu sync.Mutex
		var text bytes.Buffer
		m, _ := alone(t, waits)
		m.source.log = slog.New(slog.NewTextHandler(&locked{&mu, &text}, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c := m.claim(t.Context(), claimed)
		if lost {
			m.committer.retire(claimed, lane.ErrFenced)
		}
		c.end(nil)
		<-c.done
		mu.Lock()
		if strings.Contains(text.String(), "last commit") != lost {
			t.Errorf("lost %v: %s", lost, text.String())
		}
		mu.Unlock()
		m.close()
	}
}

// locked is a writer that several may use.
type locked struct {
	mu *sync.Mutex
	to *bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(b)
}

// A generation that was given up is not entered: nothing of ours is committed in it.
func TestSetupOfAGenerationInDoubt(t *testing.T) {
	m, _ := alone(t, waits)
	defer m.close()
	m.source.renewal.doubt(member{id: "m", generation: 6})
	s := &session{membership: m, leave: func() {}}
	gs := &generation{id: "m", number: 6, claims: ours, ctx: t.Context()}
	if err := s.Setup(gs); !errors.Is(err, errSameGeneration) || m.member.generation != 5 || m.session != nil {
		t.Errorf("%v: in generation %d", err, m.member.generation)
	}
}

// Claims that drain when a session begins, of which sarama's session knows nothing, are waited for, and then the member
// joins again without them.
func TestSetupWaitsForWhatDrains(t *testing.T) {
	release := make(chan struct{})
	m, _ := alone(t, func(ctx context.Context, _ lane.Partition) {
		<-ctx.Done()
		<-release
	})
	defer m.close()
	c := m.claim(t.Context(), claimed)
	m.assignment(6, nil, true) // no session is there: what was reported to the leader is for the one that begins
	s := &session{membership: m, leave: func() {}}
	begun := make(chan error, 1)
	go func() { begun <- s.Setup(&generation{id: "m", number: 6, ctx: t.Context()}) }()
	<-c.owned.Done()
	select {
	case err := <-begun:
		t.Errorf("did not wait: %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	close(release)
	if err := <-begun; !errors.Is(err, errDrained) || m.session != nil || m.reported {
		t.Errorf("%v; reported %v", err, m.reported)
	}
}

// What was reported to the leader counts for the session that begins with its assignment, and for no later one.
func TestWhatWasReportedToTheLeaderIsForOneSession(t *testing.T) {
	m, _ := alone(t, waits)
	defer m.close()
	m.session = &session{membership: m, leave: func() {}, group: &generation{id: "m", number: 5}}
	if m.assignment(6, ours, true); m.reported {
		t.Error("it is kept for the next session")
	}
}

// An assignment that loses a claim ends the session, since sarama's has it still; one that does not, does not.
func TestAssignmentThatLosesAClaim(t *testing.T) {
	for next, lost := range map[int32]bool{6: false, 2: true} {
		m, _ := alone(t, waits)
		m.claim(t.Context(), claimed)
		left := 0
		m.session = &session{membership: m, leave: func() { left++ }, group: &generation{id: "m", number: 5}}
		if m.assignment(next, ours, true); (left == 1) != lost {
			t.Errorf("generation %d: left %d times", next, left)
		}
		m.close()
	}
}

// The session's part of a claim ends with the claim; one that is fenced while the session goes on is waited for a
// while, so that the member joins again if nothing else makes it.
func TestSessionOfAClaim(t *testing.T) {
	fenced := fmt.Errorf("%w: refused", lane.ErrFenced)
	for name, test := range map[string]struct {
		why   error // of the end of the claim; nil: it is revoked
		over  bool  // the session has ended before
		waits bool
	}{
		"revoked":                      {nil, false, false},
		"fenced":                       {fenced, false, true},
		"fenced, at the session's end": {fenced, true, false},
		"at the session's end":         {nil, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			m, log := alone(t, waits)
			defer m.close()
			ctx, end := context.WithCancel(t.Context())
			defer end()
			s := &session{membership: m, leave: func() {}}
			gc := gatedClaim{plainClaim{messages: make(chan *sarama.ConsumerMessage)}, make(chan struct{})}
			c := m.claim(t.Context(), claimed)
			returned := make(chan error)
			go func() { returned <- s.ConsumeClaim(&generation{id: "m", number: 5, ctx: ctx}, gc) }()
			<-m.source.group.(*groupless).paused
			c.end(test.why)
			if test.over {
				end()
			}
			close(gc.gate) // both have happened by now
			if err := <-returned; err != nil {
				t.Error(err)
			}
			if waited := log.Count("joining the group again") == 1; waited != test.waits {
				t.Errorf("log: %s", log)
			}
			if m.committer.last != test.over {
				t.Errorf("the claims end with their generation: %v", m.committer.last)
			}
			close(gc.messages)
			s.unread.Wait()
		})
	}
}

// A change of the load asks for another plan where partitions are assigned by load, and for nothing where they are not.
func TestOnlyAssignmentByLoadFollowsTheLoad(t *testing.T) {
	for assignment, follows := range map[string]bool{AssignLoad: true, AssignCooperative: false, AssignSticky: false} {
		c := testConfig("localhost:1")
		c.Kafka.Assignment = assignment
		s := New(c, new(logtest.Log).Logger(), nil)
		s.loadEvery, s.replanEvery = time.Millisecond, 0
		m, err := newMembership(t.Context(), s, waits)
		if err != nil {
			t.Fatal(err)
		}
		left := make(chan struct{}, 1)
		leave := func() {
			select {
			case left <- struct{}{}:
			default:
			}
		}
		m.mu.Lock()
		m.session, m.reportedLoad = &session{membership: m, leave: leave}, 1e9 // and nothing is loaded
		m.mu.Unlock()
		if follows {
			<-left
		} else if time.Sleep(20 * time.Millisecond); len(left) != 0 {
			t.Errorf("%s: asked for a plan", assignment)
		}
		m.close()
	}
}
