package avro

import "math/bits"

// readVarint reads an unsigned base-128 varint of at most 64 bits at src[p:]. The result's next is negative when there is none: endOfInput
// or tooLong. Padded encodings are read as every Avro reader does; the row's own are always minimal.
func readVarint(src []byte, p int) (v uint64, next int) {
	for shift := uint(0); shift < 64; shift += 7 {
		if uint(p) >= uint(len(src)) {
			return 0, endOfInput
		}
		b := src[p]
		p++
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if shift == 63 && b > 1 {
				return 0, tooLong
			}
			return v, p
		}
	}
	return 0, tooLong
}

const (
	endOfInput = -1
	tooLong    = -2
)

// unzigzag undoes Avro's zigzag.
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// putVarint writes v at out[o:], which has room for ten bytes, and returns the offset behind it.
func putVarint(out []byte, o int, v uint64) int {
	for v >= 0x80 {
		out[o] = byte(v) | 0x80
		v >>= 7
		o++
	}
	out[o] = byte(v)
	return o + 1
}

// varintLen is how many bytes putVarint writes.
func varintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }
