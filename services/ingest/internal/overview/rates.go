package overview

import "time"

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
}

// take remembers a moment, at most one every fraction of the window.
func (r *rates) take(now time.Time, rows, bytes uint64) {
	if r.n > 0 && now.Sub(r.ring[(r.n-1)%samples].at) < over/samples {
		return
	}
	r.ring[r.n%samples] = sample{now, rows, bytes}
	r.n++
}

// over is what was sent a second, since the oldest sample that is at most a minute old.
func (r *rates) over(now time.Time, rows, bytes uint64) (rowsPerSecond, bytesPerSecond float64) {
	for i := max(0, r.n-samples); i < r.n; i++ {
		s := &r.ring[i%samples]
		elapsed := now.Sub(s.at)
		if elapsed > over+over/samples {
			continue
		}
		if elapsed < time.Second || rows < s.rows || bytes < s.bytes {
			return 0, 0
		}
		return float64(rows-s.rows) / elapsed.Seconds(), float64(bytes-s.bytes) / elapsed.Seconds()
	}
	return 0, 0
}
