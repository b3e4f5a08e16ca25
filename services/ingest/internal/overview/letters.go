package overview

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

const (
	// mostKinds bounds the kinds of dead letters that are counted apart: types and fields are foreign text. Those
	// beyond are counted by topic and reason alone.
	mostKinds = 200
	// excerpt is how many bytes of a value are kept around the byte at fault, longestText how many of a text.
	excerpt, longestText = 64, 500
	// hourCells are the cells of the last hour.
	hourCells = int64(time.Hour / cellTime)
)

// Letters counts the dead letters of a process by what they have in common, with one sample each. The zero value is
// ready. Safe for concurrent use.
type Letters struct {
	// TypeHeaders are the headers that types are read from.
	TypeHeaders []string

	mu    sync.Mutex
	kinds map[kind]*kindOf
}

// kind is what dead letters have in common.
type kind struct{ topic, reason, contract, itemType, field string }

type kindOf struct {
	count       uint64
	first, last time.Time
	hour        hourly
	sample      *adminv1.LetterSample
}

// hourly counts what happened in each five minutes of the last hour.
type hourly struct {
	cells  [hourCells]uint64
	newest int64
}

func (h *hourly) turn(now time.Time) {
	number := now.UnixNano() / int64(cellTime)
	for skipped := max(h.newest+1, number-hourCells+1); skipped <= number; skipped++ {
		h.cells[skipped%hourCells] = 0
	}
	h.newest = max(h.newest, number)
}

func (h *hourly) add(now time.Time, n uint64) {
	h.turn(now)
	h.cells[h.newest%hourCells] += n
}

func (h *hourly) sum(now time.Time) (n uint64) {
	h.turn(now)
	for _, c := range h.cells {
		n += c
	}
	return n
}

// Count counts dead letters that have been written.
func (l *Letters) Count(now time.Time, letters []lane.DeadLetter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kinds == nil {
		l.kinds = map[kind]*kindOf{}
	}
	for i := range letters {
		d := &letters[i]
		k := kind{d.Record.Topic, d.Reason, d.Contract, l.itemType(d), plainPath(d.Field)}
		of := l.kinds[k]
		if of == nil && len(l.kinds) >= mostKinds {
			k = kind{topic: k.topic, reason: k.reason}
			of = l.kinds[k]
		}
		if of == nil {
			of = &kindOf{first: now}
			l.kinds[k] = of
		}
		if of.count++; of.sample == nil || now.Sub(of.last) > time.Hour {
			of.sample = sampleOf(d)
		}
		of.last = now
		of.hour.add(now, 1)
	}
}

// itemType is what a record says it is: the last header of the name counts, as it does for contracts.
func (l *Letters) itemType(d *lane.DeadLetter) string {
	for _, h := range slices.Backward(d.Record.Headers) {
		if slices.Contains(l.TypeHeaders, string(h.Key)) {
			return cut(string(h.Value))
		}
	}
	return ""
}

// plainPath is a path without the indexes of arrays.
func plainPath(path string) string {
	var out strings.Builder
	for {
		head, tail, ok := strings.Cut(path, "[")
		out.WriteString(head)
		if !ok {
			return cut(out.String())
		}
		out.WriteString("[]")
		if _, path, ok = strings.Cut(tail, "]"); !ok {
			return cut(out.String())
		}
	}
}

func cut(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), longestText)], "\uFFFD")
}

// sampleOf keeps what is needed to see what is wrong.
func sampleOf(d *lane.DeadLetter) *adminv1.LetterSample {
	value := d.Record.Value
	out := &adminv1.LetterSample{
		Partition: d.Record.Partition, Offset: d.Record.Offset, Error: cut(d.Err),
		ValueBytes: int32(len(value)), //nolint:gosec // Kafka's records are below 2 GiB
	}
	from := 0
	if d.Byte >= 0 && d.Byte <= len(value) {
		from = max(0, d.Byte-excerpt/2)
		out.Byte = proto.Int32(int32(d.Byte)) //nolint:gosec // within the value
	}
	out.ExcerptAt = int32(from) //nolint:gosec // within the value
	out.Excerpt = bytes.Clone(value[from:min(len(value), from+excerpt)])
	return out
}

// List is all kinds, in no order.
func (l *Letters) List(now time.Time) []*adminv1.DeadLetterCount {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*adminv1.DeadLetterCount, 0, len(l.kinds))
	for k, of := range l.kinds {
		out = append(out, &adminv1.DeadLetterCount{
			Topic: k.topic, Reason: k.reason, Contract: k.contract, Type: k.itemType, Field: k.field, Count: of.count,
			Hour: of.hour.sum(now), First: timestamppb.New(of.first), Last: timestamppb.New(of.last),
			Sample: proto.CloneOf(of.sample),
		})
	}
	return out
}

// Hour is how many there were of the topics in the last hour.
func (l *Letters) Hour(now time.Time, topics []string) (n uint64) {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, of := range l.kinds {
		if slices.Contains(topics, k.topic) {
			n += of.hour.sum(now)
		}
	}
	return n
}
