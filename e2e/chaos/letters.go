package chaos

import (
	"context"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
)

// letters says what the dead-letter topic of a topic holds: places of records, not letters, for a letter may be there
// twice.
type letters struct {
	Topic string
	// Injected are the records produced that no row can be made of.
	Injected int64
	// Refused are those that BigQuery refused, Bad those that could not become rows.
	Refused, Bad int64
	// Extra are refused though RefuseEvery does not divide them; Missing are divided, and no letter.
	Extra, Missing int64
}

// ok says whether the letters are what they must be.
func (l letters) ok() bool { return l.Bad == l.Injected && l.Extra == 0 && l.Missing == 0 }

// reasons are why a record is a dead letter: all of them, for a letter may be there twice, and the second one may have
// another reason when an operator has meanwhile said to skip the record.
type reasons uint8

const (
	forItself  reasons = 1 << iota // it cannot become a row
	forRefusal                     // BigQuery has refused it
	forSkip                        // an operator had it skipped
)

// readLetters reads the dead letters of a topic: why each record is one, by partition and offset.
func readLetters(ctx context.Context, log *stack.Log, topic string) (map[int32]map[int64]reasons, error) {
	all := map[int32]map[int64]reasons{}
	return all, log.EachHeaders(ctx, topic+stack.DeadLetters, func(headers map[string]string) error {
		if headers["waybill-replayed"] != "" {
			return nil // a mark that a letter was replayed, which the comparison looks at
		}
		partition, err1 := strconv.ParseInt(headers["waybill-partition"], 10, 32)
		offset, err2 := strconv.ParseInt(headers["waybill-offset"], 10, 64)
		if err1 != nil || err2 != nil {
			return fmt.Errorf("a dead letter of %s does not say where it is from: %v", topic, headers)
		}
		p, why := int32(partition), forItself
		switch headers["waybill-reason"] {
		case "refused":
			why = forRefusal
		case "skipped":
			why = forSkip
		}
		if all[p] == nil {
			all[p] = map[int64]reasons{}
		}
		all[p][offset] |= why
		return nil
	})
}

// compareLetters compares the dead letters of a topic with the offsets that had to be refused. A record that was
// skipped is neither among the bad nor among the refused ones.
func compareLetters(
	ctx context.Context, log *stack.Log, topic string, all map[int32]map[int64]reasons, every int64,
) (letters, error) {
	l := letters{Topic: topic}
	for _, offsets := range all {
		for offset, why := range offsets {
			switch {
			case why&forItself != 0:
				l.Bad++
			case why&forRefusal == 0:
			case offset%every == 0:
				l.Refused++
			default:
				l.Extra++
			}
		}
	}
	// Some offsets have no record: the transactions of replays have markers.
	return l, log.Each(ctx, topic, func(r *kgo.Record) error {
		if _, ok := all[r.Partition][r.Offset]; !ok && r.Offset%every == 0 {
			l.Missing++
		}
		return nil
	})
}
