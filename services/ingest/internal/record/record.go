// Package record holds the record as ingest passes it along: what Kafka holds, free of any client library.
package record

import "bytes"

// Record is one Kafka record. Its byte slices alias the fetched batch and are never written to.
type Record struct {
	// Topic and Partition are where the record was read.
	Topic     string
	Partition int32
	// Offset is the record's Kafka offset.
	Offset int64
	// TimestampMicros is the Kafka timestamp in microseconds since the epoch; -1 when the record has none.
	TimestampMicros int64
	// Key and Value are nil when null in Kafka; an empty value is not nil.
	Key, Value []byte
	// Headers are the record's headers in order.
	Headers []Header

	// own is the record's own array for headers; Headers may be in that of a record before.
	own []Header
	// set stands for Headers; they lie at headersAt to headersEnd of the batch.
	set                   HeaderSet
	headersAt, headersEnd uint32
	// kept is where the record was read, size how many bytes it has there.
	kept Kept
	size int
}

// Clone is a record of the same content, with bytes of its own.
func (r *Record) Clone() *Record {
	c := &Record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, TimestampMicros: r.TimestampMicros,
		Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value), Headers: make([]Header, len(r.Headers)),
	}
	for i, h := range r.Headers {
		c.Headers[i] = Header{Key: bytes.Clone(h.Key), Value: bytes.Clone(h.Value)}
	}
	return c
}

// Header is one record header. A null value is nil.
type Header struct {
	Key   []byte
	Value []byte
}

// What a record and a header take at most beside their bytes while they are kept: what the record format puts around
// them, their place, and what slices of places have to spare.
const (
	recordOverhead = 64
	headerOverhead = 8
)

// Size is the memory the record accounts for, in bytes.
func (r *Record) Size() int {
	if r.size > 0 {
		return r.size + recordOverhead
	}
	n := len(r.Key) + len(r.Value) + recordOverhead
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value) + headerOverhead
	}
	return n
}
