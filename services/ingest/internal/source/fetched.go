package source

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// recordOverhead is what sarama holds for a record beside its bytes: the record, its pointer, its share of the batch.
const recordOverhead = 128

// headerOverhead is the same for a header.
const headerOverhead = 64

// stretch is consecutive records of a partition, as sarama has decoded them: most of a batch, as a rule. They become our records when a lane
// takes them, which keeps what is queued small.
type stretch struct {
	records []*sarama.Record
	// base is what offsets count from, micros what timestamps count from.
	base, micros int64
	// same says that every record has the timestamp micros: that of the append to the log.
	same bool
	// bytes is what the records take.
	bytes int64
}

// catch is what a fetch brought for one partition.
type catch struct {
	stretches []stretch
	// next is the offset to fetch from after it.
	next int64
	// cut says that the answer ended within the batch at next and holds nothing before it: the next fetch must be larger.
	cut bool
}

// unpack takes the records at or after from out of an answer for one partition. With committed it leaves out those of aborted
// transactions; transaction markers are no records either way. from is the offset that the fetch asked for.
func unpack(b *sarama.FetchResponseBlock, from int64, committed bool) (catch, error) {
	c := catch{next: from}
	// Transactions that were aborted, by where they start; a producer's is over at its marker (KIP-98).
	open := slices.Clone(b.AbortedTransactions)
	slices.SortFunc(open, func(a, b *sarama.AbortedTransaction) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	aborted := make(map[int64]bool, len(open))
	for _, set := range b.RecordsSet {
		if set.MsgSet != nil {
			c.legacy(set.MsgSet)
			continue
		}
		batch := set.RecordBatch
		if batch == nil {
			return c, errors.New("a batch of records of an unknown format")
		}
		if batch.PartialTrailingRecord {
			break
		}
		last := batch.LastOffset()
		for len(open) > 0 && open[0].FirstOffset <= last {
			aborted[open[0].ProducerID] = true
			open = open[1:]
		}
		switch {
		case batch.Control:
			abort, err := isAbort(batch)
			if err != nil && committed {
				return c, err
			}
			if abort {
				delete(aborted, batch.ProducerID)
			}
		case committed && batch.IsTransactional && aborted[batch.ProducerID]:
		default:
			c.add(batch)
		}
		c.next = max(c.next, last+1)
	}
	if c.next > from {
		return c, nil
	}
	if b.Partial || len(b.RecordsSet) > 0 {
		c.cut = true
		return c, nil
	}
	// Compaction leaves batches without records, which sarama does not show.
	if next, ok := behindEmpty(b); ok && next <= b.HighWaterMarkOffset {
		c.next = max(c.next, next)
	}
	return c, nil
}

// add takes a batch over, from the first record that is wanted.
func (c *catch) add(batch *sarama.RecordBatch) {
	records := batch.Records
	for len(records) > 0 && batch.FirstOffset+records[0].OffsetDelta < c.next {
		records = records[1:]
	}
	k := stretch{records: records, base: batch.FirstOffset, micros: batch.FirstTimestamp.UnixMicro(), same: batch.LogAppendTime}
	if k.same {
		k.micros = batch.MaxTimestamp.UnixMicro()
	}
	c.keep(k)
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
			delta := -time.Microsecond // none
			if !at.IsZero() {
				delta = at.Sub(time.UnixMicro(0))
			}
			k.records = append(k.records, &sarama.Record{OffsetDelta: offset, TimestampDelta: delta, Key: m.Msg.Key, Value: m.Msg.Value})
		}
		c.next = max(c.next, block.Offset+1) // that of its last message
	}
	c.keep(k)
}

func (c *catch) keep(k stretch) {
	if len(k.records) == 0 {
		return
	}
	for _, r := range k.records {
		k.bytes += size(r)
	}
	c.stretches = append(c.stretches, k)
}

// size is what a record takes.
func size(r *sarama.Record) int64 {
	n := len(r.Key) + len(r.Value) + recordOverhead
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value) + headerOverhead
	}
	return int64(n)
}

// move moves the first n records to dst and says what they took. Their headers share one allocation.
func (k *stretch) move(dst []record.Record, n int, tp topicPartition) ([]record.Record, int64) {
	total := 0
	for _, r := range k.records[:n] {
		total += len(r.Headers)
	}
	headers := make([]record.Header, 0, total)
	var bytes int64
	for _, r := range k.records[:n] {
		bytes += size(r)
		first := len(headers)
		for _, h := range r.Headers {
			headers = append(headers, record.Header{Key: h.Key, Value: h.Value})
		}
		micros := k.micros
		if !k.same {
			micros += r.TimestampDelta.Microseconds()
		}
		dst = append(dst, record.Record{
			Topic: tp.topic, Partition: tp.partition, Offset: k.base + r.OffsetDelta,
			TimestampMicros: max(micros, -1), // Kafka's "none", which sarama turns into the zero time
			Key:             r.Key, Value: r.Value, Headers: headers[first:len(headers):len(headers)],
		})
	}
	clear(k.records[:n])
	k.records = k.records[n:]
	k.bytes -= bytes
	return dst, bytes
}

// isAbort says whether a control batch ends a transaction as aborted. Its record's key is a version and a type: 0 abort, 1 commit.
func isAbort(batch *sarama.RecordBatch) (bool, error) {
	if len(batch.Records) == 0 || len(batch.Records[0].Key) < 4 {
		return false, fmt.Errorf("the control batch at offset %d holds no marker", batch.FirstOffset)
	}
	return binary.BigEndian.Uint16(batch.Records[0].Key[2:]) == 0, nil
}

// behindEmpty is the offset behind batches without records. sarama keeps it to itself; a test notices when its name changes.
func behindEmpty(b *sarama.FetchResponseBlock) (int64, bool) {
	next := reflect.ValueOf(b).Elem().FieldByName("recordsNextOffset")
	if next.Kind() != reflect.Pointer || next.IsNil() {
		return 0, false
	}
	return next.Elem().Int(), true
}
