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

// readLetters compares the dead letters of a topic with the offsets that had to be refused.
func readLetters(ctx context.Context, log *stack.Log, topic string, every int64) (letters, error) {
	l := letters{Topic: topic}
	all := map[int32]map[int64]bool{} // by partition: offset -> refused by BigQuery
	err := log.EachHeaders(ctx, topic+stack.DeadLetters, func(headers map[string]string) error {
		if headers["waybill-replayed"] != "" {
			return nil // a mark that a letter was replayed, which the comparison looks at
		}
		partition, err1 := strconv.ParseInt(headers["waybill-partition"], 10, 32)
		offset, err2 := strconv.ParseInt(headers["waybill-offset"], 10, 64)
		if err1 != nil || err2 != nil {
			return fmt.Errorf("a dead letter of %s does not say where it is from: %v", topic, headers)
		}
		p := int32(partition)
		if all[p] == nil {
			all[p] = map[int64]bool{}
		}
		all[p][offset] = headers["waybill-reason"] == "refused"
		return nil
	})
	if err != nil {
		return l, err
	}
	for _, offsets := range all {
		for offset, refused := range offsets {
			switch {
			case !refused:
				l.Bad++
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
