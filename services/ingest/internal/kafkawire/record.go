package kafkawire

import (
	"errors"
	"math/bits"
)

// minRecord is the size of the smallest record: length, attributes, two deltas, the lengths of key and value, the
// number of headers.
const minRecord = 7

// Record is a record of a batch. Its slices alias the batch.
type Record struct {
	OffsetDelta, MillisDelta int64
	// Key and Value are nil when they are null.
	Key, Value []byte
	// Headers is how many headers there are.
	Headers int

	headers []byte
}

// RawHeaders are the headers that NextHeader has not read, as they came. Records that have as many of the same bytes
// have the same headers.
func (r *Record) RawHeaders() []byte { return r.headers }

// errRecord says that a batch's records are not what the format says. The checksum holds, so it was written like that.
var errRecord = errors.New("a record of the batch breaks off or does not fill its length")

// Next reads the record that raw begins with, and returns what is behind it.
func (r *Record) Next(raw []byte) (rest []byte, err error) {
	length, p := varint(raw, 0)
	if p < 0 || length < 0 || length > int64(len(raw)-p) {
		return nil, errRecord
	}
	rest, raw = raw[p+int(length):], raw[p:p+int(length)]
	r.MillisDelta, p = varint(raw, 1) // behind the attributes, of which none are in use
	r.OffsetDelta, p = varint(raw, p)
	r.Key, p = field(raw, p)
	r.Value, p = field(raw, p)
	headers, p := varint(raw, p)
	if p < 0 || headers < 0 || headers > int64(len(raw)-p) || headers == 0 && p != len(raw) {
		return nil, errRecord
	}
	r.Headers, r.headers = int(headers), raw[p:]
	return rest, nil
}

// NextHeader reads the next of the record's headers; a value is nil when it is null. Call it Headers times.
func (r *Record) NextHeader() (key, value []byte, err error) {
	key, p := field(r.headers, 0)
	value, p = field(r.headers, p)
	if p < 0 || key == nil {
		return nil, nil, errRecord
	}
	r.headers = r.headers[p:]
	return key, value, nil
}

// End reports whether the record ends with its last header.
func (r *Record) End() error {
	if len(r.headers) != 0 {
		return errRecord
	}
	return nil
}

// field reads bytes with their length before them; -1 is null. A negative position is an error, in and out.
func field(raw []byte, p int) ([]byte, int) {
	n, p := varint(raw, p)
	switch {
	case p < 0 || n > int64(len(raw)-p):
		return nil, -1
	case n < 0:
		return nil, p
	}
	end := p + int(n)
	return raw[p:end:end], end
}

// varint reads a zigzag varint at p and returns where it ends. A negative position is an error, in and out.
func varint(raw []byte, p int) (int64, int) {
	if uint(p) >= uint(len(raw)) {
		return 0, -1
	}
	if c := raw[p]; c < 0x80 {
		return int64(c>>1) ^ -int64(c&1), p + 1
	}
	return longVarint(raw, p)
}

func longVarint(raw []byte, p int) (int64, int) {
	var u uint64
	for shift := 0; shift < bits.UintSize && p < len(raw); shift += 7 {
		c := raw[p]
		p++
		u |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return int64(u>>1) ^ -int64(u&1), p
		}
	}
	return 0, -1
}
