package kafkawire

import (
	"encoding/binary"
	"sync"
)

// FetchVersion is the version of the fetch requests whose answers a connection takes apart: Kafka 2.3 and later, the last one without
// compact encodings. Answers of other versions pass as they are.
const FetchVersion = 11

// Answer has the records of one answer to a fetch, as they came.
type Answer struct {
	parts map[part][]byte
}

type part struct {
	topic     string
	partition int32
}

// Records are the bytes that came for a partition: batches one after the other, the last of them perhaps cut off. They are nil for none.
func (a *Answer) Records(topic string, partition int32) []byte {
	return a.parts[part{topic, partition}]
}

// Answers keeps what connections have taken out of answers, until it is asked for.
type Answers struct {
	mu   sync.Mutex
	last int32
	kept map[int32]*Answer
}

// Take hands over the answer whose session id, as the client has decoded it, is the ticket. It is nil for an answer that was not taken
// apart, that was asked for before, or whose connection has had too many answers since or is closed.
func (a *Answers) Take(ticket int32) *Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	answer := a.kept[ticket]
	delete(a.kept, ticket)
	return answer
}

// unclaimed is how many answers of one connection may wait to be asked for. A client that has given up on a request never asks.
const unclaimed = 4

// tickets are those of one connection's last answers.
type tickets struct {
	ring   [unclaimed]int32
	next   int
	closed bool
}

// put keeps an answer of a connection and returns its ticket, which is positive.
func (a *Answers) put(answer *Answer, t *tickets) int32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept == nil {
		a.kept = make(map[int32]*Answer)
	}
	a.last = max(a.last+1, 1) // behind the largest comes 1
	if t.closed {
		return a.last
	}
	delete(a.kept, t.ring[t.next])
	t.ring[t.next] = a.last
	t.next = (t.next + 1) % unclaimed
	a.kept[a.last] = answer
	return a.last
}

// drop forgets the answers of a connection, now and from now on.
func (a *Answers) drop(t *tickets) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t.closed = true
	for _, ticket := range t.ring {
		delete(a.kept, ticket)
	}
}

// apart takes the records out of the body of an answer, which it leaves alone, and appends to dst the body of one that has none, but for
// messages of formats before Kafka 0.11. at is where in it the session id is. A body that is none is not ok.
func apart(dst, body []byte) (out []byte, at int, a *Answer, ok bool) {
	c := cursor{body: body}
	c.skip(4 + 2) // throttle time, error
	at = len(dst) + c.at
	c.skip(4) // session id
	a = &Answer{parts: make(map[part][]byte)}
	from := 0 // what was not copied to dst yet
	for range c.count() {
		topic := string(c.take(int(c.int16())))
		for range c.count() {
			partition := c.int32()
			c.skip(2 + 8 + 8 + 8)     // error, high watermark, last stable offset, start of the log
			c.skip(c.count() * 2 * 8) // aborted transactions: producer, first offset
			c.skip(4)                 // preferred replica
			size := c.int32()
			if size <= 0 {
				continue
			}
			start := c.at
			records := c.take(int(size))
			keep := legacyEnd(records)
			if keep == 0 && !c.failed {
				a.parts[part{topic, partition}] = records
			}
			dst = append(dst, body[from:start-4]...)
			dst = binary.BigEndian.AppendUint32(dst, uint32(keep))
			dst = append(dst, records[:keep]...)
			from = c.at
		}
	}
	if c.failed || c.at != len(body) {
		return nil, 0, nil, false
	}
	return append(dst, body[from:]...), at, a, true
}

// cursor reads a body. Once it has failed it reads nothing more.
type cursor struct {
	body   []byte
	at     int
	failed bool
}

// take is the next n bytes.
func (c *cursor) take(n int) []byte {
	if c.failed || n < 0 || n > len(c.body)-c.at {
		c.failed = true
		return nil
	}
	b := c.body[c.at : c.at+n : c.at+n]
	c.at += n
	return b
}

func (c *cursor) skip(n int) { c.take(n) }

func (c *cursor) int16() int16 {
	if b := c.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if b := c.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

// count is the length of an array; null has none. No element is smaller than two bytes.
func (c *cursor) count() int {
	n := int(c.int32())
	if n > (len(c.body)-c.at)/2 {
		c.failed = true
	}
	if c.failed {
		return 0
	}
	return max(n, 0)
}
