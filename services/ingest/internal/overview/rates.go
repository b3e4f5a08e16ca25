package overview

import (
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

const (
	// over is the time that rates are taken over, and samples how many are kept of it.
	over    = time.Minute
	samples = 21
)

// rates remembers what a lane had sent over the last minute. The zero value is ready.
type rates struct {
	ring [samples]sample
	n    int // taken
}

type sample struct {
	at          time.Time
	rows, bytes uint64
	behind      int64
}

// take remembers a moment, at most one every fraction of the window.
func (r *rates) take(now time.Time, s *lane.Status) {
	if r.n > 0 && now.Sub(r.ring[(r.n-1)%samples].at) < over/samples {
		return
	}
	r.ring[r.n%samples] = sample{now, s.Rows, s.Bytes, s.Lag}
	r.n++
}

// over is what was sent a second, and how many records less it is behind by, since the oldest sample that is at most a
// minute old.
func (r *rates) over(now time.Time, s *lane.Status) (rowsPerSecond, bytesPerSecond, gained float64) {
	for i := max(0, r.n-samples); i < r.n; i++ {
		then := &r.ring[i%samples]
		elapsed := now.Sub(then.at)
		if elapsed > over+over/samples {
			continue
		}
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
