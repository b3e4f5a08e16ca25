package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// DeadLetters reads dead-letter topics, and produces what is in them again.
//
//	d, err := source.OpenDeadLetters(ctx, config, topics)
//	defer d.Close()
//	tally, err := d.Letters(ctx, "orders.dead-letter", nil, func(l *source.Letter) error { … })
//
// It is no member of the group and commits nothing. Not safe for concurrent use.
type DeadLetters struct {
	config Config
	client sarama.Client
	// leaders fetches.
	leaders *leaders
	calls   sync.WaitGroup
	// pause is the first back-off.
	pause time.Duration
	// Watch hears after each fetch how many offsets of a topic have been read, of how many; nil: nobody does.
	Watch func(topic string, read, total int64)
	// together is how many bytes a replay sends at a time; 0: one record.
	together int
}

// OpenDeadLetters connects to the brokers; topics are some of those that will be read. It is an error when no broker answers.
func OpenDeadLetters(ctx context.Context, config Config, topics []string) (*DeadLetters, error) {
	c, err := config.Kafka.base()
	if err != nil {
		return nil, err
	}
	client, err := sarama.NewClient(config.Kafka.Brokers, c)
	if err != nil {
		return nil, err
	}
	d := &DeadLetters{config: config, client: client, pause: 100 * time.Millisecond, together: chunkBytes}
	d.leaders = newLeaders(newDirectory(client, &d.calls), newDialer(&config.Kafka, c))
	if _, err = await(ctx, &d.calls, func() (string, error) { return clusterID(client, config.Kafka.Brokers, topics) }); err != nil {
		d.Close()
		return nil, explain(err)
	}
	return d, nil
}

// Close ends the connections, after what is under way.
func (d *DeadLetters) Close() {
	d.calls.Wait()
	d.leaders.close()
	_ = d.client.Close() // nothing is lost: all was read or acknowledged
}

// Topic is the dead-letter topic of a topic.
func (d *DeadLetters) Topic(topic string) string { return d.config.DeadLetter.Topic(topic) }

// Tally counts what a dead-letter topic holds, as far as it was looked at.
type Tally struct {
	// Missing says that there is no such topic.
	Missing bool
	// Letters are the records that letters are of, Duplicates further letters of the same records, Marks those that say that a record was
	// produced again, Foreign what is neither.
	Letters, Duplicates, Marks, Foreign int
	// ForeignAt is the first foreign one, and Why what is wrong with it.
	ForeignAt Place
	Why       string
}

// maxPlaces bounds the places that one look at a topic remembers: about 100 MB.
var maxPlaces = 1 << 20

// ErrTooMany says that a topic holds more letters than one look remembers.
var ErrTooMany = errors.New("more letters than can be looked at in one go")

// places is a bounded set.
type places map[Place]struct{}

func (s places) add(p Place, held int) error {
	if _, ok := s[p]; !ok && held >= maxPlaces {
		return fmt.Errorf("%w: %d; choose fewer with --partition or --offset, a part at a time", ErrTooMany, maxPlaces)
	}
	s[p] = struct{}{}
	return nil
}

// Letters calls each with the letters of a dead-letter topic whose records want takes (nil: all), one for each record, in the order of the
// topic's partitions and offsets, up to the end that it has now. It reads the topic twice: first for the marks. A letter is each's during
// the call alone; see Letter.Clone. A topic that does not exist holds none.
func (d *DeadLetters) Letters(ctx context.Context, topic string, want func(Place) bool, each func(*Letter) error) (Tally, error) {
	var t Tally
	spans, err := d.spans(ctx, topic)
	if errors.Is(err, errNoTopic) {
		t.Missing = true
		return t, nil
	}
	if err != nil {
		return t, fmt.Errorf("read %s: %w", topic, explainRead(topic, err))
	}
	marked, seen := places{}, places{}
	names := map[string]string{} // one copy of a topic's name, whatever the letters
	err = d.every(ctx, topic, spans, 0, func(r *record.Record) error {
		_, place, k, _ := readLetter(r)
		if k != isMark || want != nil && !want(place) {
			return nil
		}
		t.Marks++
		return marked.add(place.named(names), len(marked))
	})
	if err != nil {
		return t, err
	}
	err = d.every(ctx, topic, spans, 1, func(r *record.Record) error {
		l, place, k, why := readLetter(r)
		switch {
		case k == isForeign:
			if t.Foreign++; t.Foreign == 1 {
				t.ForeignAt, t.Why = Place{r.Topic, r.Partition, r.Offset}, why.Error()
			}
			return nil
		case k == isMark || want != nil && !want(place):
			return nil
		}
		if _, twice := seen[place]; twice {
			t.Duplicates++
			return nil
		}
		t.Letters++
		if err := seen.add(place.named(names), len(marked)+len(seen)); err != nil {
			return err
		}
		_, l.Replayed = marked[place]
		return each(&l)
	})
	return t, err
}

