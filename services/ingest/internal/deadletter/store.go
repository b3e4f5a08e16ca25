package deadletter

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// Store is the dead letters of some topics, and what their contracts say now. Not safe for concurrent use.
type Store struct {
	config    Config
	isolation string
	reader    *Reader
	set       *contract.Set
	// away says why the schema registry does not respond; empty when it does or is not needed.
	away string
	// topics are those whose records the letters are of.
	topics []string
	// typeHeaders are the headers that the contracts read a record's type from.
	typeHeaders []string
}

// Open connects to the brokers. topics are those to look at, each by its own name or by that of its dead-letter topic.
// away says why the schema registry does not respond, and is empty when it does. It is an error when no broker
// responds.
func Open(ctx context.Context, config Config, kafka *source.Kafka, set *contract.Set, away string,
	topics []string,
) (*Store, error) {
	s := &Store{config: config, isolation: kafka.Isolation, set: set, away: away, typeHeaders: set.TypeHeaders()}
	var read []string
	for _, t := range topics {
		t = s.origin(t)
		if !slices.Contains(s.topics, t) {
			s.topics = append(s.topics, t)
			read = append(read, config.Topic(t))
		}
	}
	var err error
	s.reader, err = newReader(ctx, config, kafka, read)
	return s, err
}

// origin is the topic that a name means: the topic's own, or that of its dead-letter topic.
func (s *Store) origin(name string) string {
	for _, t := range s.set.Topics() { // a long name is not in that of its dead-letter topic
		if s.config.Topic(t) == name {
			return t
		}
	}
	return strings.TrimSuffix(name, s.config.Suffix)
}

// Close ends the connections.
func (s *Store) Close() { s.reader.Close() }

// Watch has f called after each fetch with how many offsets of a dead-letter topic have been read, of how many: it is
// read twice.
func (s *Store) Watch(f func(topic string, read, total int64)) { s.reader.Watch = f }

// Type is what a letter's record says it is; empty when it says nothing. The last header of the name counts, as it does
// for contracts.
func (s *Store) Type(l *Letter) string {
	for _, h := range slices.Backward(l.Record.Headers) {
		if slices.Contains(s.typeHeaders, string(h.Key)) {
			return string(h.Value)
		}
	}
	return ""
}

// TopicTally is what a dead-letter topic holds, as far as the selection's places go.
type TopicTally struct {
	// Topic is the dead-letter topic.
	Topic string
	Tally
}

// errEnough ends a look at a topic early.
var errEnough = errors.New("enough")

// Each calls each with the selected letters, one for each record, topic by topic, up to the ends that the topics have
// now. A letter is each's during the call alone. each ends it early, without an error, by returning Enough.
func (s *Store) Each(ctx context.Context, chosen Selection, each func(l *Letter, itemType string) error) ([]TopicTally,
	error,
) {
	tallies := make([]TopicTally, 0, len(s.topics))
	for _, topic := range s.topics {
		letters := s.config.Topic(topic)
		tally, err := s.reader.Letters(ctx, letters, chosen.place, func(l *Letter) error {
			itemType := s.Type(l)
			if !chosen.takes(l, itemType) {
				return nil
			}
			return each(l, itemType)
		})
		tallies = append(tallies, TopicTally{letters, tally})
		if errors.Is(err, errEnough) {
			return tallies, nil
		}
		if err != nil {
			return tallies, err
		}
	}
	return tallies, nil
}

// Enough is what a callback of Each returns to end it.
func Enough() error { return errEnough }
