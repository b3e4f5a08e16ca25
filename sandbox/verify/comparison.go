package verify

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/kafka"
)

// Headers of a dead letter that name its origin.
const (
	headerTopic     = "waybill-topic"
	headerPartition = "waybill-partition"
	headerOffset    = "waybill-offset"
	headerReason    = "waybill-reason"
	headerKey       = "waybill-key"            // the record's key: absent when it had none
	headerLeftOut   = "waybill-value-left-out" // the value was too large for the dead-letter topic
	headerPrefix    = "waybill-"
)

// comparison is one topic being compared.
type comparison struct {
	topic      Topic
	decode     func(itemType string, value []byte) (any, error) // nil: payloads are not compared
	report     TopicReport
	partitions map[int32]*partition
	streams    map[string]int64 // by write stream and partition: the offset of the last row
	sample     []*kgo.Record
}

// partition is what was seen of one partition. The sets overlap.
type partition struct {
	start   int64 // first offset that Kafka still holds
	rows    offsets
	tables  map[string]offsets // rows by table, when the topic's types say which
	dead    offsets
	records offsets
	copies  map[int64]uint64 // by offset of a dead letter: hash of what it keeps of its record
	wanted  map[int64]bool   // offsets in the sample
	marks   map[int64]int64  // by offset of a replayed record: where its letter's mark says that it is now
	replays map[int64]int64  // by offset of a replayed record: where it is now
}

var seed = maphash.MakeSeed()

func (c *comparison) partition(id int32) *partition {
	p := c.partitions[id]
	if p == nil {
		p = &partition{
			rows: offsets{}, tables: map[string]offsets{}, dead: offsets{}, records: offsets{},
			copies: map[int64]uint64{}, marks: map[int64]int64{}, replays: map[int64]int64{},
		}
		c.partitions[id] = p
	}
	return p
}

// row takes one row of a table.
func (c *comparison) row(table string, row tableRow) {
	if row.Topic != c.topic.Name {
		return // a table may take several topics
	}
	c.report.Rows++
	if row.Partition < 0 || row.Offset < 0 {
		c.report.Phantom++
		c.off(Phantom, row.Partition, row.Offset, "a row of "+table+" names an impossible place")
		return
	}
	p := c.partition(row.Partition)
	if c.topic.Types != nil {
		if p.tables[table] == nil {
			p.tables[table] = offsets{}
		}
		p.tables[table].add(row.Offset)
	}
	switch first := p.rows.add(row.Offset); {
	case first:
	case c.topic.AtLeastOnce:
		c.report.Repeated++
	default:
		c.report.Duplicates++
		c.off(Duplicate, row.Partition, row.Offset, "a second row, in stream "+row.Stream+" of "+table)
	}
	if strings.HasSuffix(row.Stream, "_default") {
		return // the default stream promises no order
	}
	key := row.Stream + "/" + strconv.Itoa(int(row.Partition))
	if last, seen := c.streams[key]; seen && row.Offset < last {
		c.report.OutOfOrder++
		c.off(OutOfOrder, row.Partition, row.Offset,
			fmt.Sprintf("its row follows the row of offset %d in stream %s", last, row.Stream))
	}
	c.streams[key] = row.Offset
}

// deadLetter takes one record of the dead-letter topic. Dead letters are at-least-once, so a second one is no offence.
func (c *comparison) deadLetter(letter *kgo.Record) {
	if c.mark(letter) {
		return
	}
	topic, _ := lastHeader(letter, headerTopic)
	partitionText, _ := lastHeader(letter, headerPartition)
	offsetText, _ := lastHeader(letter, headerOffset)
	reason, _ := lastHeader(letter, headerReason)
	id, err := strconv.ParseInt(partitionText, 10, 32)
	offset, err2 := strconv.ParseInt(offsetText, 10, 64)
	place := fmt.Sprintf("dead letter at %s/%d offset %d", letter.Topic, letter.Partition, letter.Offset)
	if err != nil || err2 != nil || id < 0 || offset < 0 || topic != c.topic.Name || reason == "" {
		c.report.Stray++
		c.off(Stray, letter.Partition, letter.Offset,
			fmt.Sprintf("%s does not say where it is from and why (%q, %q, %q, %q)",
				place, topic, partitionText, offsetText, reason))
		return
	}
	if want := fmt.Sprintf("%s/%d/%d", topic, id, offset); string(letter.Key) != want {
		c.report.Stray++
		c.off(Stray, int32(id), offset, fmt.Sprintf("%s has key %q, want %q", place, letter.Key, want))
	}
	p := c.partition(int32(id))
	key, keyed := lastHeader(letter, headerKey)
	if _, leftOut := lastHeader(letter, headerLeftOut); !leftOut {
		p.copies[offset] = copied([]byte(key), keyed, letter)
	}
	if !p.dead.add(offset) {
		return
	}
	c.report.DeadLetters++
	if p.rows.has(offset) {
		c.report.Both++
		c.off(Both, int32(id), offset, "it has a row and a dead letter")
	}
}