// every scans all spans in order, for the first time or the second.
func (d *DeadLetters) every(ctx context.Context, topic string, spans []span, before int64, each func(*record.Record) error) error {
	var total, read int64
	for _, s := range spans {
		total += s.end - s.from
	}
	for _, s := range spans {
		fetched := func(offset int64) {
			if d.Watch != nil {
				d.Watch(topic, before*total+read+offset-s.from, 2*total)
			}
		}
		if err := d.scan(ctx, topic, s, fetched, each); err != nil {
			return err
		}
		read += s.end - s.from
	}
	return nil
}

// named is the place with a topic that many places share.
func (p Place) named(names map[string]string) Place {
	name, ok := names[p.Topic]
	if !ok {
		name = strings.Clone(p.Topic)
		names[name] = name
	}
	p.Topic = name
	return p
}

// Clone copies a letter out of the fetch that holds its bytes in memory.
func (l *Letter) Clone() *Letter {
	c := *l
	c.Record = *l.Record.Clone()
	return &c
}

// Partitions is how many partitions a topic has.
func (d *DeadLetters) Partitions(ctx context.Context, topic string) (int, error) {
	return retry(ctx, d, topic, func() (int, error) {
		if err := d.client.RefreshMetadata(topic); err != nil {
			return 0, err
		}
		partitions, err := d.client.Partitions(topic)
		return len(partitions), err
	})
}

// retries bounds how often a request is made again: with the pauses, about half a minute.
const retries = 8

// retry makes a call of sarama's about a topic again while it may help. It ends when ctx does; see await for what the call may do.
func retry[T any](ctx context.Context, d *DeadLetters, topic string, call func() (T, error)) (T, error) {
	pause := d.pause
	for attempt := 1; ; attempt++ {
		value, err := await(ctx, &d.calls, func() (T, error) {
			value, err := call()
			if err != nil && Passes(err) {
				_ = d.client.RefreshMetadata(topic) // the leader may have moved; the next try tells
			}
			return value, err
		})
		if err == nil || ctx.Err() != nil || attempt == retries || !Passes(err) {
			return value, err
		}
		if !sleep(ctx, pause) {
			return value, fmt.Errorf("%w (last answer: %w)", context.Cause(ctx), err)
		}
		pause = min(2*pause, 8*time.Second)
	}
}

// Passes says of an error that it may be gone on the next try.
func Passes(err error) bool {
	for _, lasting := range []error{
		errNoTopic, sarama.ErrUnknownTopicOrPartition, sarama.ErrTopicAuthorizationFailed, sarama.ErrGroupAuthorizationFailed,
		sarama.ErrClusterAuthorizationFailed, sarama.ErrTransactionalIDAuthorizationFailed, sarama.ErrSASLAuthenticationFailed,
		sarama.ErrInvalidTopic, sarama.ErrOffsetOutOfRange, sarama.ErrMessageSizeTooLarge, sarama.ErrMessageTooLarge, sarama.ErrInvalidTimestamp, ErrOvertaken,
	} {
		if errors.Is(err, lasting) {
			return false
		}
	}
	return true
}
