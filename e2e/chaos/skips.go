package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/verify"
)

// farthest bounds how far behind its position a record of a lane is skipped: farther ones would be met after the storm.
const farthest = 400

// nextOf is a record that is not settled yet, as far as anybody knows: of the lane of a topic that is furthest behind,
// or of another topic where all of that is settled.
func (r *run) nextOf(topic string) (at place, offset int64, ok bool) {
	lag := int64(0)
	for p, l := range r.watch.view(time.Time{}) {
		better := l.lane.Lag > lag && (p.topic == topic || at.topic != topic) || p.topic == topic && at.topic != topic
		if l.lane.Position >= 0 && l.lane.Lag > 0 && better {
			at, lag, ok = p, l.lane.Lag, true
			offset = l.lane.Position + min(lag*3/4, farthest)
		}
	}
	return at, offset, ok
}

// skips are the records that operators had skipped, by offset: what they were told, `letter` or `row`; empty while
// nobody knows, for whoever was asked may have died.
type skips map[place]map[int64]string

// order notes that a record is to be skipped, before anybody can have done so.
func (r *results) order(at place, offset int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.skips == nil {
		r.skips = skips{}
	}
	if r.skips[at] == nil {
		r.skips[at] = map[int64]string{}
	}
	r.skips[at][offset] = ""
}

// skipped notes what an ingest said of it.
func (r *results) skipped(at place, offset int64, out []byte) error {
	var said struct {
		Became string
	}
	if err := json.Unmarshal(out, &said); err != nil {
		return fmt.Errorf("ingest skip says %q: %w", out, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.skips[at][offset] = said.Became
	return nil
}

// skipping is what has become of the records of a topic that were skipped.
type skipping struct {
	// Ordered are the records that operators had skipped, Letters those that are dead letters for that reason.
	Ordered, Letters int64
	// Both have a row beside the letter, and nobody was told that they became one: whoever wrote it died before that
	// counted, and the next owner of the lane knew no such order.
	Both int64
	// Unordered are such letters that nobody asked for; Unlike are records of which an operator was told that they
	// became a letter, and there is none, or a row beside it.
	Unordered, Unlike int64
}

func (s skipping) ok() bool { return s.Unordered+s.Unlike == 0 }

func (s skipping) plus(o skipping) skipping {
	return skipping{
		s.Ordered + o.Ordered, s.Letters + o.Letters, s.Both + o.Both, s.Unordered + o.Unordered, s.Unlike + o.Unlike,
	}
}

func (s skipping) String() string {
	return fmt.Sprintf("%d records skipped by operators are dead letters that say so, of %d asked for; %d of them are "+
		"rows too, as nobody was told; %d nobody asked for, %d otherwise than said", s.Letters, s.Ordered, s.Both,
		s.Unordered, s.Unlike)
}

// account compares what operators asked for and were told with the letters of a topic.
func (all skips) account(topic string, why map[int32]map[int64]reasons) (s skipping) {
	for partition, offsets := range why {
		for offset, why := range offsets {
			if why&forSkip == 0 {
				continue
			}
			s.Letters++
			if _, requested := all[place{topic, partition}][offset]; !requested {
				s.Unordered++
			}
		}
	}
	for at, offsets := range all {
		if at.topic != topic {
			continue
		}
		for offset, reported := range offsets {
			s.Ordered++
			if reported == "letter" && why[at.partition][offset]&forSkip == 0 {
				s.Unlike++
			}
		}
	}
	return s
}

// badAmong is how many of the records that only skips made dead letters would have been one all the same: their
// contracts refuse them, as a replay finds out before it produces anything.
func (r *run) badAmong(ctx context.Context, topic string, why map[int32]map[int64]reasons) (bad int64, err error) {
	args := []string{"dead-letters", "replay", "--dry-run", "--reason", "skipped", "-o", "json"}
	before := len(args)
	for partition, offsets := range why {
		for offset, why := range offsets {
			if why == forSkip {
				args = append(args, topic+"/"+strconv.Itoa(int(partition))+"/"+strconv.FormatInt(offset, 10))
			}
		}
	}
	if len(args) == before {
		return 0, nil
	}
	out, err := r.ingest(ctx, args...)
	if err != nil {
		return 0, fmt.Errorf("which of the skipped records are bad: %w, see logs/operator.log", err)
	}
	var said struct {
		Selected, Produced int64
		Skipped            []struct{ Count int64 }
	}
	if err := json.Unmarshal(out, &said); err != nil {
		return 0, fmt.Errorf("ingest dead-letters replay says %q: %w", out, err)
	}
	if n := int64(len(args) - before); said.Selected != n {
		return 0, fmt.Errorf("a replay finds %d of %d skipped records: %s", said.Selected, n, out)
	}
	for _, s := range said.Skipped {
		bad += s.Count
	}
	if said.Produced+bad != said.Selected {
		return 0, fmt.Errorf("a replay of %d skipped records would produce %d and leave out %d", said.Selected,
			said.Produced, bad)
	}
	return bad, nil
}

// beside counts the skipped records of a topic that have a row as well, and takes those out of the report on the topic
// of which nobody was told that they became a letter.
func (r *run) beside(
	ctx context.Context, t topic, why map[int32]map[int64]reasons, s *skipping, of *verify.Report,
) error {
	forgiven := map[verify.Offence]bool{}
	for _, table := range t.want.Tables {
		if err := r.stack.EachPlace(ctx, strings.TrimPrefix(table, stack.Dataset+"."), func(p stack.Place) {
			at := place{p.Topic, p.Partition}
			switch {
			case p.Topic != t.name || why[p.Partition][p.Offset]&forSkip == 0:
			case r.results.skips[at][p.Offset] == "letter":
				s.Unlike++
			default:
				forgiven[verify.Offence{
					Kind: verify.Both, Topic: p.Topic, Partition: p.Partition, Offset: p.Offset,
				}] = true
			}
		}); err != nil {
			return err
		}
	}
	s.Both = int64(len(forgiven))
	of.Both -= s.Both
	for i := range of.Topics {
		if of.Topics[i].Topic == t.name {
			of.Topics[i].Both -= s.Both
		}
	}
	of.Offences = slices.DeleteFunc(of.Offences, func(o verify.Offence) bool {
		o.Detail = ""
		return forgiven[o]
	})
	return nil
}
