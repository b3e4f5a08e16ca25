package bigquery

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

// Place is where a row came from, and where it lies.
type Place struct {
	// Topic, Partition and Offset are the row's kafka_topic, kafka_partition and kafka_offset; Partition and Offset
	// are -1 when the row has none.
	Topic             string
	Partition, Offset int64
	// Stream is the last part of the write stream's name, Row the row's offset in it.
	Stream string
	Row    int64
}

func (p Place) appendJSON(dst []byte) []byte {
	topic, _ := json.Marshal(p.Topic) // a string always marshals
	dst = append(append(dst, `{"topic":`...), topic...)
	dst = strconv.AppendInt(append(dst, `,"partition":`...), p.Partition, 10)
	dst = strconv.AppendInt(append(dst, `,"offset":`...), p.Offset, 10)
	dst = append(append(append(dst, `,"stream":"`...), p.Stream...), `","row":`...)
	return append(strconv.AppendInt(dst, p.Row, 10), '}')
}

// origin are the columns that say where a row came from.
var origin = [][]string{{"kafka_topic"}, {"kafka_partition"}, {"kafka_offset"}}

// originReader reads origin out of rows, whatever shape they have.
type originReader struct {
	shape      *row.Shape
	projection *row.Projection
	out        [3]any
}

func (o *originReader) read(s *store.Scanner) (topic string, partition, offset int64, err error) {
	if s.Shape() != o.shape {
		o.shape, o.projection = s.Shape(), s.Shape().Project(origin)
	}
	if err := o.projection.Read(s.Row(), o.out[:]); err != nil {
		return "", 0, 0, err
	}
	topic, _ = o.out[0].(string)
	partition, offset = -1, -1
	if n, ok := o.out[1].(int64); ok {
		partition = n
	}
	if n, ok := o.out[2].(int64); ok {
		offset = n
	}
	return topic, partition, offset, nil
}

// places calls each with the place of every readable row of a table, stream by stream.
func (e *Emulator) places(ctx context.Context, t *store.Table, each func(Place) error) error {
	scan := t.Scan()
	defer scan.Close()
	var o originReader
	for scan.NextIn(ctx) {
		topic, partition, offset, err := o.read(scan)
		if err != nil {
			return err
		}
		stream, at := scan.Position()
		name := stream.Name()
		p := Place{
			Topic: topic, Partition: partition, Offset: offset, Stream: name[strings.LastIndexByte(name, '/')+1:],
			Row: at,
		}
		if err := each(p); err != nil {
			return err
		}
	}
	return scan.Err()
}

// indexes find rows by where they came from. An index has one entry for each frame and partition in it, not for each
// row, and is brought up to date when it is asked.
type indexes struct {
	mu sync.Mutex
	of map[*store.Table]*index
}

type index struct {
	mu      sync.Mutex
	done    map[*store.Stream]int64 // rows indexed
	entries map[string][]entry      // by topic/partition
}

type entry struct {
	low, high int64
	mark      store.Mark
}

func (x *indexes) table(t *store.Table) *index {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.of == nil {
		x.of = map[*store.Table]*index{}
	}
	if x.of[t] == nil {
		x.of[t] = &index{done: map[*store.Stream]int64{}, entries: map[string][]entry{}}
	}
	return x.of[t]
}

func originKey(topic string, partition int64) string {
	return topic + "/" + strconv.FormatInt(partition, 10)
}

// refresh indexes what has come since the last time.
func (x *index) refresh(ctx context.Context, t *store.Table) error {
	for _, extent := range t.Snapshot() {
		before := x.done[extent.Stream]
		if before >= extent.Rows {
			continue
		}
		scan := t.Scan(extent)
		scan.Skip(before)
		err := x.extend(ctx, scan)
		if err := scan.Close(); err != nil {
			return err
		}
		if err != nil {
			return err
		}
		x.done[extent.Stream] = extent.Rows
	}
	return nil
}

func (x *index) extend(ctx context.Context, scan *store.Scanner) error {
	var o originReader
	for scan.NextIn(ctx) {
		topic, partition, offset, err := o.read(scan)
		if err != nil {
			return err
		}
		key, mark := originKey(topic, partition), scan.Frame()
		list := x.entries[key]
		if last := len(list) - 1; last >= 0 && list[last].mark.Same(mark) {
			list[last].low, list[last].high = min(list[last].low, offset), max(list[last].high, offset)
			list[last].mark = mark
			continue
		}
		x.entries[key] = append(list, entry{offset, offset, mark})
	}
	return scan.Err()
}

// row finds the row that came from a record and gives it as JSON, nil if there is none.
func (e *Emulator) row(ctx context.Context, t *store.Table, topic string, partition, offset int64) ([]byte, error) {
	x := e.indexes.table(t)
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.refresh(ctx, t); err != nil {
		return nil, err
	}
	for _, en := range x.entries[originKey(topic, partition)] {
		if offset < en.low || offset > en.high {
			continue
		}
		if b, err := readRow(t, en.mark, topic, partition, offset); b != nil || err != nil {
			return b, err
		}
	}
	return nil, nil
}

func readRow(t *store.Table, mark store.Mark, topic string, partition, offset int64) ([]byte, error) {
	scan := t.ScanFrame(mark)
	defer scan.Close()
	var o originReader
	for scan.Next() {
		gotTopic, gotPartition, gotOffset, err := o.read(scan)
		if err != nil {
			return nil, err
		}
		if gotTopic != topic || gotPartition != partition || gotOffset != offset {
			continue
		}
		r, err := scan.Shape().Decode(scan.Row())
		if err != nil {
			return nil, err
		}
		return row.AppendObject(nil, scan.Columns(), r, row.People), nil
	}
	return nil, scan.Err()
}
