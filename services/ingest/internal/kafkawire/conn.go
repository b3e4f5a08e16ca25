// Package kafkawire reads what Kafka's protocol says of records straight from the bytes that brokers send: record batches, and the answers
// to fetches that carry them.
//
// A client library that decodes an answer makes an object of each record and header. To have it not see them, a Conn lies under it: what
// passes through is Kafka's public protocol, so the Conn knows the answers to fetches by their requests, keeps the records of each, and
// lets the client have the same answer without them. In place of the session id, which is zero where no fetch sessions are used, it puts
// a ticket, by which the caller of the client gets the records that belong to the answer.
package kafkawire

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// Dialer opens connections to brokers, from which Answers has the records of answers. It is what sarama takes for a dialer of a proxy.
type Dialer struct {
	// Connect opens a connection, TLS handshake included.
	Connect func(network, address string) (net.Conn, error)
	// BodyTimeout bounds reading the rest of an answer once it has begun.
	BodyTimeout time.Duration
	// MaxAnswer is the size in bytes of the largest answer that is taken apart. Larger ones pass as they are.
	MaxAnswer int32
	// Answers has the records.
	Answers *Answers
}

// Dial opens a connection.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	raw, err := d.Connect(network, address)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: raw, dialer: d, in: bufio.NewReader(raw)}, nil
}

// fetchKey is the key of fetch requests.
const fetchKey = 1

// Sizes of heads: of a request up to its correlation id, of an answer with it, lengths included.
const (
	requestHead = 12
	answerHead  = 8
)

// conn is a connection to a broker. As with any, one goroutine may write while another reads.
type conn struct {
	net.Conn
	dialer *Dialer

	// The writer's: the head of the request under way, as far as it is known, and how much of the request is to come behind it.
	request  [requestHead]byte
	known    int
	upcoming int
	// blind says that what is written are no requests.
	blind bool

	mu sync.Mutex
	// fetches are the correlation ids of the requests whose answers are to be taken apart, in order, as answers are.
	fetches []int32

	// The reader's: what it has for the client, and how much more is to pass as it is.
	in      *bufio.Reader
	answer  [answerHead]byte
	ready   []byte
	passing int
	broken  error

	// tickets are guarded by those who keep the answers.
	tickets tickets
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	c.note(p)
	return c.Conn.Write(p)
}

// note remembers fetches among requests, however they are cut into writes.
func (c *conn) note(p []byte) {
	for len(p) > 0 && !c.blind {
		if c.upcoming > 0 {
			n := min(c.upcoming, len(p))
			c.upcoming -= n
			p = p[n:]
			continue
		}
		n := copy(c.request[c.known:], p)
		c.known += n
		p = p[n:]
		if c.known < requestHead {
			return
		}
		size := int32(binary.BigEndian.Uint32(c.request[:]))
		key, version := binary.BigEndian.Uint16(c.request[4:]), binary.BigEndian.Uint16(c.request[6:])
		c.known, c.upcoming = 0, int(size)-(requestHead-4)
		c.blind = c.upcoming < 0
		if key == fetchKey && version == FetchVersion && !c.blind {
			c.mu.Lock()
			c.fetches = append(c.fetches, int32(binary.BigEndian.Uint32(c.request[8:])))
			c.mu.Unlock()
		}
	}
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.ready) == 0 && c.passing == 0 && c.broken == nil {
		c.broken = c.next()
	}
	switch {
	case len(c.ready) > 0:
		n := copy(p, c.ready)
		c.ready = c.ready[n:]
		return n, nil
	case c.passing > 0:
		n, err := c.in.Read(p[:min(len(p), c.passing)])
		c.passing -= n
		return n, err
	}
	return 0, c.broken
}

// next begins with the next answer.
func (c *conn) next() error {
	if _, err := io.ReadFull(c.in, c.answer[:]); err != nil {
		return err
	}
	size := int32(binary.BigEndian.Uint32(c.answer[:])) - (answerHead - 4)
	if !c.fetched(int32(binary.BigEndian.Uint32(c.answer[4:]))) || size <= 0 || size > c.dialer.MaxAnswer {
		c.ready, c.passing = c.answer[:], int(max(size, 0))
		return nil
	}
	if err := c.SetReadDeadline(time.Now().Add(c.dialer.BodyTimeout)); err != nil {
		return err
	}
	out, at, answer, err := apart(make([]byte, answerHead, 1024), c.in, int(size))
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	copy(out[4:], c.answer[4:])
	binary.BigEndian.PutUint32(out[at:], uint32(c.dialer.Answers.put(answer, &c.tickets)))
	c.ready = out
	return nil
}

// fetched says whether the answer with an id is that to a fetch.
func (c *conn) fetched(id int32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.fetches) == 0 || c.fetches[0] != id {
		return false
	}
	c.fetches = slices.Delete(c.fetches, 0, 1)
	return true
}

// Close implements net.Conn. Answers that nobody has asked for are dropped.
func (c *conn) Close() error {
	c.dialer.Answers.drop(&c.tickets)
	return c.Conn.Close()
}
