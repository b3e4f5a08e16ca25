package lanewire

import "google.golang.org/grpc/mem"

// cursor walks a message that lies scattered over buffers. It holds no reference: it lives no longer than the data it
// walks.
type cursor struct {
	data mem.BufferSlice
	// rest is what is left of data[next-1].
	rest []byte
	next int
	// pos counts the bytes walked, size all there are.
	pos, size int
}

func newCursor(data mem.BufferSlice) cursor {
	return cursor{data: data, size: data.Len()}
}

// fill makes rest non-empty; false at the end.
func (c *cursor) fill() bool {
	for len(c.rest) == 0 {
		if c.next == len(c.data) {
			return false
		}
		c.rest = c.data[c.next].ReadOnlyData()
		c.next++
	}
	return true
}

// byte reads one byte; false at the end.
func (c *cursor) byte() (byte, bool) {
	if !c.fill() {
		return 0, false
	}
	b := c.rest[0]
	c.rest = c.rest[1:]
	c.pos++
	return b, true
}

// uvarint reads a varint that ends by `end`; false when it does not, or is longer than 64 bits.
func (c *cursor) uvarint(end int) (uint64, bool) {
	// In one buffer, which is the rule.
	if len(c.rest) >= 2 && end-c.pos >= 2 {
		if b := c.rest; b[0] < 0x80 {
			c.rest, c.pos = b[1:], c.pos+1
			return uint64(b[0]), true
		} else if b[1] < 0x80 {
			c.rest, c.pos = b[2:], c.pos+2
			return uint64(b[0]&0x7f) | uint64(b[1])<<7, true
		}
	}
	return c.longUvarint(end)
}

func (c *cursor) longUvarint(end int) (uint64, bool) {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		b, ok := c.byte()
		if !ok || c.pos > end || (shift == 63 && b > 1) {
			return 0, false
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, true
		}
	}
	return 0, false
}

// uint32 reads a varint into v, cut to 32 bits as protobuf cuts it.
func (c *cursor) uint32(end int, v *uint32) bool {
	wide, ok := c.uvarint(end)
	*v = uint32(wide) // Protobuf defines the cut.
	return ok
}

// length reads the length of what follows and returns where that ends; false when it does not end by `end`.
func (c *cursor) length(end int) (int, bool) {
	n, ok := c.uvarint(end)
	if !ok || n > uint64(end-c.pos) {
		return 0, false
	}
	return c.pos + int(n), true
}

// skip moves to `to`, which is not beyond the end.
func (c *cursor) skip(to int) {
	n := to - c.pos
	c.pos = to
	for n > len(c.rest) {
		n -= len(c.rest)
		c.rest = c.data[c.next].ReadOnlyData()
		c.next++
	}
	c.rest = c.rest[n:]
}

// take moves to `to`, which is not beyond the end, and returns what lies between, with references of its own. Nothing
// is copied.
func (c *cursor) take(to int) mem.BufferSlice {
	if to == c.pos || !c.fill() {
		return nil
	}
	first, start := c.next-1, c.pos
	from := c.data[first].Len() - len(c.rest)
	c.skip(to)
	out := make(mem.BufferSlice, 0, c.next-first)
	for left := to - start; left > 0; first++ {
		b := c.data[first]
		n := min(left, b.Len()-from)
		if n > 0 {
			out = append(out, b.Slice(from, from+n))
		}
		left -= n
		from = 0
	}
	return out
}
