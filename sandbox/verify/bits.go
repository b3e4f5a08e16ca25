package verify

import (
	"maps"
	"math/bits"
	"slices"
)

// offsets is a set of Kafka offsets: a bit each, in chunks, so that one absurd offset does not cost memory up to it.
type offsets map[int64]*chunk

const chunkBits = 1 << 15

type chunk [chunkBits / 64]uint64

// add puts an offset into the set and says whether it was absent.
func (s offsets) add(offset int64) bool {
	c := s[offset/chunkBits]
	if c == nil {
		c = new(chunk)
		s[offset/chunkBits] = c
	}
	word, bit := &c[offset%chunkBits/64], uint64(1)<<(offset%64)
	absent := *word&bit == 0
	*word |= bit
	return absent
}

func (s offsets) has(offset int64) bool {
	c := s[offset/chunkBits]
	return c != nil && c[offset%chunkBits/64]&(1<<(offset%64)) != 0
}

// without calls yield for the members of s that other does not have, in ascending order.
func (s offsets) without(other offsets, yield func(offset int64)) {
	for _, at := range slices.Sorted(maps.Keys(s)) {
		rest := other[at]
		for i, word := range s[at] {
			if rest != nil {
				word &^= rest[i]
			}
			for ; word != 0; word &= word - 1 {
				yield(at*chunkBits + int64(i)*64 + int64(bits.TrailingZeros64(word)))
			}
		}
	}
}
