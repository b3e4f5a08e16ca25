package kafkawire

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"
)

// FetchVersion is the version of the fetch requests whose answers a connection takes apart: Kafka 2.3 and later, the last one without
// compact encodings. Answers of other versions pass as they are.
const FetchVersion = 11

// Answer has the records of one answer to a fetch, as they came.
type Answer struct {
	parts map[part]*Memory
}

type part struct {
	topic     string
	partition int32
}

// Records are the bytes that came for a partition: batches one after the other, the last of them perhaps cut off. They are nil for none. Whoever
// asks has the hold on them that they come with.
func (a *Answer) Records(topic string, partition int32) *Memory {
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

// errAnswer says that an answer is not laid out as its version says.
var errAnswer = errors.New("the answer to a fetch is not one of the version that was asked for")

// apart reads the body of an answer, left bytes, and takes the records out. It appends to out the body of an answer that has none, but for messages of
// formats before Kafka 0.11. at is where in it the session id is. The records of each partition have memory of their own: those of one
// that is slow hold on to no others.
func apart(out []byte, in io.Reader, left int) (_ []byte, at int, a *Answer, err error) {
	c := cursor{in: in, left: left, out: out}
	c.skip(4 + 2) // throttle time, error
	at = len(c.out)
	c.skip(4) // session id
	a = &Answer{parts: make(map[part]*Memory)}
	for range c.count() {
		topic := string(c.take(int(c.int16())))
		for range c.count() {
			partition := c.int32()
			c.skip(2 + 8 + 8 + 8)     // error, high watermark, last stable offset, start of the log
			c.skip(c.count() * 2 * 8) // aborted transactions: producer, first offset
			c.skip(4)                 // preferred replica
			size := c.int32()
			if size <= 0 || c.err != nil {
				continue
			}
			records := c.apart(int(size))
			keep := legacyEnd(records.Bytes())
			if keep == 0 {
				a.parts[part{topic, partition}] = records
			}
			binary.BigEndian.PutUint32(c.out[len(c.out)-4:], uint32(keep))
			c.out = append(c.out, records.Bytes()[:keep]...)
		}
	}
	if c.err == nil && c.left > 0 {
		c.err = errAnswer
	}
	return c.out, at, a, c.err
}

// cursor reads a body and copies it. Once it has failed it reads nothing more.
type cursor struct {
	in   io.Reader
	left int
	out  []byte
	err  error
}

// take copies the next n bytes, which it returns. They are the caller's until the next call.
func (c *cursor) take(n int) []byte {
	if !c.has(n) {
		return nil
	}
	at := len(c.out)
	c.out = slices.Grow(c.out, n)[:at+n]
	c.read(c.out[at:])
	return c.out[at:]
}

// apart reads the next n bytes and does not copy them.
func (c *cursor) apart(n int) *Memory {
	if !c.has(n) {
		return nil
	}
	m := NewMemory(n)
	c.read(m.Bytes())
	return m
}

func (c *cursor) has(n int) bool {
	if c.err == nil && (n < 0 || n > c.left) {
		c.err = errAnswer
	}
	return c.err == nil
}

func (c *cursor) read(b []byte) {
	_, c.err = io.ReadFull(c.in, b)
	c.left -= len(b)
}

func (c *cursor) skip(n int) { c.take(n) }

func (c *cursor) int16() int16 {
	if b := c.take(2); c.err == nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if b := c.take(4); c.err == nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

// count is the length of an array; null has none. No element is smaller than two bytes.
func (c *cursor) count() int {
	n := int(c.int32())
	if !c.has(max(2*n, 0)) {
		return 0
	}
	return max(n, 0)
}
