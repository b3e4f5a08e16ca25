package protobuf

import "slices"

// numbers find the fields of a message, which ascend by number.
type numbers struct {
	// dense has the index of each field, plus one, by its number. Numbers beyond it are searched for in all.
	dense []uint16
	all   []uint32
}

func numbersOf[F any](fields []F, number func(*F) uint32) (n numbers) {
	for i := range fields {
		n.all = append(n.all, number(&fields[i]))
	}
	if len(n.all) == 0 {
		return n
	}
	n.dense = make([]uint16, min(int(n.all[len(n.all)-1]), 4*len(n.all)+64)+1)
	for i, number := range n.all {
		if int(number) < len(n.dense) {
			n.dense[number] = uint16(i + 1)
		}
	}
	return n
}

// find is the index of the field of a number; -1 for one that the schema does not have.
func (n *numbers) find(number uint64) int {
	if number < uint64(len(n.dense)) {
		return int(n.dense[number]) - 1
	}
	return n.search(number)
}

func (n *numbers) search(number uint64) int {
	if number > uint64(^uint32(0)) {
		return -1
	}
	at, ok := slices.BinarySearch(n.all, uint32(number))
	if !ok {
		return -1
	}
	return at
}
