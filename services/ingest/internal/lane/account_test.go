package lane

import (
	"container/list"
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// ledgers are what a test knows of accounts: what each holds, piece by piece, and who waits.
type ledgers struct {
	budget  *Budget
	topics  []string
	held    map[string][]int64
	waiting map[string][]*list.Element
}

// collect notes who was served.
func (l *ledgers) collect() {
	for topic, waiting := range l.waiting {
		l.waiting[topic] = slices.DeleteFunc(waiting, func(place *list.Element) bool {
			w := place.Value.(*waiter)
			select {
			case <-w.granted:
				l.held[topic] = append(l.held[topic], w.bytes)
				return true
			default:
				return false
			}
		})
	}
}

func total(pieces []int64) (sum int64) {
	for _, n := range pieces {
		sum += n
	}
	return sum
}

// check holds the accounts to their laws. Nobody has added beyond the size.
func (l *ledgers) check(t *rapid.T) {
	l.collect()
	b := l.budget
	var used int64
	for _, topic := range l.topics {
		used += total(l.held[topic])
	}
	if used != b.used || used > b.size {
		t.Fatalf("%d bytes are held, the budget says %d of %d", used, b.used, b.size)
	}
	for _, topic := range l.topics {
		a := b.accounts[topic]
		if a.waiting.Len() != len(l.waiting[topic]) || a.used != total(l.held[topic]) {
			t.Fatalf("%s: %d wait and %d are held, want %d and %d", topic, a.waiting.Len(), a.used,
				len(l.waiting[topic]), total(l.held[topic]))
		}
		if a.waiting.Len() == 0 {
			continue
		}
		n, others := a.first().bytes, 0
		for _, other := range l.topics {
			if other != topic {
				others += b.accounts[other].lanes
			}
		}
		may := others == 0 || a.used == 0 || a.used+n <= 4*(b.size-b.used-n)
		if may && b.used+n <= b.size && l.nobodyBefore(topic) {
			t.Fatalf("%s holds %d and waits for %d although %d are free", topic, a.used, n, b.size-b.used)
		}
	}
}

// nobodyBefore says that nobody waits for room who holds no more than a topic does.
func (l *ledgers) nobodyBefore(topic string) bool {
	b := l.budget
	for _, other := range l.topics {
		o := b.accounts[other]
		if other != topic && o.waiting.Len() > 0 && o.used <= b.accounts[topic].used &&
			b.used+o.first().bytes > b.size {
			return false
		}
	}
	return true
}

// Whatever lanes ask for, give back and give up: the size is a bound, no topic takes more than its share while others
// have lanes, nobody waits for what is there, and everybody is served once what is held comes back.
func TestLawsOfAccounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 1000
		l := &ledgers{
			budget: NewBudget(size), topics: []string{"a", "b", "c"},
			held: map[string][]int64{}, waiting: map[string][]*list.Element{},
		}
		for _, topic := range l.topics {
			l.budget.Account(topic)
		}
		topics := rapid.SampledFrom(l.topics)
		sizes := rapid.OneOf(rapid.Int64Range(1, 60), rapid.Int64Range(1, size))
		request := func(t *rapid.T, waits bool) {
			topic, n := topics.Draw(t, "topic"), sizes.Draw(t, "bytes")
			a := l.budget.accounts[topic]
			alone := l.budget.lanes == a.lanes
			if a.Try(n) {
				l.held[topic] = append(l.held[topic], n)
				if !alone && 5*a.used > 4*size {
					t.Fatalf("%s has %d of %d", topic, a.used, size)
				}
				return
			}
			if !waits {
				return
			}
			l.budget.mu.Lock()
			defer l.budget.mu.Unlock()
			if a.try(n) { // as Acquire does
				l.held[topic] = append(l.held[topic], n)
			} else {
				l.waiting[topic] = append(l.waiting[topic], a.wait(n))
			}
		}
		giveBack := func(topic string, i int) {
			n := l.held[topic][i]
			l.held[topic] = slices.Delete(l.held[topic], i, i+1)
			l.budget.accounts[topic].Release(n)
		}
		t.Repeat(map[string]func(*rapid.T){
			"try":     func(t *rapid.T) { request(t, false) },
			"acquire": func(t *rapid.T) { request(t, true) },
			"release": func(t *rapid.T) {
				if topic := topics.Draw(t, "topic"); len(l.held[topic]) > 0 {
					giveBack(topic, rapid.IntRange(0, len(l.held[topic])-1).Draw(t, "piece"))
				}
			},
			"give up": func(t *rapid.T) {
				if topic := topics.Draw(t, "topic"); len(l.waiting[topic]) > 0 {
					i := rapid.IntRange(0, len(l.waiting[topic])-1).Draw(t, "who")
					place := l.waiting[topic][i]
					l.waiting[topic] = slices.Delete(l.waiting[topic], i, i+1)
					l.budget.mu.Lock()
					l.budget.accounts[topic].giveUp(place)
					l.budget.mu.Unlock()
				}
			},
			"lanes come": func(t *rapid.T) { l.budget.join(topics.Draw(t, "topic")) },
			"lanes go": func(t *rapid.T) {
				if topic := topics.Draw(t, "topic"); l.budget.accounts[topic].lanes > 0 {
					l.budget.leave(topic)
				}
			},
			"": l.check,
		})
		for waiting := 1; waiting > 0; {
			waiting = 0
			moved := false
			for _, topic := range l.topics {
				waiting += len(l.waiting[topic])
				for len(l.held[topic]) > 0 {
					giveBack(topic, 0)
					l.collect()
					moved = true
				}
			}
			if waiting > 0 && !moved {
				t.Fatalf("%d wait for ever", waiting)
			}
		}
		if l.budget.used != 0 || l.budget.blocked.Sum() < 0 || len(l.budget.waiting) != 0 {
			t.Fatalf("%d bytes and %d accounts are left", l.budget.used, len(l.budget.waiting))
		}
	})
}

// A topic alone may take everything. Once another one has a lane it takes no more than four fifths, and what that one
// asks for is there, also when its record is larger than its share.
func TestSharesOfTopics(t *testing.T) {
	b := NewBudget(1000)
	slow, other := b.Account("slow"), b.Account("other")
	b.join("slow")
	if !slow.Try(1000) {
		t.Fatal("alone it may not have everything")
	}
	slow.Release(1000)
	b.join("other")
	took := int64(0)
	for slow.Try(10) {
		took += 10
	}
	if took != 800 {
		t.Errorf("one that does not drain has %d of 1000", took)
	}
	now, cancel := context.WithCancel(t.Context())
	cancel() // to wait is to fail
	if other.Try(200) || other.Acquire(now, 200) != nil {
		t.Error("what is left is there for a record of another topic, and for no more than one")
	}
	other.Release(200)
	took = 0
	for other.Try(10) {
		took += 10
	}
	if took != 160 {
		t.Errorf("the other one has %d of the 200 that are left", took)
	}
	b.leave("other")
	if slow.Try(50) || !slow.Try(40) {
		t.Error("the rest is its own once the other one has gone")
	}
}

// Among those who wait, who holds least is next, and lanes of one topic in the order in which they came.
func TestLeastIsServedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(1000)
		b.join("much")
		b.join("little")
		much, little := b.Account("much"), b.Account("little")
		much.add(600)
		little.add(300)
		order := make(chan string, 3)
		for _, w := range []struct {
			name  string
			of    *Account
			bytes int64
		}{{"much", much, 50}, {"little 1", little, 60}, {"little 2", little, 50}} {
			go func() {
				if w.of.Acquire(t.Context(), w.bytes) == nil {
					order <- w.name
				}
			}()
			time.Sleep(time.Second)
		}
		for _, step := range []struct {
			gives int64
			want  string
		}{{60, "little 1"}, {60, "little 2"}, {80, "much"}} {
			if len(order) != 0 {
				t.Fatalf("%s was served for nothing", <-order)
			}
			much.Release(step.gives)
			synctest.Wait()
			if len(order) != 1 {
				t.Fatalf("%d are served by %d bytes, want %s", len(order), step.gives, step.want)
			}
			if got := <-order; got != step.want {
				t.Errorf("%s is served, want %s", got, step.want)
			}
		}
	})
}

// A record that is larger than what is free waits until it is, and nobody who holds as much takes it away meanwhile.
// Who holds less does not wait for it.
func TestLargeRecordGetsItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(1000)
		for _, topic := range []string{"large", "other", "none"} {
			b.join(topic)
		}
		large, other, none := b.Account("large"), b.Account("other"), b.Account("none")
		other.add(400)
		got := make(chan error, 1)
		go func() { got <- large.Acquire(t.Context(), 900) }()
		synctest.Wait()
		if other.Try(1) {
			t.Error("one that holds more overtakes it")
		}
		if none.Try(1) {
			t.Error("one that holds as little overtakes it")
		}
		other.Release(300)
		synctest.Wait()
		if err := <-got; err != nil {
			t.Fatal(err)
		}
		if held := b.Used(); held != 1000 {
			t.Errorf("%d bytes are held", held)
		}
	})
}

// Within a topic nobody overtakes who waits, also if that one waits for the topic's share: it gets what it wants once
// the topic holds nothing.
func TestNobodyOvertakesInATopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(1000)
		b.join("one")
		b.join("other")
		one := b.Account("one")
		one.add(100)
		got := make(chan error, 1)
		go func() { got <- one.Acquire(t.Context(), 850) }()
		synctest.Wait()
		if one.Try(1) {
			t.Error("a small record overtakes a large one of the same topic")
		}
		if !b.Account("other").Try(1) {
			t.Error("another topic waits for it")
		}
		one.Release(100)
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
}
