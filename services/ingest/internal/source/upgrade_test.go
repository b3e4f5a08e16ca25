package source

import (
	"maps"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// census learns of all claims of several members, and says when a partition has two owners.
type census struct {
	t *testing.T

	mu     sync.Mutex
	owners owners
	taken  map[int32]int
}

// follow takes the claims of a member until the test ends.
func (c *census) follow(r *running) *running {
	c.t.Helper()
	end := make(chan struct{})
	var following sync.WaitGroup
	following.Go(func() {
		for {
			select {
			case o := <-r.claims:
				c.take(o)
			case <-end:
				return
			}
		}
	})
	c.t.Cleanup(func() {
		close(end)
		following.Wait()
	})
	return r
}

func (c *census) take(o *owned) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last := c.owners[o.Number()]; last != nil {
		select {
		case <-last.done:
		default:
			c.t.Errorf("partition %d has two owners", o.Number())
		}
	}
	c.owners[o.Number()] = o
	c.taken[o.Number()]++
}

// all says whether all partitions have owners, each of these members has some, and no other member any.
func (c *census) all(partitions int, members ...*running) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, with := 0, map[*running]bool{}
	for _, o := range c.owners {
		if o.ctx.Err() == nil {
			n++
			with[o.of] = true
		}
	}
	for _, r := range members {
		if !with[r] {
			return false
		}
	}
	return n == partitions && len(with) == len(members)
}

// watchGroup starts members of a group by their assignment, and waits until each partition has one owner among them.
func watchGroup(t *testing.T, partitions int, brokers ...string) (
	seen *census, join func(assignment string) *running, wait func(members ...*running),
) {
	seen = &census{t: t, owners: owners{}, taken: map[int32]int{}}
	join = func(assignment string) *running {
		config := testConfig(brokers...)
		config.Kafka.Assignment = assignment
		return seen.follow(start(t, config, false))
	}
	wait = func(members ...*running) {
		t.Helper()
		eventually(t, "each partition to have an owner", func() bool { return seen.all(partitions, members...) })
	}
	return seen, join, wait
}

// replace puts members of another assignment in the place of two, one after the other.
func replace(a, b **running, assignment string, join func(string) *running, wait func(...*running)) {
	for _, old := range []**running{a, b} {
		next := join(assignment)
		wait(*a, *b, next)
		(*old).stop()
		*old = next
		wait(*a, *b)
	}
}

// A group moves from eager to cooperative assignment, member by member, in two steps: first all name both, then the
// cooperative one alone. At no moment has a partition two owners.
func TestGroupMovesToCooperativeInTwoSteps(t *testing.T) {
	for _, first := range []string{AssignSticky, AssignRange} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			const partitions = 4
			c := newCluster(t, kfake.SeedTopics(partitions, testTopic))
			seen, join, wait := watchGroup(t, partitions, c.ListenAddrs()...)
			both := first + ", " + AssignCooperative
			a, b := join(first), join(first)
			wait(a, b)
			for _, assignment := range []string{both, AssignCooperative} {
				replace(&a, &b, assignment, join, wait)
			}
			// Now those that stay do so: once the group is even, so that no other rebalance is to come.
			eventually(t, "the members to have as many each", func() bool {
				seen.mu.Lock()
				defer seen.mu.Unlock()
				has := map[*running]int{}
				for _, o := range seen.owners {
					if o.ctx.Err() == nil {
						has[o.of]++
					}
				}
				return has[a] == partitions/2 && has[b] == partitions/2
			})
			seen.mu.Lock()
			before := maps.Clone(seen.owners)
			seen.mu.Unlock()
			third := join(AssignCooperative)
			wait(a, b, third)
			stayed := 0
			for _, o := range before {
				if o.ctx.Err() == nil {
					stayed++
				}
			}
			if stayed < partitions-1 {
				t.Errorf("%d of %d partitions stayed when a third member came", stayed, partitions)
			}
		})
	}
}

// A member whose assignment the group does not know is refused, and told what to do; nobody else notices.
func TestMemberOfAnotherAssignmentIsRefused(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	eager := testConfig(c.ListenAddrs()...)
	eager.Kafka.Assignment = AssignSticky
	o := start(t, eager, false).claim(t)
	other := start(t, testConfig(c.ListenAddrs()...), false)
	eventually(t, "the remedy", func() bool { return other.logs.Count("kafka.assignment") > 0 })
	mustCommit(t, o, 1, "undisturbed")
	if o.ctx.Err() != nil || len(other.claims) > 0 {
		t.Error("the refused member has disturbed the group")
	}
}
