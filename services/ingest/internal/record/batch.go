package record

import (
	"bytes"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/waybill-data/waybill/services/ingest/internal/kafkawire"
)

// Batch is consecutive records of a partition as they came: those of one of Kafka's batches, as a rule.
type Batch struct {
	Topic     string
	Partition int32
	// Base is what offsets count from, Millis what timestamps count from; -1 for none.
	Base, Millis int64
	// Same says that every record has the timestamp Millis: that of the append to the log.
	Same bool
	// Raw are the records, one after the other.
	Raw []byte
	// Buffer is where Raw lies, with a reference for each record; nil where nobody counts.
	Buffer *kafkawire.Buffer

	// number is the batch's own, for HeaderSet; 0 in one that NewBatch has not made.
	number uint64
	// one is the only record, of which there are no bytes.
	one *Record
}

var batches atomic.Uint64

// NewBatch gives a batch what it needs to say which of its records have the same headers.
func NewBatch(b Batch) *Batch {
	b.number = batches.Add(1)
	return &b
}

// HeaderSet stands for the headers of a record. Records whose sets are equal, and not zero, have the same headers. That
// of records with the same headers need not be the same.
type HeaderSet struct {
	batch uint64
	at    uint32
}

// HeaderSet is zero where nothing is known.
func (r *Record) HeaderSet() HeaderSet { return r.set }

// Read reads the record at p into r and returns where the next one begins. What r refers to is r's until the next Read
// or Reset, and the array of its headers is used again. before is the record before, if it was read from the same batch
// and will be used no longer than r, else nil: headers that are the same are shared.
func (b *Batch) Read(p int, r, before *Record) (next int, err error) {
	var w kafkawire.Record
	rest, err := w.Next(b.Raw[p:])
	if err != nil {
		return p, b.broken(p, err)
	}
	next = len(b.Raw) - len(rest)
	raw := w.RawHeaders()
	if before != nil && before.kept.batch == b && len(before.Headers) == w.Headers &&
		bytes.Equal(b.Raw[before.headersAt:before.headersEnd], raw) {
		r.Headers, r.set = before.Headers, before.set
	} else {
		r.set = HeaderSet{}
		if err := r.readHeaders(&w); err != nil {
			return p, b.broken(p, err)
		}
		if b.number != 0 {
			r.set = HeaderSet{b.number, uint32(p)}
		}
	}
	at := b.Millis
	if !b.Same && at >= 0 {
		at += w.MillisDelta
	}
	r.Topic, r.Partition, r.Offset = b.Topic, b.Partition, b.Base+w.OffsetDelta
	r.TimestampMicros = max(min(at, math.MaxInt64/1000)*1000, -1)
	r.Key, r.Value = w.Key, w.Value
	r.kept, r.size = Kept{b, uint32(p)}, next-p
	r.headersAt, r.headersEnd = uint32(next-len(raw)), uint32(next)
	return next, nil
}

// readHeaders reads the headers to the record's own array.
func (r *Record) readHeaders(w *kafkawire.Record) error {
	headers := r.own[:0]
	if cap(headers) < w.Headers {
		headers = make([]Header, 0, w.Headers)
	}
	for range w.Headers {
		key, value, err := w.NextHeader()
		if err != nil {
			return err
		}
		headers = append(headers, Header{Key: key, Value: value})
	}
	r.own, r.Headers = headers, headers
	return w.End()
}

// broken says where the records cannot be read.
func (b *Batch) broken(p int, err error) error {
	return fmt.Errorf("the batch at offset %d, at byte %d of its %d: %w", b.Base, p, len(b.Raw), err)
}
