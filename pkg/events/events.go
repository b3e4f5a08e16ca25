// Package events remembers what a process logs of itself at level info and above, so that it can be asked for: changes
// of state, moves, errors. One source: what is an event is in the log too, in the same words.
//
//	ring := events.New("ingest-7", 0)
//	log := slog.New(ring.Handler(log.Handler()))
//	ring.List(events.Filter{Topic: "orders"}, 100)
//
// A Ring holds its last events and forgets the older ones. It costs a lock and a few hundred bytes for each line of the
// log, and nothing for a row.
package events

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

const (
	// remembered is how many events a Ring holds.
	remembered = 2048
	// mostText bounds the text of one event, in bytes: stacks and responses of BigQuery may be long.
	mostText = 2 << 10
)

// Ring is the last events of a process. Safe for concurrent use.
type Ring struct {
	mu      sync.Mutex
	process string
	events  []*adminv1.Event // immutable once they are in
	next    uint64
	most    int
}

// New makes a ring for a process of this name that holds so many events; 0: remembered.
func New(process string, most int) *Ring {
	if most <= 0 {
		most = remembered
	}
	return &Ring{process: process, most: most}
}

// Call names the process for the events to come: its address may be known only once it listens.
func (r *Ring) Call(process string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.process = process
}

// Add remembers an event. Its number and its process are given to it.
func (r *Ring) Add(e *adminv1.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Process = r.process
	e.Number = r.next
	r.next++
	if len(r.events) < r.most {
		r.events = append(r.events, e)
		return
	}
	r.events[e.GetNumber()%uint64(r.most)] = e
}

// Filter keeps events. Fields that are set must all match.
type Filter struct {
	Topic     string
	Partition *int32
	// Text is contained in the kind or the text, without regard to case.
	Text string
}

func (f *Filter) keeps(e *adminv1.Event) bool {
	switch {
	case f.Topic != "" && e.GetTopic() != f.Topic:
		return false
	case f.Partition != nil && (e.Partition == nil || e.GetPartition() != *f.Partition):
		return false
	}
	return f.Text == "" || contains(e.GetKind(), f.Text) || contains(e.GetText(), f.Text) ||
		contains(e.GetTopic(), f.Text)
}

func contains(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

// List returns the newest events that the filter keeps, the newest first, at most so many.
func (r *Ring) List(f Filter, most int) []*adminv1.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*adminv1.Event
	for back := range len(r.events) {
		e := r.events[(r.next-1-uint64(back))%uint64(r.most)]
		if len(out) == most {
			break
		}
		if f.keeps(e) {
			out = append(out, e)
		}
	}
	return out
}

// Handler passes what is logged on to another handler and remembers what is of level info and above.
func (r *Ring) Handler(next slog.Handler) slog.Handler { return &handler{next: next, ring: r} }

type handler struct {
	next slog.Handler
	ring *Ring
	// attrs are those of WithAttrs, prefix that of WithGroup.
	attrs  []slog.Attr
	prefix string
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || h.next.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := *h
	more.next = h.next.WithAttrs(attrs)
	more.attrs = append(slices.Clip(more.attrs), h.named(attrs)...)
	return &more
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	more := *h
	more.next = h.next.WithGroup(name)
	more.prefix += name + "."
	return &more
}

func (h *handler) named(attrs []slog.Attr) []slog.Attr {
	if h.prefix == "" {
		return attrs
	}
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = slog.Attr{Key: h.prefix + a.Key, Value: a.Value}
	}
	return out
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelInfo {
		h.ring.Add(h.event(&record))
	}
	if !h.next.Enabled(ctx, record.Level) {
		return nil
	}
	return h.next.Handle(ctx, record)
}

func (h *handler) event(record *slog.Record) *adminv1.Event {
	e := &adminv1.Event{
		Time: timestamppb.New(record.Time), Kind: record.Message, Level: strings.ToLower(record.Level.String()),
	}
	var text strings.Builder
	take := func(a slog.Attr) {
		value := a.Value.Resolve()
		switch {
		case a.Key == "topic" && value.Kind() == slog.KindString:
			e.Topic = value.String()
			return
		case a.Key == "partition" && value.Kind() == slog.KindInt64:
			p := int32(value.Int64()) //nolint:gosec // Kafka's partitions are 32 bits.
			e.Partition = &p
			return
		case a.Key == "group": // the same in every line
			return
		}
		if text.Len() < mostText {
			if text.Len() > 0 {
				text.WriteByte(' ')
			}
			said := strings.ToValidUTF8(value.String(), "\uFFFD")
			if room := mostText - text.Len(); len(said) > room {
				said = strings.ToValidUTF8(said[:room], "") + "…"
			}
			text.WriteString(a.Key + "=" + said)
		}
	}
	for _, a := range h.attrs {
		take(a)
	}
	record.Attrs(func(a slog.Attr) bool {
		take(slog.Attr{Key: h.prefix + a.Key, Value: a.Value})
		return true
	})
	e.Text = text.String()
	return e
}
