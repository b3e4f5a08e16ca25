package overview

import (
	"slices"
	"time"
)

const (
	// over is the time that rates are taken over, and samples how many are kept of it.
	over    = time.Minute
	samples = 21
	// oldest is how old a sample may be that counts.
	oldest = over + over/samples
)

// rates remembers what a lane had sent over the last minute. The zero value is ready. Samples that say the same are
// one, so a lane at rest has one.
type rates struct {
	runs []sample // oldest first
	// looked is the last look that the lane was there at.
	looked uint64
}

// sample is what had been sent from one moment to another, in nanoseconds since 1970.
type sample struct {
	from, to    int64
	rows, bytes uint64
}

// ageOf is how long ago a moment was.
func ageOf(moment int64, now time.Time) time.Duration { return time.Duration(now.UnixNano() - moment) }

// take remembers a moment, at most one every fraction of the window.
func (r *rates) take(now time.Time, rows, bytes uint64) {
	if n := len(r.runs); n > 0 {
		last := &r.runs[n-1]
		if ageOf(last.to, now) < over/samples {
			return
		}
		if last.rows == rows && last.bytes == bytes {
			last.to = now.UnixNano()
			r.forget(now)
			return
		}
	}
	r.forget(now)
	r.runs = append(r.runs, sample{now.UnixNano(), now.UnixNano(), rows, bytes})
}

// forget drops what ended before the window.
func (r *rates) forget(now time.Time) {
	gone := 0
	for gone < len(r.runs) && ageOf(r.runs[gone].to, now) > oldest {
		gone++
	}
	r.runs = slices.Delete(r.runs, 0, gone)
}

// over is what was sent a second, since the oldest sample that is at most a minute old.
func (r *rates) over(now time.Time, rows, bytes uint64) (rowsPerSecond, bytesPerSecond float64) {
	for i := range r.runs {
		s := &r.runs[i]
		if ageOf(s.to, now) > oldest {
			continue
		}
		elapsed := min(ageOf(s.from, now), oldest)
		if elapsed < time.Second || rows < s.rows || bytes < s.bytes {
			return 0, 0
		}
		return float64(rows-s.rows) / elapsed.Seconds(), float64(bytes-s.bytes) / elapsed.Seconds()
	}
	return 0, 0
}
