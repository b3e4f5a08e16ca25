package ingest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/waybill-data/waybill/pkg/findings"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// Letter is a dead letter: a record that did not become a row, and why.
type Letter = source.Letter

// LeftOut says which parts of its record a letter lacks, and how large they are.
type LeftOut = source.LeftOut

// Place is where a record is. ParsePlace reads it from topic/partition/offset.
type Place = source.Place

// ParsePlace reads topic/partition/offset.
func ParsePlace(s string) (Place, error) { return source.ParsePlace(s) }

// DeadLetters looks at the dead letters of the topics of a configuration and replays them. It takes no part in the group. Not safe for
// concurrent use.
type DeadLetters struct {
	config  Config
	letters *source.DeadLetters
	set     *contract.Set
	// schemas is the schema registry; away says why it does not answer, empty when it does or is not needed.
	schemas schemas
	away    string
	// topics are those whose records the letters are of.
	topics []string
	// typeHeaders are the headers that the contracts read a record's type from.
	typeHeaders []string
}

// OpenDeadLetters connects to the brokers of a configuration. topics are those to look at, each by its own name or by that of its dead-letter
// topic; none: all that have a contract. It is an error when no broker answers.
func OpenDeadLetters(ctx context.Context, c Config, topics []string) (*DeadLetters, error) {
	found, schemas := checkRegistry(ctx, &c)
	set, err := c.contracts(ctx, schemas.env)
	if err != nil {
		schemas.close()
		return nil, fmt.Errorf("contracts: %w", err)
	}
	if len(topics) == 0 {
		if topics, err = source.ListTopics(ctx, c.source(), topicsOf(set)); err != nil {
			schemas.close()
			return nil, err
		}
	}
	d := &DeadLetters{config: c, set: set, schemas: schemas, typeHeaders: set.TypeHeaders()}
	for _, f := range found {
		if f.State == findings.Fail {
			d.away = f.Detail
		}
	}
	var read []string
	for _, t := range topics {
		t = c.origin(t, set)
		if !slices.Contains(d.topics, t) {
			d.topics = append(d.topics, t)
			read = append(read, c.DeadLetter.Topic(t))
		}
	}
	d.letters, err = source.OpenDeadLetters(ctx, c.source(), read)
	if err != nil {
		schemas.close()
		return nil, err
	}
	return d, nil
}

// origin is the topic that a name means: the topic's own, or that of its dead-letter topic.
func (c *Config) origin(name string, set *contract.Set) string {
	for _, t := range set.Topics() { // a long name is not in that of its dead-letter topic
		if c.DeadLetter.Topic(t) == name {
			return t
		}
	}
	return strings.TrimSuffix(name, c.DeadLetter.Suffix)
}

// Close ends the connections.
func (d *DeadLetters) Close() {
	d.letters.Close()
	d.schemas.close()
}

// Watch has f hear after each fetch how many offsets of a dead-letter topic have been read, of how many: it is read twice.
func (d *DeadLetters) Watch(f func(topic string, read, total int64)) { d.letters.Watch = f }

// Topics are the topics whose records the letters are of.
func (d *DeadLetters) Topics() []string { return d.topics }

// Type is what a letter's record says it is; empty when it says nothing. The last header of the name counts, as it does for contracts.
func (d *DeadLetters) Type(l *Letter) string {
	for _, h := range slices.Backward(l.Record.Headers) {
		if slices.Contains(d.typeHeaders, string(h.Key)) {
			return string(h.Value)
		}
	}
	return ""
}

// Offsets is a range of offsets, both ends included.
type Offsets struct{ First, Last int64 }

// UnmarshalText reads A, A.., ..B or A..B.
func (o *Offsets) UnmarshalText(text []byte) error {
	first, last, isRange := strings.Cut(string(text), "..")
	*o = Offsets{0, math.MaxInt64}
	read := func(s string, into *int64) bool {
		if s == "" {
			return isRange
		}
		n, err := fmt.Sscanf(s+"\n", "%d\n", into)
		return n == 1 && err == nil && *into >= 0
	}
	if !isRange {
		last = first
	}
	if !read(first, &o.First) || !read(last, &o.Last) || o.First > o.Last {
		return fmt.Errorf("%q is not a range of offsets: write A, A.., ..B or A..B", text)
	}
	return nil
}

// Selection says which letters are meant. Its zero value means all. Lists take any of their words.
type Selection struct {
	// Places are those of the records.
	Places []Place
	// Reasons, Contracts and Types are those of the letters. A type that ends in * means all that begin with what is before it.
	Reasons, Contracts, Types []string
	// Partitions and Offsets are those of the records, not of the letters.
	Partitions []int32
	Offsets    *Offsets
	// Since and Until are about when the letter was written: from Since on, before Until.
	Since, Until time.Time
	// Pending leaves out letters whose record was replayed.
	Pending bool
}

// place tells whether a letter of this place may be meant: what can be told before the letter is read.
func (s *Selection) place(p Place) bool {
	return (len(s.Places) == 0 || slices.Contains(s.Places, p)) &&
		(len(s.Partitions) == 0 || slices.Contains(s.Partitions, p.Partition)) &&
		(s.Offsets == nil || s.Offsets.First <= p.Offset && p.Offset <= s.Offsets.Last)
}

func (s *Selection) takes(l *Letter, itemType string) bool {
	among := func(words []string, word string) bool { return len(words) == 0 || slices.Contains(words, word) }
	ofType := len(s.Types) == 0 || slices.ContainsFunc(s.Types, func(t string) bool {
		prefix, wild := strings.CutSuffix(t, "*")
		return t == itemType || wild && strings.HasPrefix(itemType, prefix)
	})
	return among(s.Reasons, l.Reason) && among(s.Contracts, l.Contract) && ofType &&
		(s.Since.IsZero() || !l.Time.Before(s.Since)) && (s.Until.IsZero() || l.Time.Before(s.Until)) &&
		(!s.Pending || !l.Replayed)
}

// Tally is what a dead-letter topic holds, as far as the selection's places go.
type Tally struct {
	// Topic is the dead-letter topic.
	Topic string
	source.Tally
}

// errEnough ends a look at a topic early.
var errEnough = errors.New("enough")

// Each calls each with the selected letters, one for each record, topic by topic, up to the ends that the topics have now. A letter is
// each's during the call alone. each ends it early, without an error, by returning Enough.
func (d *DeadLetters) Each(ctx context.Context, s Selection, each func(l *Letter, itemType string) error) ([]Tally, error) {
	tallies := make([]Tally, 0, len(d.topics))
	for _, topic := range d.topics {
		letters := d.letters.Topic(topic)
		tally, err := d.letters.Letters(ctx, letters, s.place, func(l *Letter) error {
			itemType := d.Type(l)
			if !s.takes(l, itemType) {
				return nil
			}
			return each(l, itemType)
		})
		tallies = append(tallies, Tally{letters, tally})
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
