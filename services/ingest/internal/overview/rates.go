package overview

import (
	"slices"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
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

// sample is what had been sent, and how far behind the lane was, from one moment to another, in nanoseconds since 1970.
type sample struct {
	from, to    int64
	rows, bytes uint64
	behind      int64
}

// ageOf is how long ago a moment was.
func ageOf(moment int64, now time.Time) time.Duration { return time.Duration(now.UnixNano() - moment) }

// take remembers a moment, at most one every fraction of the window.
func (r *rates) take(now time.Time, s *lane.Status) {
	if n := len(r.runs); n > 0 {
		last := &r.runs[n-1]
		if ageOf(last.to, now) < over/samples {
			return
		}
		if last.rows == s.Rows && last.bytes == s.Bytes && last.behind == s.Lag {
			last.to = now.UnixNano()
			r.forget(now)
			return
		}
	}
	r.forget(now)
	r.runs = append(r.runs, sample{now.UnixNano(), now.UnixNano(), s.Rows, s.Bytes, s.Lag})
}

// forget drops what ended before the window.
func (r *rates) forget(now time.Time) {
	gone := 0
	for gone < len(r.runs) && ageOf(r.runs[gone].to, now) > oldest {
		gone++
	}
	r.runs = slices.Delete(r.runs, 0, gone)
}

// over is what was sent a second, and how many records less it is behind by, since the oldest sample that is at most a
// minute old.
func (r *rates) over(now time.Time, s *lane.Status) (rowsPerSecond, bytesPerSecond, gained float64) {
	for i := range r.runs {
		then := &r.runs[i]
		if ageOf(then.to, now) > oldest {
			continue
		}
		elapsed := min(ageOf(then.from, now), oldest)
		if elapsed < time.Second || s.Rows < then.rows || s.Bytes < then.bytes {
			return 0, 0, 0
		}
		if s.Lag >= 0 && then.behind >= 0 {
			gained = float64(then.behind-s.Lag) / elapsed.Seconds()
		}
		return float64(s.Rows-then.rows) / elapsed.Seconds(), float64(s.Bytes-then.bytes) / elapsed.Seconds(), gained
	}
	return 0, 0, 0
}
