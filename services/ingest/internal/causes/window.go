package causes

import "time"

// cell holds the milliseconds of each cause in one step.
type cell [Count]uint16

// window accounts for the newest steps. Its cells are a ring.
type window struct {
	step time.Duration
	// number is that of the newest step, counted from the epoch.
	number int64
	// rest is what was accounted for beyond whole milliseconds, carried so that shares stay exact.
	rest time.Duration
}

// account puts a time down to a cause.
func (w *window) account(cells []cell, from, to time.Time, c Cause) {
	newest := number(to, w.step)
	if newest-w.number >= int64(len(cells)) {
		// Nothing that the ring holds is in the window any more, and all of it is of this cause.
		clear(cells)
		for back := 1; back < len(cells); back++ {
			w.at(cells, newest-int64(back))[c] = uint16(w.step / time.Millisecond)
		}
		w.number, w.rest = newest, 0
		from = w.start(newest)
	}
	for w.number < newest {
		next := w.start(w.number + 1)
		w.credit(cells, next.Sub(from), c)
		from = next
		w.number++
		clear(w.at(cells, w.number)[:])
	}
	w.credit(cells, to.Sub(from), c)
}

// credit adds time to the newest step, in whole milliseconds; the rest goes with the next.
func (w *window) credit(cells []cell, d time.Duration, c Cause) {
	d += w.rest
	ms := d / time.Millisecond
	w.rest = d % time.Millisecond
	n := &w.at(cells, w.number)[c]
	*n += uint16(min(ms, time.Duration(^uint16(0)-*n)))
}

// shares is those of all steps; of the current cause alone while nothing has been accounted for.
func (w *window) shares(cells []cell, current Cause) (s Shares) {
	var sums [Count]uint64
	var all uint64
	for i := range cells {
		for c, ms := range cells[i] {
			sums[c] += uint64(ms)
			all += uint64(ms)
		}
	}
	if all == 0 {
		s[current] = 1 // less than a millisecond old
		return s
	}
	for c := range sums {
		s[c] = float64(sums[c]) / float64(all)
	}
	return s
}

func (w *window) at(cells []cell, number int64) *cell { return &cells[number%int64(len(cells))] }

func (w *window) start(number int64) time.Time { return time.Unix(0, number*int64(w.step)) }

func number(t time.Time, step time.Duration) int64 { return t.UnixNano() / int64(step) }
