package source

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/services/ingest/internal/kafkawire"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// queuedBatch is records of a batch that no lane has taken yet. They become our records when one does, and stay
// compressed until then, which keeps what is queued small.
type queuedBatch struct {
	// packed is a compressed batch and the buffer where it lies, with a reference of ours; both are zero once it is
	// inflated. The records before from are not wanted.
	packed *kafkawire.Batch
	memory *kafkawire.Buffer
	from   int64
	// batch has count records from p on.
	batch    *record.Batch
	p, count int
	// inflated is what is taken of the budget for what is inflated.
	inflated int64
	// legacy are records of formats before Kafka 0.11, instead.
	legacy []record.Record
}

// fetchResult is what a fetch brought for one partition.
type fetchResult struct {
	tp      topicPartition
	batches []queuedBatch
	// next is the offset to fetch from after it.
	next int64
	// epochs are those of the leaders that took the batches, where they begin.
	epochs []epochStart
	// cut says that the response ended within the batch at next and holds nothing before it: the next fetch must be
	// larger.
	cut bool
}

// unpack takes the records at or after from out of a response for one partition. With committed it leaves out those
// of aborted transactions; transaction markers are no records either way. from is the offset that the fetch asked
// for. The reference to the records becomes one for each record, or for each compressed batch. With an error there is
// what came before the bytes at fault, which begin at next.
func unpack(tp topicPartition, p *kafkawire.FetchedPartition, from int64, committed bool) (fetchResult, error) {
	c := fetchResult{tp: tp, next: from}
	raw := p.Records.Bytes()
	defer p.Records.Release(1)
	// Transactions that were aborted, by where they start; a producer's is over at its marker (KIP-98).
	open := slices.Clone(p.AbortedTransactions)
	slices.SortFunc(open, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	var aborted map[int64]bool
	if len(open) > 0 {
		aborted = make(map[int64]bool, len(open))
	}
	for len(raw) > 0 {
		batch, rest, err := kafkawire.NextBatch(raw)
		if errors.Is(err, kafkawire.ErrLegacy) {
			if rest, err = c.legacy(raw); err == nil && rest == nil {
				return c, nil // the rest comes with the next fetch
			}
			if err == nil {
				raw = rest
				continue
			}
		}
		if errors.Is(err, kafkawire.ErrCut) { // what is left comes with the next fetch
			break
		}
		if err != nil {
			return c, err
		}
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
			if err := c.add(&batch, p.Records); err != nil {
				return c, err
			}
		}
		raw = rest
		c.next = max(c.next, batch.LastOffset+1)
		n := len(c.epochs)
		if batch.Epoch >= 0 && batch.LastOffset >= from && (n == 0 || c.epochs[n-1].epoch != batch.Epoch) {
			c.epochs = append(c.epochs, epochStart{batch.FirstOffset, batch.Epoch})
		}
	}
	c.cut = c.next == from && len(raw) > 0
	return c, nil
}

// add takes a batch of a response over, from the first record that is wanted.
func (c *fetchResult) add(batch *kafkawire.Batch, memory *kafkawire.Buffer) error {
	k := queuedBatch{count: batch.Count, from: c.next}
	if batch.Compressed() {
		packed := *batch
		k.packed, k.memory = &packed, memory
		if k.count > 0 {
			memory.Retain(1)
		}
		c.keep(k)
		return nil
	}
	raw, err := batch.Records()
	if err == nil {
		err = k.open(c.tp, batch, raw, memory)
	}
	if err != nil {
		return err
	}
	memory.Retain(k.count)
	c.keep(k)
	return nil
}

// open makes the queuedBatch one of the records of a batch, from the first one that is wanted.
func (k *queuedBatch) open(tp topicPartition, batch *kafkawire.Batch, raw []byte, memory *kafkawire.Buffer) error {
	k.batch = record.NewBatch(record.Batch{
		Topic: tp.topic, Partition: tp.partition, Base: batch.FirstOffset, Millis: batch.FirstMillis,
		Same: batch.AppendTime, Raw: raw, Buffer: memory,
	})
	if batch.AppendTime {
		k.batch.Millis = batch.MaxMillis
	}
	for k.count > 0 && batch.FirstOffset < k.from {
		var r record.Record
		next, err := k.batch.Read(k.p, &r, nil)
		if err != nil {
			return err
		}
		if r.Offset >= k.from {
			break
		}
		k.p = next
		k.count--
	}
	return nil
}

