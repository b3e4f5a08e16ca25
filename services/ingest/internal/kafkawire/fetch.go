package kafkawire

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Versions of fetches. The oldest has the rack of the consumer (Kafka 2.3), the newest names topics by id (3.1).
// FetchByName is the newest that names them by name (2.7).
const (
	FetchOldest = 11
	FetchByName = 12
	FetchNewest = 13
)

// FetchResponse is the response to a fetch.
type FetchResponse struct {
	ErrorCode  int16
	Partitions []FetchedPartition
}

// FetchedPartition is what a fetch brought for a partition.
type FetchedPartition struct {
	// Topic is the name up to FetchByName, TopicID the id from then on.
	Topic   string
	TopicID [16]byte
	// FetchResponseTopicPartition lacks RecordBatches and what is in tags.
	kmsg.FetchResponseTopicPartition
	// Records are batches as they came, one after the other, the last of them perhaps cut off; nil for none. They
	// come with one reference, which is the reader's. The records of each partition have a buffer of their own: a slow
	// one retains no others.
	Records *Buffer
}

// errResponse says that a response is not laid out as its version says.
var errResponse = errors.New("the response is not laid out as its version says")

// errUnrequested says that a response has more than was requested.
var errUnrequested = errors.New("the response has more partitions than were requested")

// readFetch reads the body of a response, left bytes, to a request for so many partitions. Nothing in it is taken to
// be larger than the bytes that are left, or more than was requested. What r held is overwritten.
func readFetch(in io.Reader, left int, version int16, requested int, r *FetchResponse) error {
	c := cursor{in: in, left: left, flexible: version >= FetchByName}
	clear(r.Partitions)
	r.Partitions = r.Partitions[:0]
	c.int32() // throttle time: the broker delays its next response by itself
	r.ErrorCode = c.int16()
	c.int32() // session
	for range c.array() {
		if c.err != nil {
			break
		}
		var topic FetchedPartition
		if version <= FetchByName {
			topic.Topic = c.string()
		} else {
			copy(topic.TopicID[:], c.take(len(topic.TopicID)))
		}
		partitions := c.array()
		r.Partitions = slices.Grow(r.Partitions, min(partitions, requested-len(r.Partitions)))
		for range partitions {
			p := topic
			p.Partition, p.ErrorCode = c.int32(), c.int16()
			p.HighWatermark, p.LastStableOffset, p.LogStartOffset = c.int64(), c.int64(), c.int64()
			for range c.array() {
				t := kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: c.int64(), FirstOffset: c.int64()}
				if c.tags(); c.err != nil {
					break
				}
				p.AbortedTransactions = append(p.AbortedTransactions, t)
			}
			p.PreferredReadReplica = c.int32()
			p.Records = c.buffer()
			if c.tags(); c.err != nil {
				break
			}
			if len(r.Partitions) == requested {
				return errUnrequested
			}
			r.Partitions = append(r.Partitions, p)
		}
		c.tags()
	}
	c.tags()
	if c.err == nil && c.left > 0 {
		c.err = errResponse
	}
	return c.err
}

// cursor reads a body. Once it has failed it reads nothing more, and all is zero.
type cursor struct {
	in       io.Reader
	left     int
	flexible bool // KIP-482: compact lengths and tags
	small    [16]byte
	err      error
}

// take reads the next n bytes. They are the caller's until the next call.
func (c *cursor) take(n int) []byte {
	b := c.small[:min(max(n, 0), len(c.small))]
	if n > len(c.small) {
		if !c.has(n) {
			return nil
		}
		b, c.err = readBytes(c.in, n)
		c.left -= n
		return b
	}
	clear(b)
	if c.has(n) {
		_, c.err = io.ReadFull(c.in, b)
		c.left -= n
	}
	return b
}

func (c *cursor) has(n int) bool {
	if c.err == nil && (n < 0 || n > c.left) {
		c.err = errResponse
	}
	return c.err == nil
}

func (c *cursor) int16() int16 { return int16(binary.BigEndian.Uint16(c.take(2))) }
func (c *cursor) int32() int32 { return int32(binary.BigEndian.Uint32(c.take(4))) }
func (c *cursor) int64() int64 { return int64(binary.BigEndian.Uint64(c.take(8))) }

func (c *cursor) uvarint() int {
	n := 0
	for shift := 0; shift < 35; shift += 7 {
		b := c.take(1)[0]
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	c.err = errResponse
	return 0
}

// length reads one that may be null, which is -1. Compact ones are one more than what they say.
func (c *cursor) length() int {
	if c.flexible {
		return c.uvarint() - 1
	}
	return int(c.int32())
}

// array reads the length of an array; null has none. No element is smaller than a byte.
func (c *cursor) array() int {
	if n := max(c.length(), 0); c.has(n) {
		return n
	}
	return 0
}

func (c *cursor) string() string {
	if c.flexible {
		return string(c.take(max(c.length(), 0)))
	}
	return string(c.take(int(c.int16())))
}

// buffer reads bytes of any size. Returns nil when there are none.
func (c *cursor) buffer() *Buffer {
	n := c.length()
	if n <= 0 || !c.has(n) {
		return nil
	}
	var m *Buffer
	m, c.err = readBuffer(c.in, n)
	c.left -= n
	return m
}

// tags passes over what newer versions have added.
func (c *cursor) tags() {
	if !c.flexible || c.err != nil {
		return
	}
	for range c.uvarint() {
		if c.err != nil {
			return
		}
		c.uvarint()
		if n := c.uvarint(); c.has(n) {
			_, c.err = io.CopyN(io.Discard, c.in, int64(n))
			c.left -= n
		}
	}
}

// trusted is how many bytes are made room for before the first of them has come. Who says that there are more has to
// send them.
const trusted = 4 << 20

// readBytes reads n bytes.
func readBytes(in io.Reader, n int) ([]byte, error) {
	b := make([]byte, min(n, trusted))
	if err := grow(in, &b, n); err != nil {
		return nil, err
	}
	return b, nil
}

// readBuffer reads n bytes to a buffer of their own.
func readBuffer(in io.Reader, n int) (*Buffer, error) {
	m := NewBuffer(min(n, trusted))
	if err := grow(in, m.bytes, n); err != nil {
		m.Release(1)
		return nil, err
	}
	return m, nil
}

// grow fills b and lets it grow up to n bytes, twice as large at a time.
func grow(in io.Reader, b *[]byte, n int) error {
	for at := 0; ; {
		if _, err := io.ReadFull(in, (*b)[at:]); err != nil {
			return err
		}
		if at = len(*b); at == n {
			return nil
		}
		*b = slices.Grow(*b, min(n, 2*at)-at)[:min(n, 2*at)]
	}
}
