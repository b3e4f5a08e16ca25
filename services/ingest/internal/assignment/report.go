package assignment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Report is what a member tells the leader when it joins: what it holds, what that brings, and what it can carry.
type Report struct {
	// Generation is that in which the member holds what it says; -1 is none.
	Generation int32
	// Capacity is in bytes a second; 0 is not known.
	Capacity uint64
	// Holds are grouped by topic.
	Holds []Share
}

// Share is a partition with the bytes a second that it brings.
type Share struct {
	Partition
	Rate uint64
}

// Unknown is the rate of a partition that has not been measured long enough.
const Unknown = math.MaxUint64

// The bounds of a report. One of the other members, of another version perhaps, or a stranger, has written it.
const (
	// MaxReport is how long one may be. A coordinator keeps those of all members in one record.
	MaxReport = 256 << 10
	maxTopic  = 249
	version   = 1
)

// magic marks a report behind the generation, which other clients put there alone.
var magic = [3]byte{'w', 'b', version}

// ErrNoReport says that bytes are no report of a version that is known here.
var ErrNoReport = errors.New("no report of a member")

// Append appends the bytes of a report: the generation in the four bytes in which clients in Java have it too, the
// mark, the capacity, and for each topic its name, how many partitions there are, and each of them with its rate plus
// one. What goes beyond MaxReport is left out.
func (r *Report) Append(dst []byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.Generation))
	dst = append(dst, magic[:]...)
	dst = binary.AppendUvarint(dst, r.Capacity)
	for i := 0; i < len(r.Holds); {
		topic, end := r.Holds[i].Topic, i
		for end < len(r.Holds) && r.Holds[end].Topic == topic {
			end++
		}
		need := len(topic) + 2*binary.MaxVarintLen32 + (end-i)*(binary.MaxVarintLen32+binary.MaxVarintLen64)
		if len(dst)-start+need > MaxReport {
			break
		}
		dst = binary.AppendUvarint(dst, uint64(len(topic)))
		dst = append(dst, topic...)
		dst = binary.AppendUvarint(dst, uint64(end-i))
		for ; i < end; i++ {
			dst = binary.AppendUvarint(dst, uint64(r.Holds[i].Number))
			dst = binary.AppendUvarint(dst, r.Holds[i].Rate+1) // Unknown is 0
		}
	}
	return dst
}

// ParseReport reads the bytes of another member. errors.Is(err, ErrNoReport) when they are of somebody else, or of a
// version that is not known; any other error says what is wrong with them.
func ParseReport(b []byte) (Report, error) {
	if len(b) < 4+len(magic) || [3]byte(b[4:7]) != magic {
		return Report{}, ErrNoReport
	}
	if len(b) > MaxReport {
		return Report{}, fmt.Errorf("a report of %d bytes: %d are the most", len(b), MaxReport)
	}
	r := Report{Generation: int32(binary.BigEndian.Uint32(b))}
	d := decoder{rest: b[7:]}
	r.Capacity = d.number(math.MaxUint64)
	seen := make(map[Partition]bool)
	for len(d.rest) > 0 && d.err == nil {
		topic := d.text()
		n := d.number(uint64(len(d.rest))) // each takes a byte at least
		if n == 0 && d.err == nil {
			d.err = errors.New("a topic without partitions")
		}
		for ; n > 0 && d.err == nil; n-- {
			s := Share{Partition{topic, int32(d.number(math.MaxInt32))}, d.number(math.MaxUint64) - 1}
			if seen[s.Partition] && d.err == nil {
				d.err = fmt.Errorf("%s/%d comes twice", s.Topic, s.Number)
			}
			seen[s.Partition] = true
			r.Holds = append(r.Holds, s)
		}
	}
	if d.err != nil {
		return Report{}, fmt.Errorf("report of a member: %w", d.err)
	}
	return r, nil
}

type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) number(most uint64) uint64 {
	v, n := binary.Uvarint(d.rest)
	switch {
	case d.err != nil:
		return 0
	case n <= 0:
		d.err = errors.New("a number is cut off or too long")
		return 0
	case v > most:
		d.err = fmt.Errorf("a number is %d, where %d is the most", v, most)
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) text() string {
	n := d.number(min(maxTopic, uint64(len(d.rest))))
	if d.err == nil && n > uint64(len(d.rest)) {
		d.err = errors.New("a name is cut off")
	}
	if d.err != nil {
		return ""
	}
	text := string(d.rest[:n])
	d.rest = d.rest[n:]
	return text
}
