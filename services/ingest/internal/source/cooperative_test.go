package source

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
	"github.com/waybill-data/waybill/services/ingest/internal/assignment"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// owners follow who carries which partition, and say when two do.
type owners map[int32]*owned

// take waits for the next claims of a member.
func (w owners) take(t *testing.T, r *running, n int) {
	t.Helper()
	for range n {
		o := r.claim(t)
		if last := w[o.Number()]; last != nil {
			select {
			case <-last.done:
			default:
				last.mustBeExpelled(t)
			}
		}
		w[o.Number()] = o
	}
}

// mustBeExpelled says that a claim whose partition has another owner, and which has not drained, is one that the
// coordinator has given up: nobody waits for a member that did not come back in time, and its commits are refused.
func (o *owned) mustBeExpelled(t *testing.T) {
	t.Helper()
	if err := o.Commit(t.Context(), lane.Pair{Position: 1, Checkpoint: "second"}); !errors.Is(err, lane.ErrFenced) {
		t.Errorf("partition %d has a second owner while the first one drains, and commits: %v\n%s", o.Number(), err,
			o.of.logs)
	}
}

// keep commits for all claims of a list for as long as it takes, and says at the end that none has ended.
func keep(t *testing.T, list []*owned) (stop func()) {
	t.Helper()
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := int64(100); ; i++ {
			for _, o := range list {
				if err := o.Commit(t.Context(), lane.Pair{
					Position:   i,
					Checkpoint: fmt.Sprint("kept ", i),
				}); err != nil {
					t.Errorf("commit of partition %d, which stays: %v", o.Number(), err)
					return
				}
			}
			select {
			case <-end:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() {
		t.Helper()
		close(end)
		<-ended
		for _, o := range list {
			if o.ctx.Err() != nil {
				t.Errorf("partition %d, which stays, has ended", o.Number())
			}
		}
	}
}

// living are the claims that have not ended.
func (w owners) living() []*owned {
	var list []*owned
	for _, o := range w {
		if o.ctx.Err() == nil {
			list = append(list, o)
		}
	}
	return list
}

// Members come and go, and partitions that stay with theirs go on and commit all the time. One that moves begins only
// when its owner has drained, and has committed what it drained: in a generation that no longer assigns it to anybody.
func TestClaimsThatStayGoOn(t *testing.T) {
	for _, instances := range [][]string{{"", "", ""}, {"one", "two", "three"}} {
		t.Run(fmt.Sprint("instances", instances), func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, kfake.SeedTopics(6, testTopic))
			member := func(i int) *running {
				return start(t, testConfig(c.ListenAddrs()...).with(
					func(c *Config) { c.Kafka.InstanceID = instances[i] }), true)
			}
			w := owners{}
			a := member(0)
			w.take(t, a, 6)
			before := w.living()

			b := member(1)
			leavers := func(list []*owned, n int) (gone, stay []*owned) {
				t.Helper()
				eventually(t, "claims to be revoked", func() bool {
					gone, stay = nil, nil
					for _, o := range list {
						if o.ctx.Err() != nil {
							gone = append(gone, o)
						} else {
							stay = append(stay, o)
						}
					}
					return len(gone) == n
				})
				return gone, stay
			}
			gone, stay := leavers(before, 3)
			stop := keep(t, stay)
			for _, o := range gone {
				mustCommit(t, o, 7, "drained")
			}
			time.Sleep(200 * time.Millisecond) // long enough for a member that does not wait
			if len(b.claims) > 0 {
				t.Error("a partition has begun before its owner has drained")
			}
			for _, o := range gone {
				close(o.release)
			}
			w.take(t, b, 3)
			for _, o := range gone {
				mustCommitted(t, w[o.Number()], 7, "drained")
				mustFenced(t, o.Commit(t.Context(), lane.Pair{Position: 8, Checkpoint: "late"}))
			}
			stop()

			third := member(2)
			gone, stay = leavers(w.living(), 2)
			stop = keep(t, stay)
			for _, o := range gone {
				close(o.release)
			}
			w.take(t, third, 2)
			stop()

			if instances[0] != "" { // a static member that stops does not leave
				for _, o := range w {
					close(o.release)
				}
				return
			}
			// Both leave, and all comes back to the first one.
			stay = nil
			for p, o := range w {
				if o.ctx.Err() != nil {
					t.Errorf("partition %d has no owner", p)
				}
				if o.of == a {
					stay = append(stay, o)
				} else {
					close(o.release)
				}
			}
			stop = keep(t, stay)
			b.stop()
			third.stop()
			w.take(t, a, 6-len(stay))
			stop()
			for _, o := range w {
				close(o.release)
			}
		})
	}
}

