package model

import (
	"hash/maphash"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Report is the outcome of an exploration.
type Report struct {
	// States and Transitions were visited, up to Depth steps from the start. Finished states have passed the whole log.
	States, Transitions, Finished int
	Depth                         int
	Took                          time.Duration
	// Broken says how the law is broken; empty when it holds. Trace are the steps that lead there, a shortest way.
	Broken string
	Trace  []string
}

// origin is how a state was found: by which step of which state.
type origin struct {
	parent uint32
	step   uint16
}

// found is a state that a worker reached.
type found struct {
	state State
	hash  uint64
	from  origin
}

// Explore visits every state within the bounds, or stops at the first that breaks the law. States are told apart by a
// 64-bit hash: the chance that two of ten million share one is about 1 in 400,000. Two processors are used; the order,
// and so the trace, does not depend on it.
func (w World) Explore() Report {
	begin := time.Now()
	seed := maphash.MakeSeed()
	start := w.initial()
	seen := map[uint64]struct{}{key(seed, start): {}}
	origins := []origin{{}}
	frontier, first := []State{start}, 0
	r := Report{States: 1}
	for len(frontier) > 0 && r.Broken == "" {
		var next []State
		// In batches, so that what workers find stays small.
		const batch = 1 << 14
		for at := 0; at < len(frontier) && r.Broken == ""; at += batch {
			for _, p := range w.expand(seed, frontier[at:min(at+batch, len(frontier))], uint32(first+at)) {
				r.Transitions += p.transitions
				for i := range p.found {
					f := &p.found[i]
					if _, ok := seen[f.hash]; ok {
						continue
					}
					seen[f.hash] = struct{}{}
					origins = append(origins, f.from)
					next = append(next, f.state)
					if w.finished(&f.state) {
						r.Finished++
					}
					if r.Broken = w.check(&f.state); r.Broken != "" {
						r.Trace = w.trace(origins)
						break
					}
				}
				if r.Broken == "" && p.stuck >= 0 {
					r.Broken = "an owner that nobody disturbs does not get on"
					r.Trace = w.trace(origins[:p.stuck+1])
				}
				if r.Broken != "" {
					break
				}
			}
		}
		if len(next) > 0 {
			r.Depth++
		}
		first += len(frontier)
		frontier = next
	}
	r.States, r.Took = len(origins), time.Since(begin)
	return r
}

// part is what one worker found.
type part struct {
	found       []found
	transitions int
	stuck       int // a state that should have a next step and has none; -1 is none
}

// expand takes every step of the states, which are numbered from first on. The parts are in their order.
func (w *World) expand(seed maphash.Seed, states []State, first uint32) []part {
	workers := max(1, min(2, runtime.GOMAXPROCS(0), len(states)/64))
	parts := make([]part, workers)
	var wait sync.WaitGroup
	for k := range workers {
		wait.Go(func() {
			p := part{stuck: -1}
			own := *w
			for i := len(states) * k / workers; i < len(states)*(k+1)/workers; i++ {
				step := uint16(0)
				own.steps(&states[i], func(n *State) {
					canonical(n)
					p.found = append(p.found, found{
						state: *n, hash: key(seed, *n),
						from: origin{first + uint32(i), step},
					})
					step++
				})
				p.transitions += int(step)
				if step == 0 && p.stuck < 0 && own.stuck(&states[i]) {
					p.stuck = int(first) + i
				}
			}
			parts[k] = p
		})
	}
	wait.Wait()
	return parts
}

// trace walks again to the last state, in words.
func (w World) trace(origins []origin) []string {
	var path []uint16
	for at := uint32(len(origins) - 1); at != 0; at = origins[at].parent {
		path = append(path, origins[at].step)
	}
	words := ""
	w.words = &words
	state := w.initial()
	var lines []string
	for _, taken := range slices.Backward(path) {
		step, from := uint16(0), state
		w.steps(&from, func(n *State) {
			if step == taken {
				canonical(n)
				state = *n
				lines = append(lines, words)
			}
			step++
		})
	}
	return lines
}

// key hashes a state, without what is for traces alone.
func key(seed maphash.Seed, s State) uint64 {
	s.Created = 0
	for i := range s.Streams {
		s.Streams[i].Name = 0
	}
	for i := range s.Calls {
		s.Calls[i].Name = 0
	}
	return maphash.Comparable(seed, s)
}
