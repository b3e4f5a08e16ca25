package record

import (
	"fmt"
	"math"

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

	// one is the only record, of which there are no bytes.
	one *Record
}

// Read reads the record at p into r and returns where the next one begins. The array of r's headers is used again when it is from a Read
// before: what r refers to is r's until the next one or Reset.
func (b *Batch) Read(p int, r *Record) (next int, err error) {
	var w kafkawire.Record
	rest, err := w.Next(b.Raw[p:])
	if err != nil {
		return p, b.broken(p, err)
	}
	headers := r.Headers[:0]
	if !r.own {
		headers = nil
	}
	if cap(headers) < w.Headers {
		headers = make([]Header, 0, w.Headers)
	}
	for range w.Headers {
		key, value, err := w.NextHeader()
		if err != nil {
			return p, b.broken(p, err)
		}
		headers = append(headers, Header{Key: key, Value: value})
	}
	if err := w.End(); err != nil {
		return p, b.broken(p, err)
	}
	at := b.Millis
	if !b.Same && at >= 0 {
		at += w.MillisDelta
	}
	r.Topic, r.Partition, r.Offset = b.Topic, b.Partition, b.Base+w.OffsetDelta
	r.TimestampMicros = max(min(at, math.MaxInt64/1000)*1000, -1)
	r.Key, r.Value, r.Headers, r.own = w.Key, w.Value, headers, true
	r.kept = Kept{b, uint32(p)}
	return len(b.Raw) - len(rest), nil
}

// broken says where the records cannot be read.
func (b *Batch) broken(p int, err error) error {
	return fmt.Errorf("the batch at offset %d, at byte %d of its %d: %w", b.Base, p, len(b.Raw), err)
}

// Kept is a record as the place of its bytes: a window of them holds one pointer for each instead of one for each slice, which spares memory and
// the garbage collector's time.
type Kept struct {
	batch *Batch
	at    uint32
}

// Keep is what brings the record back later. It holds on to what the record refers to.
func (r *Record) Keep() Kept {
	if r.kept.batch != nil {
		return r.kept
	}
	one := *r
	return Kept{batch: &Batch{one: &one}}
}

// Record reads the record once more.
func (k Kept) Record() *Record {
	if k.batch.one != nil {
		return k.batch.one
	}
	r := new(Record)
	if _, err := k.batch.Read(int(k.at), r); err != nil {
		panic(err) // it was read before, and nobody writes to it
	}
	return r
}

// Reset lets go of what the record refers to, but for the array of its headers.
func (r *Record) Reset() {
	headers := r.Headers
	if !r.own {
		headers = nil
	}
	clear(headers)
	*r = Record{Headers: headers[:0], own: r.own}
}
