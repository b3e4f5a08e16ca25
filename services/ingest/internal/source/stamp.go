package source

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/IBM/sarama"
)

// stamp is ingest's own part of what is committed with a position: of which topic, and of which log, the position is
// one. It stands before the writer's checkpoint in the metadata of the commit, each field ended by a semicolon, which
// no checkpoint has:
//
//	topic_id=7yL1vJ8bQfOTe5w2Q0-b4A;place=0b8mC1Kd;leader_epoch=12;<checkpoint>
//
// What was committed without one, by an older ingest or by an operator, is taken for a position of the topic that
// there is.
type stamp struct {
	// topic is zero when it is not known.
	topic sarama.Uuid
	// place stands for the cluster and the names of topic and partition: a stamp of another one was copied here, and
	// says nothing.
	place string
	// epoch is the leader's that took the last record before the position; -1 when it is not known.
	epoch int32
}

const (
	stampTopic = "topic_id="
	stampPlace = "place="
	stampEpoch = "leader_epoch="
)

// placeOf is the place of a partition.
func placeOf(cluster string, tp topicPartition) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", cluster, tp.topic, tp.partition))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// mark puts the stamp before a checkpoint: at most 71 bytes, which with the largest checkpoint is less than brokers
// take (offset.metadata.max.bytes, 4096 unless changed).
func (s stamp) mark(checkpoint string) string {
	var b strings.Builder
	if s.topic != (sarama.Uuid{}) {
		b.WriteString(stampTopic + s.topic.String() + ";" + stampPlace + s.place + ";")
	}
	if s.epoch >= 0 {
		b.WriteString(stampEpoch + strconv.Itoa(int(s.epoch)) + ";")
	}
	return b.String() + checkpoint
}

// unmark takes committed metadata apart. What is no stamp is left to the writer, which refuses what it did not write.
func unmark(metadata string) (s stamp, checkpoint string) {
	s.epoch = -1
	if text, rest, ok := cutField(metadata, stampTopic); ok {
		id, err := base64.RawURLEncoding.DecodeString(text)
		place, behind, ok := cutField(rest, stampPlace)
		if err == nil && len(id) == len(s.topic) && ok {
			copy(s.topic[:], id)
			s.place, metadata = place, behind
		}
	}
	if text, rest, ok := cutField(metadata, stampEpoch); ok {
		if n, err := strconv.ParseInt(text, 10, 32); err == nil && n >= 0 {
			s.epoch = int32(n)
			metadata = rest
		}
	}
	return s, metadata
}

// cutField takes the field that a text begins with off.
func cutField(text, name string) (value, rest string, ok bool) {
	if text, ok = strings.CutPrefix(text, name); !ok {
		return "", "", false
	}
	return strings.Cut(text, ";")
}

// epochs are those of the records that were read of a partition, by where they begin: for the position that is
// committed.
type epochs struct {
	mu     sync.Mutex
	starts []epochStart // ascending in both
}

type epochStart struct {
	offset int64
	epoch  int32
}

// begin forgets all but that the records before an offset are of an epoch; -1 for an unknown one.
func (e *epochs) begin(epoch int32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.starts = append(e.starts[:0], epochStart{-1, epoch})
}

// note says that the records from an offset on are of an epoch.
func (e *epochs) note(offset int64, epoch int32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	// A reader that went back reads again what was noted.
	e.starts = slices.DeleteFunc(e.starts, func(s epochStart) bool { return s.offset >= offset })
	if n := len(e.starts); n == 0 || e.starts[n-1].epoch != epoch {
		e.starts = append(e.starts, epochStart{offset, epoch})
	}
}

// before is the epoch of the last record before a position, which is at or after those of calls before; -1 when it is
// not known.
func (e *epochs) before(position int64) int32 {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.starts) > 1 && e.starts[1].offset < position {
		e.starts = slices.Delete(e.starts, 0, 1)
	}
	if len(e.starts) == 0 || e.starts[0].offset >= position {
		return -1
	}
	return e.starts[0].epoch
}
