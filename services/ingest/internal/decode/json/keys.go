package json

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"slices"
)

// keys are the tables of the maps being read, to find a key that is there twice: open addressing, one table behind the
// other, slots that hold positions in the row plus one. The hash has a seed of its own, so that no payload can be made
// to collide.
type keys struct {
	seed  maphash.Seed
	slots []int
}

// table is one map's part of the slots.
type table struct{ from, size, used int }

func (k *keys) table(size int) table {
	t := table{len(k.slots), size, 0}
	k.slots = slices.Grow(k.slots, size)[:t.from+size]
	clear(k.slots[t.from:])
	return t
}

// drop forgets a table and those behind it.
func (k *keys) drop(from int) { k.slots = k.slots[:from] }

// add puts the key at out[at:], behind its length, into a table, which is the last; it reports false if it is there
// already.
func (k *keys) add(t *table, out []byte, at int) bool {
	if 2*t.used >= t.size {
		grown := k.table(4 * t.size)
		for _, slot := range k.slots[t.from : t.from+t.size] {
			if slot != 0 {
				free, _ := k.find(&grown, out, keyAt(out, slot-1))
				k.slots[free] = slot
			}
		}
		grown.used = t.used
		*t = grown
	}
	slot, found := k.find(t, out, keyAt(out, at))
	if !found {
		k.slots[slot] = at + 1
		t.used++
	}
	return !found
}

// find returns the slot of a key, or the free one that it belongs into.
func (k *keys) find(t *table, out, key []byte) (slot int, found bool) {
	mask := uint64(t.size - 1)
	for h := maphash.Bytes(k.seed, key) & mask; ; h = (h + 1) & mask {
		slot = t.from + int(h)
		if k.slots[slot] == 0 {
			return slot, false
		}
		if bytes.Equal(keyAt(out, k.slots[slot]-1), key) {
			return slot, true
		}
	}
}

// keyAt is the key whose length is at out[at:].
func keyAt(out []byte, at int) []byte {
	n, size := binary.Uvarint(out[at:])
	return out[at+size:][:n]
}
