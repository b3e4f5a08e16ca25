package lane

// remembered is how many settled batches a lane remembers.
const remembered = 64

// Written is a settled batch as its rows were appended.
type Written struct {
	// Start and End are the offsets of its records: the first, and the one behind the last.
	Start, End int64
	Blocks     []WrittenBlock
}

// WrittenBlock is the rows of a batch for one table.
type WrittenBlock struct {
	// Table is the table's resource name, Stream the write stream's; empty for the default stream.
	Table, Stream string
	// Offset is that of the first row in the stream; -1 in the default stream, which has none.
	Offset int64
	// Rows are in the table, Refused are not.
	Rows, Refused int
}

// memory is the last settled batches, a ring that grows with them to remembered. The board's mu guards it.
type memory struct {
	ring []Written
	next int
}

// add returns the place for one more, with the array of blocks that was there.
func (m *memory) add(start, end int64) *Written {
	if len(m.ring) < remembered {
		m.ring = append(m.ring, Written{})
	}
	w := &m.ring[m.next%remembered]
	m.next++
	w.Start, w.End, w.Blocks = start, end, w.Blocks[:0]
	return w
}

// remember notes a batch whose rows are settled, before the tables' counts move on.
func (l *lane) remember(b *batch) {
	s := &l.status
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.written.add(b.start, b.end)
	for i := range b.blocks {
		bl := &b.blocks[i]
		t := &l.tables[bl.table]
		if bl.rows == 0 {
			continue
		}
		one := WrittenBlock{
			Table: t.name, Stream: t.stream, Offset: t.settled, Rows: bl.rows - bl.refused, Refused: bl.refused,
		}
		if t.repeats {
			one.Stream, one.Offset = "", -1
		}
		w.Blocks = append(w.Blocks, one)
	}
}

// Written is the batch that an offset was in, as a lane at hand remembers it; false: none does.
func (s *Service) Written(topic string, partition int32, offset int64) (Written, bool) {
	for _, l := range s.list() {
		if w, ok := l.status.wrote(topic, partition, offset); ok {
			return w, true
		}
	}
	return Written{}, false
}

func (b *board) wrote(topic string, partition int32, offset int64) (Written, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now.Topic != topic || b.now.Partition != partition {
		return Written{}, false
	}
	for i := range b.written.ring {
		if w := b.written.ring[i]; w.Start <= offset && offset < w.End {
			w.Blocks = append([]WrittenBlock(nil), w.Blocks...)
			return w, true
		}
	}
	return Written{}, false
}
