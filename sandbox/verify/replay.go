package verify

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Headers of a replay: on the record that was produced again, the place it was first at; on the mark of its letter,
// the place it is at now.
const (
	headerReplayOf = "waybill-replay-of"
	headerReplayed = "waybill-replayed"
)

// place is topic/partition/offset.
type place struct {
	topic     string
	partition int32
	offset    int64
}

func parsePlace(text string) (place, bool) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return place{}, false
	}
	partition, err := strconv.ParseInt(parts[1], 10, 32)
	offset, err2 := strconv.ParseInt(parts[2], 10, 64)
	return place{parts[0], int32(partition), offset}, err == nil && err2 == nil && partition >= 0 && offset >= 0
}

// mark takes a record of the dead-letter topic that says that a letter was replayed. The second one of a letter is an
// offence: a replay is exactly once.
func (c *comparison) mark(mark *kgo.Record) bool {
	to, ok := lastHeader(mark, headerReplayed)
	if _, letter := lastHeader(mark, headerReason); !ok || letter {
		return false
	}
	from, ok := parsePlace(string(mark.Key))
	at, ok2 := parsePlace(to)
	if !ok || !ok2 || from.topic != c.topic.Name || at.topic != from.topic || at.partition != from.partition {
		c.report.Stray++
		c.off(Stray, mark.Partition, mark.Offset, fmt.Sprintf("the mark at %s/%d offset %d says that %q is at %q",
			mark.Topic, mark.Partition, mark.Offset, mark.Key, to))
		return true
	}
	p := c.partition(from.partition)
	if before, twice := p.marks[from.offset]; twice {
		c.report.Duplicates++
		c.off(Duplicate, from.partition, from.offset,
			fmt.Sprintf("its letter was replayed to offset %d, and again to %d", before, at.offset))
		return true
	}
	p.marks[from.offset] = at.offset
	return true
}

// replay takes a record that says that it is one produced again.
func (c *comparison) replay(record *kgo.Record) {
	text, ok := lastHeader(record, headerReplayOf)
	if !ok {
		return
	}
	from, ok := parsePlace(text)
	if !ok || from.topic != record.Topic || from.partition != record.Partition || from.offset >= record.Offset {
		c.report.Stray++
		c.off(Stray, record.Partition, record.Offset, fmt.Sprintf("it says that it is a replay of %q, which cannot be",
			text))
		return
	}
	c.report.Replayed++
	p := c.partition(record.Partition)
	if before, twice := p.replays[from.offset]; twice {
		c.report.Duplicates++
		c.off(Duplicate, record.Partition, record.Offset,
			fmt.Sprintf("it is a second replay of offset %d, as is %d", from.offset, before))
		return
	}
	p.replays[from.offset] = record.Offset
	if kept, ok := p.copies[from.offset]; ok && kept != copied(record.Key, record.Key != nil, record) {
		c.report.Stray++
		c.off(Stray, record.Partition, record.Offset,
			fmt.Sprintf("it is a replay of offset %d with another value, key or headers", from.offset))
	}
}

// replays compares the marks with the records: each mark has its record, each record its mark.
func (c *comparison) replays() {
	for id, p := range c.partitions {
		for from, at := range p.marks {
			if found, ok := p.replays[from]; at >= p.start && (!ok || found != at) {
				c.report.Phantom++
				c.off(Phantom, id, from, fmt.Sprintf(
					"its letter is marked as replayed to offset %d, and no such record is there",
					at))
			}
		}
		for from, at := range p.replays {
			if _, ok := p.marks[from]; !ok {
				c.report.Missing++
				c.off(Missing, id, at, fmt.Sprintf("it is a replay of offset %d, whose letter has no mark", from))
			}
		}
	}
}
