//go:build realkafka

package realkafka

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// transactional is what a transactional producer has done.
type transactional struct {
	committed, aborted int64
	// unsure is how many records are in transactions whose end was not confirmed.
	unsure int64
	// ends are the offsets, by partition, behind the last committed record.
	ends map[int32]int64
}

// transactions produces transactions of 1 to 30 records each and aborts every third, until stop is closed. One whose
// end is not confirmed, because a broker went away, may have been committed or not.
func transactions(ctx context.Context, topic, id string, stop <-chan struct{}) (done transactional, err error) {
	done.ends = map[int32]int64{}
	generator := events.New(plain)
	var client *kgo.Client
	defer func() {
		if client != nil {
			client.Close()
		}
	}()
	index := uint64(0)
	for i := 0; ; i++ {
		select {
		case <-stop:
			return done, nil
		default:
		}
		if client == nil {
			// While the markers of its last transaction are being written, a producer is turned away, and comes back
			// with the next metadata.
			client, err = kgo.NewClient(kgo.SeedBrokers(kafka.Seeds...), kgo.TransactionalID(id),
				kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0),
				kgo.MetadataMinAge(100*time.Millisecond))
			if err != nil {
				return done, err
			}
		}
		var records []*kgo.Record
		for range 1 + i%30 {
			records = append(records, record(generator.Delivery(nil, index)))
			index++
		}
		keep := i%3 != 1
		switch err := transaction(ctx, client, records, keep); {
		case err != nil && ctx.Err() != nil:
			return done, err
		case err != nil:
			done.unsure += int64(len(records))
			client.Close() // the next one fences it, and what it left open is aborted
			client = nil
		case keep:
			done.committed += int64(len(records))
			for _, r := range records {
				done.ends[r.Partition] = max(done.ends[r.Partition], r.Offset+1)
			}
		default:
			done.aborted += int64(len(records))
		}
	}
}

func record(event events.Event) *kgo.Record {
	r := &kgo.Record{Key: event.Key, Value: event.Value}
	for _, h := range event.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
	}
	return r
}

func transaction(ctx context.Context, client *kgo.Client, records []*kgo.Record, keep bool) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := client.BeginTransaction(); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	if err := client.EndTransaction(ctx, kgo.TransactionEndTry(keep)); err != nil {
		return fmt.Errorf("end: %w", err)
	}
	return nil
}

// producers is how many transactional producers there are: an open transaction of one holds back what the others have
// committed.
const producers = 4

// inTransactions produces to a topic by transactions until the function that it returns is called; that one returns
// what was done.
func (w *world) inTransactions(topic string) func() transactional {
	type outcome struct {
		done transactional
		err  error
	}
	stop, results := make(chan struct{}), make(chan outcome, producers)
	ctx, cancel := context.WithCancel(w.ctx)
	w.t.Cleanup(cancel)
	for i := range producers {
		go func() {
			done, err := transactions(ctx, topic, fmt.Sprintf("%s-%d", w.Config.Group, i), stop)
			results <- outcome{done, err}
		}()
	}
	return func() transactional {
		w.t.Helper()
		close(stop)
		all := transactional{ends: map[int32]int64{}}
		for range producers {
			o := <-results
			if o.err != nil {
				w.t.Fatalf("transactions: %v", o.err)
			}
			all.committed += o.done.committed
			all.aborted += o.done.aborted
			all.unsure += o.done.unsure
			for partition, end := range o.done.ends {
				all.ends[partition] = max(all.ends[partition], end)
			}
		}
		w.ends[topic] = all.ends
		return all
	}
}

// Only the records of committed transactions become rows, while aborted ones and markers leave gaps between the
// offsets; what is dropped after a kill is still exact.
func TestTransactions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{})
	w.slow()
	stop := w.inTransactions(w.topic())
	dropped := 0.0
	for range 3 {
		w.committed(w.sum() + 100)
		w.kill(w.Ingests[0])
		w.restart(w.Ingests[0])
		w.committed(w.sum() + 100)
		dropped += w.metric(w.Ingests[0], "waybill_ingest_dropped_rows_total")
		w.kill(w.Writers[0])
		w.restart(w.Writers[0])
	}
	done := stop()
	report := w.compared()
	if report.Rows != done.committed || done.aborted == 0 || done.unsure != 0 {
		t.Errorf("%+v: %s", done, report.Line())
	}
	if dropped == 0 {
		t.Error("no kill met rows that had to be dropped")
	}
	t.Logf("%d records committed, %d aborted, %v rows dropped on replay", done.committed, done.aborted, dropped)
}
