package deadletter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// Bounds of one transaction of a replay: readers of its partitions wait for its end, and it is held in memory.
const (
	replayLetters = 500
	replayBytes   = 4 << 20
)

// replayAttempts is how often a replay begins again after a fault that may pass; what was committed before is not
// repeated.
const replayAttempts = 5

// ReplayOptions say how to replay.
type ReplayOptions struct {
	// DryRun only counts.
	DryRun bool
	// Check has the contract try each record first, and skips those that would become dead letters again.
	Check bool
	// Now gives the records the time of the replay; otherwise they keep their own timestamps.
	Now bool
	// Limit is how many records to produce at most; 0: all.
	Limit int
	// Progress learns of each transaction.
	Progress func(Replayed)
	// Retry learns of a fault that the replay goes on after.
	Retry func(error)
}

// Replayed is what became of the selected letters.
type Replayed struct {
	// Selected are the letters looked at; Produced those whose records were produced again, or would be; Already those
	// whose records had been before.
	Selected, Produced, Already int
	// Skipped are the others, by cause, in the order of their first.
	Skipped []Skipped
	// More says that the limit was reached before the end.
	More bool
}

// Skipped are letters that were not replayed for the same cause.
type Skipped struct {
	Cause string
	// Remedy is what can be done.
	Remedy string
	Count  int
	// First is one of them, and Detail what is said of it.
	First  Place
	Detail string
}

// NotReplayed is how many letters were skipped.
func (r *Replayed) NotReplayed() int {
	n := 0
	for _, s := range r.Skipped {
		n += s.Count
	}
	return n
}

func (r *Replayed) skip(l *Letter, s Skipped) {
	i := slices.IndexFunc(r.Skipped, func(o Skipped) bool { return o.Cause == s.Cause })
	if i < 0 {
		s.First = l.Of()
		r.Skipped = append(r.Skipped, s)
		i = len(r.Skipped) - 1
	}
	r.Skipped[i].Count++
}

func (r *Replayed) add(o Replayed) {
	r.Selected += o.Selected
	r.Produced += o.Produced
	r.Already += o.Already
	r.More = r.More || o.More
	for _, s := range o.Skipped {
		i := slices.IndexFunc(r.Skipped, func(have Skipped) bool { return have.Cause == s.Cause })
		if i < 0 {
			r.Skipped = append(r.Skipped, s)
		} else {
			r.Skipped[i].Count += s.Count
		}
	}
}

