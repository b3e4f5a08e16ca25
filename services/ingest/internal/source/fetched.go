package source

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/kafkawire"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// stretch is consecutive records of a partition as they came: those of a batch, as a rule. They become our records when a lane takes them,
// which keeps what is queued small.
type stretch struct {
	// raw are count records, from the first that is wanted.
	raw   []byte
	count int
	// base is what offsets count from, millis what timestamps count from; -1 for none.
	base, millis int64
	// same says that every record has the timestamp millis: that of the append to the log.
	same bool
	// legacy are records of formats before Kafka 0.11, which sarama has decoded. Then raw is empty.
	legacy []record.Record
}

// catch is what a fetch brought for one partition.
type catch struct {
	stretches []stretch
	// next is the offset to fetch from after it.
	next int64
	// cut says that the answer ended within the batch at next and holds nothing before it: the next fetch must be larger.
	cut bool
}

// unpack takes the records at or after from out of an answer for one partition: raw as the broker sent them, the rest as sarama has decoded
// it. With committed it leaves out those of aborted transactions; transaction markers are no records either way. from is the offset that the
// fetch asked for.
func unpack(b *sarama.FetchResponseBlock, raw []byte, from int64, committed bool) (catch, error) {
	c := catch{next: from}
	for _, set := range b.RecordsSet {
		if set.MsgSet != nil {
			c.legacy(set.MsgSet)
		}
	}
	// Transactions that were aborted, by where they start; a producer's is over at its marker (KIP-98).
	open := slices.Clone(b.AbortedTransactions)
	slices.SortFunc(open, func(a, b *sarama.AbortedTransaction) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	var aborted map[int64]bool
	if len(open) > 0 {
		aborted = make(map[int64]bool, len(open))
	}
	for len(raw) > 0 {
		batch, rest, err := kafkawire.NextBatch(raw)
		if errors.Is(err, kafkawire.ErrCut) || errors.Is(err, kafkawire.ErrLegacy) { // what is left comes with the next fetch
			break
		}
		if err != nil {
			return c, err
		}
		raw = rest
		for len(open) > 0 && open[0].FirstOffset <= batch.LastOffset {
			aborted[open[0].ProducerID] = true
			open = open[1:]
		}
		switch {
		case batch.Control:
			abort, err := isAbort(&batch)
			if err != nil && committed {
				return c, err
			}
			if abort {
				delete(aborted, batch.ProducerID)
			}
		case committed && batch.Transactional && aborted[batch.ProducerID]:
		case batch.LastOffset < c.next:
		default:
			if err := c.add(&batch); err != nil {
				return c, err
			}
		}
		c.next = max(c.next, batch.LastOffset+1)
	}
	c.cut = c.next == from && (len(raw) > 0 || b.Partial || len(b.RecordsSet) > 0)
	return c, nil
}

// add takes a batch over, from the first record that is wanted.
func (c *catch) add(batch *kafkawire.Batch) error {
	k := stretch{count: batch.Count, base: batch.FirstOffset, millis: batch.FirstMillis, same: batch.AppendTime}
	if k.same {
		k.millis = batch.MaxMillis
	}
	var err error
	if k.raw, err = batch.Records(); err != nil {
		return err
	}
	for k.count > 0 && k.base < c.next {
		var r kafkawire.Record
		rest, err := r.Next(k.raw)
		if err != nil {
			return fmt.Errorf("the batch at offset %d: %w", batch.FirstOffset, err)
		}
		if k.base+r.OffsetDelta >= c.next {
			break
		}
		k.raw = rest
		k.count--
	}
	c.keep(k)
	return nil
}

// legacy takes messages over that were written before Kafka 0.11: they lie in the log as they came.
func (c *catch) legacy(set *sarama.MessageSet) {
	k := stretch{}
	for _, block := range set.Messages {
		messages := block.Messages()
		for _, m := range messages {
			offset, at := m.Offset, m.Msg.Timestamp
			if m.Msg.Version >= 1 { // offsets within a compressed message count from its first one
				offset += block.Offset - messages[len(messages)-1].Offset
				if m.Msg.LogAppendTime {
					at = block.Msg.Timestamp
				}
			}
			if offset < c.next {
				continue
			}
			micros := int64(-1)
			if !at.IsZero() { // which is how sarama has "none"
				micros = at.UnixMicro()
			}
			k.legacy = append(k.legacy, record.Record{Offset: offset, TimestampMicros: micros, Key: m.Msg.Key, Value: m.Msg.Value})
		}
		c.next = max(c.next, block.Offset+1) // that of its last message
	}
	k.count = len(k.legacy)
	c.keep(k)
}

func (c *catch) keep(k stretch) {
	if k.count > 0 {
		c.stretches = append(c.stretches, k)
	}
}

// bytes is what the records take that are left.
func (k *stretch) bytes() int64 {
	n := len(k.raw)
	for i := range k.legacy {
		n += k.legacy[i].Size()
	}
	return int64(n)
}

// move moves the first n records to dst. Their headers share one allocation, as a rule.
func (k *stretch) move(dst []record.Record, n int, tp topicPartition) ([]record.Record, error) {
	if len(k.legacy) > 0 {
		for i := range k.legacy[:n] {
			r := &k.legacy[i]
			r.Topic, r.Partition = tp.topic, tp.partition
			dst = append(dst, *r)
		}
		clear(k.legacy[:n])
		k.legacy = k.legacy[n:]
		k.count -= n
		return dst, nil
	}
	var headers []record.Header
	var r kafkawire.Record
	for ; n > 0; n-- {
		rest, err := r.Next(k.raw)
		if err != nil {
			return dst, k.broken(err)
		}
		k.raw = rest
		k.count--
		if cap(headers)-len(headers) < r.Headers {
			headers = make([]record.Header, 0, n*r.Headers) // the others will have as many
		}
		var own []record.Header
		for range r.Headers {
			key, value, err := r.NextHeader()
			if err != nil {
				return dst, k.broken(err)
			}
			headers = append(headers, record.Header{Key: key, Value: value})
		}
		if r.Headers > 0 {
			if err := r.End(); err != nil {
				return dst, k.broken(err)
			}
			own = headers[len(headers)-r.Headers : len(headers) : len(headers)]
		}
		at := k.millis
		if !k.same && at >= 0 {
			at += r.MillisDelta
		}
		at = max(min(at, math.MaxInt64/1000)*1000, -1)
		dst = append(dst, record.Record{
			Topic: tp.topic, Partition: tp.partition, Offset: k.base + r.OffsetDelta, TimestampMicros: at,
			Key: r.Key, Value: r.Value, Headers: own,
		})
	}
	if k.count == 0 && len(k.raw) > 0 {
		return dst, k.broken(fmt.Errorf("%d bytes behind the last record", len(k.raw)))
	}
	return dst, nil
}

// broken says where the records cannot be read.
func (k *stretch) broken(err error) error {
	return fmt.Errorf("the batch at offset %d, %d records before its end: %w", k.base, k.count, err)
}

// isAbort says whether a control batch ends a transaction as aborted. Its record's key is a version and a type: 0 abort, 1 commit.
func isAbort(batch *kafkawire.Batch) (bool, error) {
	raw, err := batch.Records()
	if err != nil {
		return false, err
	}
	var r kafkawire.Record
	if batch.Count > 0 {
		_, err = r.Next(raw)
	}
	if err != nil || len(r.Key) < 4 {
		return false, fmt.Errorf("the control batch at offset %d holds no marker", batch.FirstOffset)
	}
	return binary.BigEndian.Uint16(r.Key[2:]) == 0, nil
}
