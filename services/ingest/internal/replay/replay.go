// Package replay reads a part of a topic once more, beside the group that carries it: ranges that end, at a rate, for a
// consumer group of the replay's own. It is a core without a client: what wraps a lane.Partition.
//
// A lane of a replay is a lane as any other: it opens from what its group has committed, and its checkpoints explain
// its tables. What is different is where it begins when nothing is committed, and that its reader ends.
package replay

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Range is what is replayed of a partition: the records from From up to, and without, To.
type Range struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Entry is what is kept of a replay for each partition, as metadata of an offset commit of a group without members.
type Entry struct {
	Range

	// Tables are where rows go, by the tables of the contracts.
	Tables map[string]string `json:"tables"`
	// Begun is when it was begun, Kept when this was written last: brokers forget such commits after a week.
	Begun time.Time `json:"begun"`
	Kept  time.Time `json:"kept"`
	// Done is when all of it was settled; zero until then.
	Done time.Time `json:"done,omitzero"`
}

const (
	// prefix tells entries, and their version, from other metadata.
	prefix = "waybill-replay-1 "
	// most is how long an entry may be, in bytes: brokers take 4096 unless that was changed.
	most = 3800
)

// Encode is the entry as metadata of an offset commit. The error is that it is too long for one.
func (w *Entry) Encode() (string, error) {
	text, err := json.Marshal(w)
	if err != nil {
		return "", err
	}
	if len(prefix)+len(text) > most {
		return "", fmt.Errorf("the tables of the replay have names of %d bytes, which is too much to be kept: use "+
			"shorter ones", len(text))
	}
	return prefix + string(text), nil
}

// Parse reads what Encode wrote.
func Parse(text string) (*Entry, error) {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return nil, fmt.Errorf("does not begin with %q", prefix)
	}
	w := &Entry{}
	if err := json.Unmarshal([]byte(rest), w); err != nil {
		return nil, fmt.Errorf("what follows %q: %w", prefix, err)
	}
	return w, nil
}

// KeptFor is how long an entry counts: one day less than brokers keep it, and with it what the replay's lanes have
// committed. A replay whose commits are forgotten must not go on as if it had none.
const KeptFor = 6 * 24 * time.Hour