// Replay produces the records of the selected letters again, each to its own topic and partition, with its own key,
// value and headers, and marks their letters in the same transactions. A record whose letter is marked is not produced
// again, whoever replayed it: a replay that ends in any way, at any instant, can be run again. With an error, Produced
// counts what is known to be committed.
func (s *Store) Replay(ctx context.Context, chosen Selection, o ReplayOptions) (Replayed, error) {
	var total Replayed
	if s.isolation == source.ReadUncommitted && !o.DryRun {
		return total, errors.New("kafka.isolation is read_uncommitted: ingest would take the records of a " +
			"transaction that is never committed, and a replay that is interrupted could repeat them; set it to " +
			"read_committed for all members of the group, then replay")
	}
	chosen.Pending = false // those replayed before are counted
	for _, topic := range s.topics {
		left := o
		if o.Limit > 0 {
			if left.Limit = o.Limit - total.Produced; left.Limit <= 0 {
				total.More = true
				break
			}
		}
		if o.Progress != nil {
			before := total
			before.Skipped = slices.Clone(total.Skipped)
			left.Progress = func(r Replayed) {
				sum := before
				sum.Skipped = slices.Clone(before.Skipped)
				sum.add(r)
				o.Progress(sum)
			}
		}
		one := &replay{
			store: s, selection: chosen, options: left, topic: s.config.Topic(topic),
			mine: map[Place]struct{}{},
		}
		err := one.run(ctx)
		total.add(one.result)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// replay is that of one dead-letter topic.
type replay struct {
	store     *Store
	selection Selection
	options   ReplayOptions
	topic     string
	// mine are the places that this run has produced, or may have: a transaction without a response.
	mine map[Place]struct{}
	// committed counts what was surely produced, over all attempts.
	committed int
	result    Replayed

	// Of one attempt:
	producer  *Transactions
	batch     []*Letter
	bytes     int
	contracts map[string]*contract.Topic
	sizes     map[string]topicFacts
}

// topicFacts is what is looked up once for each topic that records go to.
type topicFacts struct {
	partitions int
	retention  time.Duration
}

// run makes attempts. Each begins with a new producer, which ends what an older one left open, and only then reads the
// marks: so it knows all that was committed.
func (r *replay) run(ctx context.Context) error {
	pause := time.Second
	for attempt := 1; ; attempt++ {
		err := r.attempt(ctx)
		if err != nil {
			// The attempt may not have come as far as the one before.
			r.result.Produced = max(r.result.Produced, r.committed)
		}
		if err == nil || ctx.Err() != nil || attempt == replayAttempts || !passes(err) {
			return err
		}
		if r.options.Retry != nil {
			r.options.Retry(err)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			pause *= 2
		}
	}
}

func (r *replay) attempt(ctx context.Context) error {
	r.result = Replayed{}
	r.batch, r.bytes, r.contracts, r.sizes = nil, 0, map[string]*contract.Topic{}, map[string]topicFacts{}
	if !r.options.DryRun {
		producer, err := r.store.reader.Begin(ctx, r.topic, !r.options.Now)
		if err != nil {
			return err
		}
		r.producer = producer
	}
	_, err := r.store.reader.Letters(ctx, r.topic, r.selection.place, func(l *Letter) error { return r.take(ctx, l) })
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err != nil {
		return err
	}
	return r.flush()
}

// take decides about one letter.
func (r *replay) take(ctx context.Context, l *Letter) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !r.selection.takes(l, r.store.Type(l)) {
		return nil
	}
	if l.Replayed {
		r.result.Selected++
		if _, mine := r.mine[l.Of()]; mine {
			r.result.Produced++
		} else {
			r.result.Already++
		}
		return nil
	}
	if limit := r.options.Limit; limit > 0 && r.result.Produced+len(r.batch) >= limit {
		r.result.More = true
		return errEnough
	}
	r.result.Selected++
	facts, err := r.facts(ctx, l.Record.Topic)
	if err != nil {
		return err
	}
	if cause, ok := r.obstacle(ctx, l, facts); ok {
		r.result.skip(l, cause)
		return nil
	}
	r.batch = append(r.batch, l.Clone())
	r.bytes += l.Record.Size()
	if len(r.batch) >= replayLetters || r.bytes >= replayBytes {
		return r.flush()
	}
	return nil
}

// obstacle says why a letter cannot be replayed.
func (r *replay) obstacle(ctx context.Context, l *Letter, facts topicFacts) (Skipped, bool) {
	record := &l.Record
	switch {
	case l.LeftOut.Any():
		return Skipped{
			Cause: "the dead-letter topic did not take all of the record",
			Remedy: "the record is still in its own topic, at the place shown, for as long as that keeps it: read it " +
				"there",
			Detail: "left out: " + l.LeftOut.String(),
		}, true
	case int(record.Partition) >= facts.partitions:
		return Skipped{
			Cause: "the topic has no such partition", Remedy: "was the topic made anew? add partitions to it",
			Detail: fmt.Sprintf("%s has %d partitions", record.Topic, facts.partitions),
		}, true
	case !r.options.Now && tooOld(record.TimestampMicros, facts.retention):
		return Skipped{
			Cause:  "older than the topic's retention",
			Remedy: "Kafka may remove such a record before ingest reads it: replay with --timestamp=now",
			Detail: fmt.Sprintf("of %s, retention %s",
				time.UnixMicro(record.TimestampMicros).UTC().Format(time.RFC3339),
				facts.retention),
		}, true
	case r.options.Check:
		return r.check(ctx, l)
	}
	return Skipped{}, false
}

// tooOld leaves a tenth of the retention for the way.
func tooOld(micros int64, retention time.Duration) bool {
	return micros >= 0 && retention > 0 && time.Since(time.UnixMicro(micros)) > retention/10*9
}

// check tries the contract.
func (r *replay) check(ctx context.Context, l *Letter) (Skipped, bool) {
	const anyway = "; --no-check replays anyway"
	if r.store.away != "" {
		return Skipped{
			Cause: "the schema registry does not respond", Remedy: "start it, or correct the registry section" + anyway,
			Detail: r.store.away,
		}, true
	}
	topic, ok := r.contracts[l.Record.Topic]
	if !ok {
		if topic = r.store.set.Topic(l.Record.Topic); topic != nil {
			topic = topic.Fork()
		}
		r.contracts[l.Record.Topic] = topic
	}
	if topic == nil {
		return Skipped{
			Cause: "no contract for the topic", Remedy: "add one to the configuration" + anyway,
			Detail: "topic " + l.Record.Topic,
		}, true
	}
	// A contract may grow on the way, once for each schema.
	for grown := true; grown; {
		var err error
		if grown, err = topic.Prepare(ctx, []record.Record{l.Record}, nil); err != nil {
			return Skipped{Cause: "not checked", Remedy: "run it again", Detail: err.Error()}, true
		}
		if grown {
			topic = topic.Fork()
			r.contracts[l.Record.Topic] = topic
		}
	}
	switch m := topic.Match(&l.Record); m.Action {
	case contract.Ignore:
		return Skipped{
			Cause: "ignored by the contract now", Remedy: "there is nothing to do" + anyway,
			Detail: "no row would come of it",
		}, true
	case contract.Row:
		if _, err := m.Contract.AppendRow(nil, &l.Record, m, time.Now().UnixMicro()); err != nil {
			return Skipped{
				Cause: "would fail again", Remedy: "correct the contract first" + anyway,
				Detail: err.Error(),
			}, true
		}
		return Skipped{}, false
	default:
		return Skipped{Cause: "would fail again", Remedy: "correct the contract first" + anyway, Detail: m.Reason}, true
	}
}

func (r *replay) facts(ctx context.Context, topic string) (topicFacts, error) {
	if f, ok := r.sizes[topic]; ok {
		return f, nil
	}
	n, err := r.store.reader.scanner.Partitions(ctx, topic)
	if err != nil {
		return topicFacts{}, fmt.Errorf("partitions of %s: %w", topic, err)
	}
	retention, err := r.store.reader.scanner.Retention(ctx, topic)
	if err != nil {
		return topicFacts{}, fmt.Errorf("retention of %s: %w", topic, err)
	}
	r.sizes[topic] = topicFacts{n, retention}
	return r.sizes[topic], nil
}

// flush produces the batch.
func (r *replay) flush() error {
	if len(r.batch) == 0 {
		return nil
	}
	if r.producer != nil {
		for _, l := range r.batch {
			r.mine[l.Of()] = struct{}{}
		}
		if err := r.producer.Produce(r.batch); err != nil {
			return err
		}
		r.committed += len(r.batch)
	}
	r.result.Produced += len(r.batch)
	clear(r.batch)
	r.batch, r.bytes = r.batch[:0], 0
	if r.options.Progress != nil {
		r.options.Progress(r.result)
	}
	return nil
}
