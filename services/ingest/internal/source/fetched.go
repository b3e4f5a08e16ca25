package source

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/kafkawire"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// stretch is records of a batch that no lane has taken yet. They become our records when one does, which keeps what is queued small.
type stretch struct {
	// batch has count records from p on.
	batch    *record.Batch
	p, count int
	// legacy are records of formats before Kafka 0.11, which sarama has decoded, instead.
	legacy []record.Record
}

// catch is what a fetch brought for one partition.
type catch struct {
	tp        topicPartition
	stretches []stretch
	// next is the offset to fetch from after it.
	next int64
	// cut says that the answer ended within the batch at next and holds nothing before it: the next fetch must be larger.
	cut bool
}

// unpack takes the records at or after from out of an answer for one partition: raw as the broker sent them, the rest as sarama has decoded
// it. With committed it leaves out those of aborted transactions; transaction markers are no records either way. from is the offset that the
// fetch asked for. The hold on the answer becomes one for each record.
func unpack(tp topicPartition, b *sarama.FetchResponseBlock, answer *kafkawire.Memory, from int64, committed bool) (catch, error) {
	c := catch{tp: tp, next: from}
	raw := answer.Bytes()
	if answer != nil {
		defer answer.LetGo(1)
	}
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
			if err := c.add(&batch, answer); err != nil {
				return c, err
			}
		}
		c.next = max(c.next, batch.LastOffset+1)
	}
	c.cut = c.next == from && (len(raw) > 0 || b.Partial || len(b.RecordsSet) > 0)
	return c, nil
}

// add takes a batch of an answer over, from the first record that is wanted.
func (c *catch) add(batch *kafkawire.Batch, answer *kafkawire.Memory) error {
	raw, memory, err := batch.Records()
	if err != nil {
		return err
	}
	if memory == nil {
		memory = answer
	} else {
		defer memory.LetGo(1)
	}
	k := stretch{count: batch.Count, batch: record.NewBatch(record.Batch{
		Topic: c.tp.topic, Partition: c.tp.partition, Base: batch.FirstOffset, Millis: batch.FirstMillis, Same: batch.AppendTime, Raw: raw, Memory: memory,
	})}
	if batch.AppendTime {
		k.batch.Millis = batch.MaxMillis
	}
	for k.count > 0 && batch.FirstOffset < c.next {
		var r record.Record
		next, err := k.batch.Read(k.p, &r, nil)
		if err != nil {
			return err
		}
		if r.Offset >= c.next {
			break
		}
		k.p = next
		k.count--
	}
	memory.Hold(k.count)
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
			k.legacy = append(k.legacy, record.Record{
				Topic: c.tp.topic, Partition: c.tp.partition, Offset: offset, TimestampMicros: micros, Key: m.Msg.Key, Value: m.Msg.Value,
			})
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
	if k.batch != nil {
		return int64(len(k.batch.Raw) - k.p)
	}
	n := 0
	for i := range k.legacy {
		n += k.legacy[i].Size()
	}
	return int64(n)
}

// move moves the first n records to dst, which has room for them.
func (k *stretch) move(dst []record.Record, n int) ([]record.Record, error) {
	k.count -= n
	if k.batch == nil {
		dst = append(dst, k.legacy[:n]...)
		clear(k.legacy[:n])
		k.legacy = k.legacy[n:]
		return dst, nil
	}
	var before *record.Record
	for range n {
		dst = dst[:len(dst)+1]
		r := &dst[len(dst)-1]
		var err error
		if k.p, err = k.batch.Read(k.p, r, before); err != nil {
			return dst[:len(dst)-1], err
		}
		before = r
	}
	if k.count == 0 && k.p < len(k.batch.Raw) {
		return dst, fmt.Errorf("the batch at offset %d has %d bytes behind its last record", k.batch.Base, len(k.batch.Raw)-k.p)
	}
	return dst, nil
}

// isAbort says whether a control batch ends a transaction as aborted. Its record's key is a version and a type: 0 abort, 1 commit.
func isAbort(batch *kafkawire.Batch) (bool, error) {
	raw, _, err := batch.Records()
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
