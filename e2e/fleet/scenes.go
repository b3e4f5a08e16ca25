package fleet

import (
	"syscall"
	"time"
)

const last = most + spare - 1

func seq(from, to int) []int {
	var s []int
	for i := from; i < to; i++ {
		s = append(s, i)
	}
	return s
}

// scenes are what happens, in order. Lanes that moved rest for a minute, so what needs all of them again waits that
// long.
func (r *run) scenes() []event {
	ofWriters, ofIngests := r.writerScenes, func() []event { return append(r.growAndShrink(), r.ingestScenes()...) }
	switch {
	case r.config.Short:
		ofWriters, ofIngests = r.shortScenes, r.growAndShrink
	case r.config.Lanes >= many:
		ofWriters, ofIngests = r.manyScenes, r.growAndShrink
	}
	switch r.config.Only {
	case OfWriters:
		return ofWriters()
	case OfIngests:
		return ofIngests()
	}
	return append(ofWriters(), ofIngests()...)
}

// manyScenes are those for many lanes.
func (r *run) manyScenes() []event {
	return []event{
		{what: "1 -> 4 writers", writers: 4, do: r.join(seq(0, 4), 1, 2, 3)},
		{what: "4 -> 8 writers", writers: 8, do: r.join(seq(0, 8), seq(4, 8)...), rest: time.Minute},
		{what: "8 -> 1 writers", writers: 1, do: r.leave(seq(0, 1), seq(1, 8)...)},
	}
}

func (r *run) shortScenes() []event {
	return []event{
		{what: "rolling update of one", writers: 1, updates: inTurn, do: r.update(0, [2]int{0, 1})},
		{what: "1 -> 4 writers", writers: 4, do: r.join([]int{1, 2, 3, last}, 2, 3, last)},
		{
			what: "rolling update of four", writers: 4, updates: inTurn,
			do: r.update(time.Second, [2]int{1, 4}, [2]int{2, 5}, [2]int{3, 6}, [2]int{last, 7}),
		},
		{what: "4 -> 2 writers", writers: 2, do: r.leave([]int{4, 5}, 6, 7)},
		{what: "SIGSTOP of one of two", class: hung, do: r.hang(5, 8*time.Second)},
		{what: "SIGKILL of the one with the lanes", writers: 1, class: killed, do: r.kill(4, 5)},
		{what: "1 -> 2 writers", writers: 2, do: r.join([]int{5, 0}, 0), rest: 35 * time.Second},
		{what: "2 -> 1 writers", writers: 1, do: r.leave([]int{0}, 5)},
	}
}

func (r *run) writerScenes() []event {
	return []event{
		{what: "1 -> 4 writers", writers: 4, do: r.join(seq(0, 4), 1, 2, 3)},
		{what: "4 -> 16 writers", writers: 16, do: r.join(seq(0, 16), seq(4, 16)...), rest: time.Minute},
		{what: "16 -> 2 writers", writers: 2, do: r.leave(seq(0, 2), seq(2, 16)...)},
		{what: "2 -> 1 writers", writers: 1, do: r.leave(seq(0, 1), 1)},
		{what: "rolling update of one", writers: 1, updates: inTurn, do: r.update(0, [2]int{0, 1})},
		{what: "the same, its name 3 s late", writers: 1, updates: inTurn, do: r.lateName(1, 2, 3*time.Second)},
		{
			what: "two rolling updates of one, 8 s apart", writers: 1, updates: inTurn, times: 2,
			do: r.update(8*time.Second, [2]int{2, 3}, [2]int{3, 4}),
		},
		{what: "the only writer away for 20 s", writers: 1, class: away, do: r.absent(4, 20*time.Second)},
		{what: "1 -> 4 writers again", writers: 4, do: r.join([]int{4, 0, 1, 2}, 0, 1, 2), rest: 20 * time.Second},
		{
			what: "rolling update of four, 10 s a writer", writers: 4, updates: inTurn,
			do: r.update(10*time.Second, [2]int{4, 5}, [2]int{0, 6}, [2]int{1, 7}, [2]int{2, 8}),
		},
		{
			what: "rolling update of four, 8 s a writer", writers: 4, updates: inTurn,
			do: r.update(8*time.Second, [2]int{5, 9}, [2]int{6, 10}, [2]int{7, 11}, [2]int{8, 12}),
		},
		{
			what: "rolling update of four, at once", writers: 4, updates: atOnce,
			do: r.update(0, [2]int{9, 13}, [2]int{10, 14}, [2]int{11, 15}, [2]int{12, last}),
		},
		{what: "SIGKILL of one of four", writers: 3, class: killed, do: r.kill(13, 14, 15, last)},
		{what: "a writer in its place", writers: 4, do: r.join([]int{13, 14, 15, last}, 13), rest: 30 * time.Second},
		{
			what: "SIGSTOP of one of four, for 12 s", writers: 4, class: hung, do: r.hang(13, 12*time.Second),
			rest: time.Minute,
		},
		{
			what: "BigQuery is 3 s late for one of four", class: slow, do: r.lateFor(3*time.Second, 30*time.Second),
			rest: time.Minute,
		},
		{what: "4 -> 1 writers", writers: 1, do: r.leave([]int{14}, 13, 15, last)},
	}
}

// growAndShrink are ingests that join and leave, a static member among them, while the first one stays.
func (r *run) growAndShrink() []event {
	return []event{
		{what: "1 -> 3 ingests", ingests: 3, class: shared, do: r.enlist(1, retiring)},
		{what: "3 -> 1 ingests", ingests: 1, class: shared, do: r.dismiss(1, retiring)},
	}
}

// ingestScenes leave static members out where one rebalance follows the other: one that misses a generation opens those
// lanes as after a crash that it got in the one before.
func (r *run) ingestScenes() []event {
	return []event{
		{what: "rolling update of one ingest", ingests: 1, class: shared, do: r.relieve(0, [2]int{0, 1})},
		{what: "a static ingest joins", ingests: 2, class: shared, do: r.enlist(lasting)},
		{what: "it restarts", ingests: 2, class: shared, restarts: true, do: r.restart(lasting)},
		{what: "it is taken out by its name", ingests: 1, class: shared, do: r.dismiss(lasting)},
		{what: "1 -> 4 ingests", ingests: 4, class: shared, do: r.enlist(0, 4, 5)},
		{
			what: "rolling update of four ingests", ingests: 4, class: shared,
			do: r.relieve(2*time.Second, [2]int{1, 6}, [2]int{0, 1}, [2]int{4, 0}, [2]int{5, 4}),
		},
		{what: "SIGKILL of one of four ingests", ingests: 3, class: deserted, do: r.desert(6, syscall.SIGKILL)},
		{what: "an ingest in its place", ingests: 4, class: shared, do: r.enlist(6)},
		{what: "SIGSTOP of one of four ingests", ingests: 3, class: deserted, do: r.desert(1, syscall.SIGSTOP)},
		{what: "it goes on", ingests: 4, class: deserted, do: r.wake(1)},
		{what: "4 -> 1 ingests", ingests: 1, class: shared, do: r.dismiss(6, 0, 4)},
	}
}
