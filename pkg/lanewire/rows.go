package lanewire

import (
	"fmt"

	"google.golang.org/grpc/mem"
)

// tagRow starts every row of a block: field 1, length-delimited, of DeliveryEventRows and its like as of BigQuery's
// ProtoRows.
const tagRow = 0x0a

// CountRows counts the rows of a block by their framing; it looks into none of them. The error names the row and byte
// where the framing breaks, or says that there are more than MaxRows.
func CountRows(data mem.BufferSlice) (int, error) {
	c := newCursor(data)
	rows := 0
	for c.pos < c.size {
		if rows += c.skipRows(MaxRows - rows); c.pos == c.size {
			break
		}
		end, err := c.row(rows)
		if err != nil {
			return 0, err
		}
		c.skip(end)
		rows++
	}
	return rows, nil
}

// skipRows skips rows that lie in the present buffer as a whole, at most limit, and counts them. It stops before a row
// that does not, and before one whose framing is broken.
func (c *cursor) skipRows(limit int) int {
	b, at, rows := c.rest, 0, 0
	for rows < limit {
		// A tag and a length of up to three bytes: rows below 2 MiB.
		if len(b)-at < 4 || b[at] != tagRow {
			break
		}
		n, head := int(b[at+1]), 2
		if n >= 0x80 {
			n, head = n&0x7f|int(b[at+2])<<7, 3
			if n >= 0x80<<7 {
				n, head = n&(0x80<<7-1)|int(b[at+3])<<14, 4
				if n >= 0x80<<14 {
					break
				}
			}
		}
		if n > len(b)-at-head {
			break
		}
		at += head + n
		rows++
	}
	c.rest, c.pos = b[at:], c.pos+at
	return rows
}

// SplitRows cuts a block in two behind its first n rows. Both parts hold references of their own, data keeps its own.
func SplitRows(data mem.BufferSlice, n int) (first, rest mem.BufferSlice, err error) {
	c := newCursor(data)
	for row := range n {
		if c.pos == c.size {
			return nil, nil, fmt.Errorf("split behind row %d: the block has %d rows", n, row)
		}
		end, err := c.row(row)
		if err != nil {
			return nil, nil, err
		}
		c.skip(end)
	}
	cut := c.pos
	c = newCursor(data)
	return c.take(cut), c.take(c.size), nil
}

// DropRows is a block without the rows of the given ascending indexes, counted from 0. It holds references of its own,
// data keeps its own. No rows left is an empty block, not an error.
func DropRows(data mem.BufferSlice, indexes []int) (mem.BufferSlice, error) {
	for i, index := range indexes {
		if index < 0 || i > 0 && index <= indexes[i-1] {
			return nil, fmt.Errorf("drop rows: indexes are not ascending from 0: %d at place %d", index, i)
		}
	}
	// kept trails walk: what lies between them is to be kept.
	walk, kept := newCursor(data), newCursor(data)
	var out mem.BufferSlice
	for row := 0; len(indexes) > 0; row++ {
		if walk.pos == walk.size {
			out.Free()
			return nil, fmt.Errorf("drop row %d: the block has %d rows", indexes[0], row)
		}
		start := walk.pos
		end, err := walk.row(row)
		if err != nil {
			out.Free()
			return nil, err
		}
		walk.skip(end)
		if row == indexes[0] {
			out = append(out, kept.take(start)...)
			kept.skip(end)
			indexes = indexes[1:]
		}
	}
	return append(out, kept.take(kept.size)...), nil
}

// row reads the framing of the next row and returns where that row ends. index is its number, for the error and the
// bound.
func (c *cursor) row(index int) (end int, err error) {
	if index == MaxRows {
		return 0, fmt.Errorf("block has more than %d rows", MaxRows)
	}
	start := c.pos
	tag, _ := c.byte()
	if tag != tagRow {
		return 0, fmt.Errorf("row %d at byte %d starts with 0x%02x, not with tag 0x%02x", index, start, tag, tagRow)
	}
	end, ok := c.length(c.size)
	if !ok {
		return 0, fmt.Errorf("row %d at byte %d has a length beyond the block of %d bytes", index, start, c.size)
	}
	return end, nil
}
