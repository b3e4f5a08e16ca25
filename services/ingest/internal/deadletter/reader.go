package deadletter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// Reader reads dead-letter topics.
//
//	r, err := newReader(ctx, config, kafka, topics)
//	defer r.Close()
//	tally, err := r.Letters(ctx, "orders.dead-letter", nil, func(l *Letter) error { … })
//
// It is no member of the group and commits nothing. Not safe for concurrent use.
type Reader struct {
	config  Config
	kafka   *source.Kafka
	scanner *source.Scanner
	calls   sync.WaitGroup
	// Watch is called after each fetch with how many offsets of a topic have been read, of how many; nil: nobody does.
	Watch func(topic string, read, total int64)
	// together is how many bytes a replay sends at a time; 0: one record.
	together int
}

// newReader connects to the brokers; topics are some of those that will be read. It is an error when no broker
// responds.
func newReader(ctx context.Context, config Config, kafka *source.Kafka, topics []string) (*Reader, error) {
	scanner, err := source.NewScanner(ctx, kafka, topics)
	if err != nil {
		return nil, err
	}
	return &Reader{config: config, kafka: kafka, scanner: scanner, together: chunkBytes}, nil
}

// Close ends the connections, after what is under way.
func (d *Reader) Close() {
	d.calls.Wait()
	d.scanner.Close()
}

// Tally counts what a dead-letter topic holds, as far as it was looked at.
type Tally struct {
	// Missing says that there is no such topic.
	Missing bool
	// Letters are the records that letters are of, Duplicates further letters of the same records, Marks those that say
	// that a record was produced again, Foreign what is neither.
	Letters, Duplicates, Marks, Foreign int
	// ForeignAt is the first foreign one, and Why what is wrong with it.
	ForeignAt Place
	Why       string
}

// maxPlaces bounds the places that one look at a topic remembers: about 100 MB.
var maxPlaces = 1 << 20

// errTooMany says that a topic holds more letters than one look remembers.
var errTooMany = errors.New("more letters than can be looked at in one go")

// places is a bounded set.
type places map[Place]struct{}

func (s places) add(p Place, held int) error {
	if _, ok := s[p]; !ok && held >= maxPlaces {
		return fmt.Errorf("%w: %d; choose fewer with --partition or --offset, a part at a time", errTooMany, maxPlaces)
	}
	s[p] = struct{}{}
	return nil
}

// Letters calls each with the letters of a dead-letter topic whose records want takes (nil: all), one for each record,
// in the order of the topic's partitions and offsets, up to the end that it has now. It reads the topic twice: first
// for the marks. A letter is each's during the call alone; see Letter.Clone. A topic that does not exist holds none.
func (d *Reader) Letters(ctx context.Context, topic string, want func(Place) bool, each func(*Letter) error) (Tally,
	error,
) {
	var t Tally
	spans, err := d.scanner.Spans(ctx, topic)
	if errors.Is(err, source.ErrNoTopic) {
		t.Missing = true
		return t, nil
	}
	if err != nil {
		return t, fmt.Errorf("read %s: %w", topic, err)
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
func (d *Reader) every(ctx context.Context, topic string, spans []source.Span, before int64,
	each func(*record.Record) error,
) error {
	var total, read int64
	for _, s := range spans {
		total += s.End - s.From
	}
	for _, s := range spans {
		fetched := func(offset int64) {
			if d.Watch != nil {
				d.Watch(topic, before*total+read+offset-s.From, 2*total)
			}
		}
		if err := d.scanner.Scan(ctx, topic, s, fetched, each); err != nil {
			return err
		}
		read += s.End - s.From
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

// passes says of an error that it may be gone on the next try.
func passes(err error) bool { return !errors.Is(err, errOvertaken) && source.Passes(err) }