// What becomes of claims when another generation comes, by what is known of who had their partitions in between.
func TestClaimsAcrossGenerations(t *testing.T) {
	static := "instance"
	last := member{id: "m", generation: 5}
	const kept, revoked, lost = "kept", "revoked", "lost"
	neither, both := [2]bool{}, [2]bool{true, true}
	// A claim is new in the generation that there is, or was named when the member joined it, or in a word that came
	// later.
	const fresh, named, late = 0, 1, 2
	for _, tt := range []struct {
		name     string
		next     member
		reported bool
		assigned bool
		word     int
		heeded   [2]bool // by the leaders of this generation and of the next one that we learn of
		want     string
	}{
		{"the same generation", member{id: "m", generation: 5}, false, true, fresh, neither, kept},
		{"the next one", member{id: "m", generation: 6}, true, true, fresh, neither, kept},
		{"the next one, leader without the report", member{id: "m", generation: 6}, false, true, fresh, neither, kept},
		{"the next one has given it away", member{id: "m", generation: 6}, true, false, fresh, neither, revoked},
		{"given away, leader without the report", member{id: "m", generation: 6}, false, false, fresh, neither, lost},
		{"one was not synchronized between", member{id: "m", generation: 7}, true, true, fresh, neither, kept},
		{"one between, leader without the report", member{id: "m", generation: 7}, false, true, fresh, neither, lost},
		{"a static member may have missed one", member{"m", 7, &static}, true, true, fresh, both, lost},
		{"it had reported before", member{"m", 7, &static}, true, true, named, both, kept},
		{"it had reported before, and missed many", member{"m", 17, &static}, true, true, named, both, kept},
		{"it had reported before, and is to drain", member{"m", 7, &static}, true, false, named, both, revoked},
		{"it reported since, if that was read", member{"m", 7, &static}, true, true, late, both, lost},
		{"a stranger led before", member{"m", 7, &static}, true, true, named, [2]bool{false, true}, lost},
		{"a stranger leads now", member{"m", 7, &static}, true, true, named, [2]bool{true, false}, lost},
		{"it had reported before, leader without the report", member{"m", 7, &static}, false, true, named, both, lost},
		{"another static member", member{"n", 7, &static}, true, true, named, both, lost},
		{"it has forgotten a static member", member{"m", 1, &static}, true, true, named, both, lost},
		{"another member", member{id: "n", generation: 6}, true, true, fresh, both, lost},
		{"the coordinator has forgotten", member{id: "m", generation: 1}, true, true, fresh, both, lost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := newMembership(t.Context(), New(testConfig("localhost:1"), new(logtest.Log).Logger(), nil), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer m.close()
			tp := topicPartition{testTopic, 0}
			topics := map[string][]int32{testTopic: {0}}
			m.handler = waits
			var c *claim
			if tt.word == named {
				m.enter(member{id: "m", generation: 4, instance: tt.next.instance}, topics, true, true)
				c = m.claim(t.Context(), tp)
			}
			m.report()
			m.enter(last, topics, true, tt.heeded[0])
			if c == nil {
				c = m.claim(t.Context(), tp)
			}
			if tt.word == late {
				m.report()
			}
			if !tt.assigned {
				topics = nil
			}
			if _, got := m.enter(tt.next, topics, tt.reported, tt.heeded[1]); got != (tt.want == lost) {
				t.Errorf("enter() = %v", got)
			}
			closed := func() error {
				m.committer.mu.Lock()
				defer m.committer.mu.Unlock()
				return m.committer.closed(tp)
			}
			switch err := context.Cause(c.owned); {
			case tt.want == kept && (err != nil || closed() != nil):
				t.Errorf("the claim has ended: %v", err)
			case tt.want == revoked && !errors.Is(err, context.Canceled):
				t.Errorf("the claim ends with %v, want that it is over", err)
			case tt.want == lost:
				mustFenced(t, err)
				mustFenced(t, closed())
			}
		})
	}
}