// record takes one record of the topic itself.
func (c *comparison) record(record *kgo.Record) {
	c.report.Events++
	p := c.partition(record.Partition)
	p.records.add(record.Offset)
	c.replay(record)
	if p.rows.has(record.Offset) {
		c.place(p, record)
	}
	if p.wanted[record.Offset] && p.rows.has(record.Offset) {
		c.sample = append(c.sample, clone(record))
	}
	if p.dead.has(record.Offset) {
		if kept, ok := p.copies[record.Offset]; ok && kept != copied(record.Key, record.Key != nil, record) {
			c.report.Stray++
			c.off(Stray, record.Partition, record.Offset, "its dead letter has another value, key or headers")
		}
		return
	}
	switch {
	case p.rows.has(record.Offset):
	case c.ignored(record):
		c.report.Ignored++
	default:
		c.report.Missing++
		c.off(Missing, record.Partition, record.Offset,
			fmt.Sprintf("neither in %s nor in %s", strings.Join(c.topic.Tables, ", "), c.topic.Name+kafka.DeadLetter))
	}
}

// place looks whether a row is in the table of its record's type.
func (c *comparison) place(p *partition, record *kgo.Record) {
	if c.topic.Types == nil {
		return
	}
	itemType := typeOf(record)
	want, known := c.topic.Types[itemType]
	if !known {
		want = c.topic.Types[""]
	}
	if !p.tables[want].has(record.Offset) {
		c.report.Different++
		c.off(Different, record.Partition, record.Offset,
			fmt.Sprintf("its type is %q and it has no row in %q but elsewhere", itemType, want))
	}
}

func (c *comparison) ignored(record *kgo.Record) bool {
	if record.Value == nil && c.topic.IgnoreTombstones {
		return true
	}
	return slices.Contains(c.topic.Ignored, typeOf(record))
}

// phantoms looks for rows and dead letters of records that Kafka does not hold. What is below the log's start was
// removed by retention, and cannot be judged.
func (c *comparison) phantoms() {
	for id, p := range c.partitions {
		look := func(set offsets, what string) {
			set.without(p.records, func(offset int64) {
				if offset < p.start {
					c.report.Expired++
					return
				}
				c.report.Phantom++
				c.off(Phantom, id, offset, "there is a "+what+" and no record")
			})
		}
		look(p.rows, "row")
		look(p.dead, "dead letter")
	}
}

// chooseSample picks one offset in each of n equal ranges of the topic, and notes where each partition starts.
func (c *comparison) chooseSample(spans []span, n int, seed uint64) {
	var total int64
	for _, s := range spans {
		c.partition(s.partition).start = s.start
		c.partition(s.partition).wanted = map[int64]bool{}
		total += s.end - s.start
	}
	random := rand.New(rand.NewPCG(seed, uint64(len(c.topic.Name))))
	count := min(int64(max(n, 0)), total)
	for i := range count {
		low, high := total*i/count, total*(i+1)/count
		at := low + random.Int64N(high-low)
		for _, s := range spans {
			if length := s.end - s.start; at >= length {
				at -= length
				continue
			}
			c.partition(s.partition).wanted[s.start+at] = true
			break
		}
	}
}

// off notes an offence; of each kind only the first few are kept.
func (c *comparison) off(kind Kind, partition int32, offset int64, detail string) {
	kept := 0
	for _, o := range c.report.Offences {
		if o.Kind == kind {
			kept++
		}
	}
	if kept < keptOffences {
		c.report.Offences = append(c.report.Offences, Offence{kind, c.topic.Name, partition, offset, detail})
	}
}

// typeOf is a record's item_type_name: the first, should there be several.
func typeOf(record *kgo.Record) string {
	for _, h := range record.Headers {
		if h.Key == events.TypeHeader {
			return string(h.Value)
		}
	}
	return ""
}

// lastHeader is for the headers of a dead letter that were added: the record may have had some of the same name.
func lastHeader(record *kgo.Record, key string) (string, bool) {
	for _, h := range slices.Backward(record.Headers) {
		if h.Key == key {
			return string(h.Value), true
		}
	}
	return "", false
}

// copied hashes what a dead letter keeps of its record: value, key, and headers. Null and empty differ.
func copied(key []byte, keyed bool, record *kgo.Record) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	field := func(present bool, b []byte) {
		maphash.WriteComparable(&h, present)
		maphash.WriteComparable(&h, len(b))
		_, _ = h.Write(b) // never fails
	}
	field(keyed, key)
	field(record.Value != nil, record.Value)
	for _, header := range record.Headers {
		if !strings.HasPrefix(header.Key, headerPrefix) {
			field(true, []byte(header.Key))
			field(header.Value != nil, header.Value)
		}
	}
	return h.Sum64()
}

// clone copies a record out of the fetch that holds it in memory.
func clone(record *kgo.Record) *kgo.Record {
	c := *record
	c.Key, c.Value = bytes.Clone(c.Key), bytes.Clone(c.Value)
	c.Headers = slices.Clone(c.Headers)
	for i := range c.Headers {
		c.Headers[i].Value = bytes.Clone(c.Headers[i].Value)
	}
	return &c
}
