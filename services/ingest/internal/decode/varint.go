package decode

import (
	"encoding/binary"
	"math/bits"

	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
)

// Varint reads an unsigned base-128 varint of at most 64 bits at src[p:]. Where there is none, next is negative:
// VarintEnds or VarintTooLong. Padded encodings are read, as Avro and protobuf ask for.
func Varint(src []byte, p int) (v uint64, next int) {
	if len(src)-p >= 8 {
		w := binary.LittleEndian.Uint64(src[p:])
		if stop := ^w & jsonscan.Highs; stop != 0 {
			return PackVarint(w & (stop ^ (stop - 1))), p + bits.TrailingZeros64(stop)>>3 + 1
		}
	}
	return anyVarint(src, p)
}

// What Varint returns where there is no varint.
const (
	VarintEnds    = -1 // src ends within it
	VarintTooLong = -2 // it has more than 64 bits
)

// anyVarint reads a varint byte by byte.
func anyVarint(src []byte, p int) (v uint64, next int) {
	for shift := uint(0); shift < 64; shift += 7 {
		if uint(p) >= uint(len(src)) {
			return 0, VarintEnds
		}
		b := src[p]
		p++
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if shift == 63 && b > 1 {
				return 0, VarintTooLong
			}
			return v, p
		}
	}
	return 0, VarintTooLong
}

// PackVarint joins the groups of seven bits of a varint of up to eight bytes; those behind it are zero.
func PackVarint(w uint64) uint64 {
	w &= 0x7f7f7f7f7f7f7f7f
	w = w&0x007f007f007f007f | w&0x7f007f007f007f00>>1
	w = w&0x00003fff00003fff | w&0x3fff00003fff0000>>2
	return w&0xfffffff | w>>32<<28
}

// SpreadVarint lays a number of up to 56 bits out as a minimal varint, and says how many bytes it takes.
func SpreadVarint(v uint64) (w uint64, size int) {
	size = VarintLen(v)
	w = v&0xfffffff | v>>28<<32
	w = w&0x00003fff00003fff | w&0x0fffc0000fffc000<<2
	w = w&0x007f007f007f007f | w&0x3f803f803f803f80<<1
	return w | jsonscan.Highs&(1<<(8*uint(size-1)&63)-1), size
}

// VarintLen is how many bytes a number takes as a varint.
func VarintLen(v uint64) int { return (9*bits.Len64(v) + 64) >> 6 }

// PutVarint writes a minimal varint at out[o:], which has room for it (ten bytes at most), and returns the position
// behind it.
func PutVarint(out []byte, o int, v uint64) int {
	for v >= 0x80 {
		out[o] = byte(v) | 0x80
		v >>= 7
		o++
	}
	out[o] = byte(v)
	return o + 1
}
