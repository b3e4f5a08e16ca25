package lane

import (
	"slices"
	"testing"
)

// When several may have what they wait for and there is room for one, who holds least has it, and of those who hold
// alike who came first, however long others of its topic have waited before.
func TestWhoIsNext(t *testing.T) {
	type wait struct {
		topic string
		bytes int64
	}
	for name, test := range map[string]struct {
		held  map[string]int64
		waits []wait
		// gives are what the rest gives back, one after the other, and served who is served then, by its number.
		gives  []int64
		served []int
	}{
		"least, and it came last": {
			map[string]int64{"a": 300, "b": 200}, []wait{{"a", 300}, {"b", 300}}, []int64{450}, []int{1},
		},
		"least, and it came first": {
			map[string]int64{"a": 200, "b": 300}, []wait{{"a", 300}, {"b", 300}}, []int64{450}, []int{0},
		},
		"alike, and it came first": {
			map[string]int64{"a": 200, "b": 200}, []wait{{"a", 300}, {"b", 300}}, []int64{450}, []int{0},
		},
		// Once the first wait of a is served, both hold 200.
		"alike, and the other topic came in between": {
			map[string]int64{"a": 100, "b": 200},
			[]wait{{"a", 100}, {"b", 240}, {"a", 240}},
			[]int64{200, 300},
			[]int{0, 1},
		},
		"less than the one that came before": {
			map[string]int64{"a": 100, "b": 250},
			[]wait{{"a", 100}, {"b", 240}, {"a", 240}},
			[]int64{200, 300},
			[]int{0, 2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := NewBudget(1000)
			rest := int64(1000)
			for _, topic := range []string{"a", "b", "rest"} {
				b.join(topic)
				b.Account(topic).add(test.held[topic])
				rest -= test.held[topic]
			}
			b.Account("rest").add(rest)
			var waiting []*waiter
			for _, w := range test.waits {
				waiting = append(waiting, b.Account(w.topic).wait(w.bytes).Value.(*waiter))
			}
			var served []int
			for _, gives := range test.gives {
				b.Account("rest").Release(gives)
				for i, w := range waiting {
					select {
					case <-w.granted:
						if !slices.Contains(served, i) {
							served = append(served, i)
						}
					default:
					}
				}
			}
			if !slices.Equal(served, test.served) {
				t.Errorf("served %v, want %v", served, test.served)
			}
		})
	}
}

// Who holds less than the one that comes next does not wait for it: here one that has been alone, and waits for what a
// topic without lanes still holds.
func TestWhoHoldsLessDoesNotWait(t *testing.T) {
	b := NewBudget(1000)
	b.join("alone")
	alone, gone, none := b.Account("alone"), b.Account("gone"), b.Account("none")
	alone.add(100)
	gone.add(400)
	alone.wait(900)
	if gone.Try(1) {
		t.Error("one that holds more overtakes it")
	}
	if !none.Try(1) {
		t.Error("one that holds less waits for it")
	}
}
