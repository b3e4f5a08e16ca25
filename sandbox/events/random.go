package events

import "math/bits"

// random is SplitMix64 (Steele, Lea, Flood 2014). It is written out here, because an event's bytes are promised to
// depend on seed and index alone: a library generator may change its stream between versions.
type random struct{ state uint64 }

// newRandom returns the stream that belongs to one index under one seed. salt keeps the streams of one index apart.
func newRandom(seed, index, salt uint64) random {
	r := random{state: seed ^ bits.RotateLeft64(index*0x9e3779b97f4a7c15, 31) ^ salt*0xd1342543de82ef95}
	r.next()
	return r
}

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number in [0, n); n must be positive.
func (r *random) below(n int) int {
	high, _ := bits.Mul64(r.next(), uint64(n))
	return int(high)
}

// between returns a number in [low, high].
func (r *random) between(low, high int) int { return low + r.below(high-low+1) }

// chance is true with the given probability in percent.
func (r *random) chance(percent int) bool { return r.below(100) < percent }