func waits(ctx context.Context, _ lane.Partition) { <-ctx.Done() }

// A leader takes nobody for an owner who has been overtaken: a partition that another member has since is not given
// back at once.
func TestLeaderKnowsCurrentOwners(t *testing.T) {
	owned := func(generation int32, partitions ...int32) sarama.ConsumerGroupMemberMetadata {
		return sarama.ConsumerGroupMemberMetadata{
			Version: 2, Topics: []string{testTopic}, GenerationID: generation,
			OwnedPartitions: []*sarama.OwnedPartition{{Topic: testTopic, Partitions: partitions}},
		}
	}
	// "stale" held all of them in generation 3 and missed what came then. It should carry two again.
	members := map[string]sarama.ConsumerGroupMemberMetadata{
		"stale": owned(3, 0, 1, 2, 3), "current": owned(5, 0, 1, 2, 3),
	}
	strategy := cooperative{sarama.NewBalanceStrategyCooperativeSticky(), nil}
	topics := map[string][]int32{testTopic: {0, 1, 2, 3}}
	plan, err := strategy.Plan(members, topics)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(plan["current"][testTopic]); n != 2 {
		t.Errorf("the owner keeps %d partitions, want 2", n)
	}
	if given := plan["stale"]; len(given) != 0 {
		t.Errorf("given to the stale member before the owner has drained: %v", given)
	}
	// Once they are free they are its own.
	members = map[string]sarama.ConsumerGroupMemberMetadata{
		"stale": owned(6), "current": owned(6, plan["current"][testTopic]...),
	}
	if plan, err = strategy.Plan(members, topics); err != nil || len(plan["stale"][testTopic]) != 2 {
		t.Errorf("then %v, %v", plan, err)
	}
	if diff := cmp.Diff(owned(5, 0, 1, 2, 3), currentOwners(map[string]sarama.ConsumerGroupMemberMetadata{
		"stale": owned(3, 0, 1, 2, 3), "current": owned(5, 0, 1, 2, 3),
	})["current"]); diff != "" {
		t.Error(diff)
	}
}

// A leader goes by who holds what, and not by the reports once it knows: one who was overtaken reports what it held,
// and is given none of it while the owner has it. What a member still drains from an earlier session is in its report
// alone, and is withheld beside what the protocol names.
func TestLeaderReadsReportsOnce(t *testing.T) {
	says := func(generation int32, owned []int32, holds ...int32) sarama.ConsumerGroupMemberMetadata {
		r := assignment.Report{Generation: generation, Capacity: 100}
		for _, number := range holds {
			p := assignment.Partition{Topic: testTopic, Number: number}
			r.Holds = append(r.Holds, assignment.Share{Partition: p, Rate: 30})
		}
		m := sarama.ConsumerGroupMemberMetadata{
			Version: 2, GenerationID: -1, Topics: []string{testTopic}, UserData: r.Append(nil),
		}
		if owned != nil {
			m.GenerationID = generation
			m.OwnedPartitions = []*sarama.OwnedPartition{{Topic: testTopic, Partitions: owned}}
		}
		return m
	}
	topics := map[string][]int32{testTopic: {0, 1, 2, 3}}
	for name, strategy := range map[string]sarama.BalanceStrategy{
		"load": &byLoad{}, "sticky": sarama.NewBalanceStrategyCooperativeSticky(),
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 { // members are walked in any order
				plan, err := cooperative{strategy, nil}.Plan(map[string]sarama.ConsumerGroupMemberMetadata{
					"a stale one": says(3, nil, 0, 1, 2, 3), "the owner": says(5, nil, 0, 1, 2, 3),
				}, topics)
				if err != nil || len(plan["a stale one"][testTopic]) != 0 {
					t.Fatalf("%v goes to a member that was overtaken: %v", plan["a stale one"], err)
				}
				plan, err = cooperative{strategy, nil}.Plan(map[string]sarama.ConsumerGroupMemberMetadata{
					"drains": says(5, []int32{0, 1}, 0, 1, 2, 3), "new": says(5, nil),
				}, topics)
				if err != nil || len(plan["new"][testTopic]) != 0 {
					t.Fatalf("%v goes to another member while it drains: %v", plan["new"], err)
				}
			}
		})
	}
}