// inflate makes the records of a compressed queuedBatch ready, within limit bytes; errors.Is(err,
// kafkawire.ErrInflates) when those are not enough. The queuedBatch that it was is left as it is.
func (k *queuedBatch) inflate(tp topicPartition, limit int) (queuedBatch, error) {
	memory, err := k.packed.Inflate(limit)
	if err != nil {
		return queuedBatch{}, err
	}
	open := queuedBatch{count: k.count, from: k.from}
	if err := open.open(tp, k.packed, memory.Bytes(), memory); err != nil {
		memory.Release(1)
		return queuedBatch{}, err
	}
	memory.Retain(open.count)
	memory.Release(1)
	return open, nil
}

// inflateAlone makes the records of a compressed batch ready for who reads one at a time and has no budget: in as much
// memory as they take.
func (k *queuedBatch) inflateAlone(tp topicPartition) (queuedBatch, error) {
	for size := min(k.packed.InflatedSize(), kafkawire.MaxBatch); ; size = min(4*size, kafkawire.MaxBatch) {
		open, err := k.inflate(tp, size)
		if !errors.Is(err, kafkawire.ErrInflates) || size == kafkawire.MaxBatch {
			return open, err
		}
	}
}

// legacyBytes bounds what is kept of a response of messages from before Kafka 0.11: compressed ones are inflated when
// they come. The rest is fetched again. Brokers took no messages of more than a megabyte then, by default.
const (
	legacyBytes   = 8 << 20
	legacyMessage = 32 << 20
)

// legacy takes over the first message of raw, which was written before Kafka 0.11: it lies in the log as it came. It
// returns what is behind it, nil when there was enough of them.
func (c *fetchResult) legacy(raw []byte) ([]byte, error) {
	held := int64(0)
	for i := range c.batches {
		held += c.batches[i].bytes()
	}
	if held > legacyBytes {
		return nil, nil
	}
	messages, last, rest, err := kafkawire.NextMessages(raw, legacyMessage)
	if err != nil {
		return raw, err
	}
	k := queuedBatch{}
	for _, m := range messages {
		if m.Offset < c.next {
			continue
		}
		micros := int64(-1)
		if m.Millis >= 0 {
			micros = m.Millis * 1000
		}
		// They outlive the response.
		k.legacy = append(k.legacy, record.Record{
			Topic: c.tp.topic, Partition: c.tp.partition, Offset: m.Offset, TimestampMicros: micros,
			Key: bytes.Clone(m.Key), Value: bytes.Clone(m.Value),
		})
	}
	k.count = len(k.legacy)
	c.keep(k)
	c.next = max(c.next, last+1)
	return rest, nil
}

func (c *fetchResult) keep(k queuedBatch) {
	if k.count > 0 {
		c.batches = append(c.batches, k)
	}
}

// bytes is what the records take that are left, as they lie in the queue.
func (k *queuedBatch) bytes() int64 {
	switch {
	case k.packed != nil:
		return int64(k.packed.Size())
	case k.batch != nil:
		return int64(len(k.batch.Raw) - k.p)
	}
	n := 0
	for i := range k.legacy {
		n += k.legacy[i].Size()
	}
	return int64(n)
}

// move moves the first n records of a queued batch that is not packed to dst, which has room for them.
func (k *queuedBatch) move(dst []record.Record, n int) ([]record.Record, error) {
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
		return dst, fmt.Errorf("the batch at offset %d has %d bytes behind its last record",
			k.batch.Base, len(k.batch.Raw)-k.p)
	}
	return dst, nil
}

// isAbort says whether a control batch ends a transaction as aborted. Its record's key is a version and a type: 0
// abort, 1 commit.
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
