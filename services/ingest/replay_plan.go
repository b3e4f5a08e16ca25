package ingest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/pauses"
	"github.com/waybill-data/waybill/services/ingest/internal/replay"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// plan reads what is kept of the replay, or makes it.
func (p *Replayer) plan(ctx context.Context) error {
	kept, err := p.entries.Read(ctx)
	if err != nil {
		return away(err)
	}
	narrowed := p.replay.From != (Mark{}) || p.replay.To != (Mark{}) || len(p.replay.Partitions) > 0
	if len(kept) == 0 {
		committed := source.NewPlan(p.config.source(), p.Group)
		defer committed.Close()
		if was, err := committed.Read(ctx); err != nil {
			return away(err)
		} else if len(was) > 0 {
			return fmt.Errorf("group %s has committed positions, and no plan is kept of them: brokers have forgotten "+
				"it. Begin anew with another --name, into another table", p.Group)
		}
		return p.make(ctx)
	}
	p.Ranges = map[int32]replay.Range{}
	for l, text := range kept {
		w, err := replay.Parse(text)
		switch {
		case err != nil:
			return fmt.Errorf("what group %s keeps of %v cannot be read: %w", p.entries.Group(), l, err)
		case l.Topic != p.replay.Topic:
			return fmt.Errorf("--name: %s is a replay of topic %s", p.replay.Name, l.Topic)
		case !maps.Equal(w.Tables, p.Tables):
			return fmt.Errorf("--name: %s goes into %s; go on with the same --into, or take another name",
				p.replay.Name, intoOf(w.Tables))
		case time.Since(w.Kept) > replay.KeptFor:
			return fmt.Errorf("--name: %s was last at work at %s, and brokers forget such replays: begin anew with "+
				"another --name, into another table", p.replay.Name, w.Kept.UTC().Format(time.RFC3339))
		}
		p.Ranges[l.Partition], p.Begun = w.Range, w.Begun
		if !w.Done.IsZero() {
			p.Settled[l.Partition] = w.Done
		}
	}
	if narrowed {
		p.Remarks = append(p.Remarks, "it goes on as it was begun: --from, --to and --partition are those of then")
	}
	return nil
}

// intoOf are tables as --into takes them.
func intoOf(tables map[string]string) string {
	var all []string
	for _, old := range slices.Sorted(maps.Keys(tables)) {
		all = append(all, old+"="+tables[old])
	}
	return strings.Join(all, ",")
}

// make makes a plan of what is asked for.
func (p *Replayer) make(ctx context.Context) error {
	r := &p.replay
	sc, err := source.NewScanner(ctx, &p.config.Kafka, []string{r.Topic})
	if err != nil {
		return away(err)
	}
	defer sc.Close()
	spans, err := sc.Spans(ctx, r.Topic)
	if err != nil {
		return err
	}
	p.Ranges = map[int32]replay.Range{}
	for _, s := range spans {
		if len(r.Partitions) > 0 && !slices.Contains(r.Partitions, s.Partition) {
			continue
		}
		from, err := p.at(ctx, sc, s, r.From, s.From)
		if err != nil {
			return err
		}
		to, err := p.at(ctx, sc, s, r.To, s.End)
		if err != nil {
			return err
		}
		if from < to {
			p.Ranges[s.Partition] = replay.Range{From: from, To: to}
		}
	}
	for _, wanted := range r.Partitions {
		if !slices.ContainsFunc(spans, func(s source.Span) bool { return s.Partition == wanted }) {
			return fmt.Errorf("--partition: topic %s has no partition %d; it has 0 to %d", r.Topic, wanted,
				len(spans)-1)
		}
	}
	if len(p.Ranges) == 0 {
		return fmt.Errorf("topic %s has no record from %s to %s", r.Topic, cmp.Or(r.From.String(), "its beginning"),
			cmp.Or(r.To.String(), "its end"))
	}
	return nil
}

// at is the offset of a mark in a partition.
func (p *Replayer) at(ctx context.Context, sc *source.Scanner, s source.Span, m Mark, otherwise int64) (int64, error) {
	switch {
	case m.Offset != nil:
		at := *m.Offset
		if at < s.From || at > s.End {
			p.Remarks = append(p.Remarks, fmt.Sprintf("%s/%d holds offsets %d to %d", p.replay.Topic, s.Partition,
				s.From, s.End-1))
		}
		return min(max(at, s.From), s.End), nil
	case !m.Time.IsZero():
		at, err := sc.At(ctx, p.replay.Topic, s.Partition, m.Time)
		if err != nil {
			return 0, err
		}
		if at < 0 { // no record is as young
			at = s.End
		}
		return min(max(at, s.From), s.End), nil
	}
	return otherwise, nil
}

// keep keeps the plan of partitions, with which of them are settled. What is kept is written again while the replay
// runs, so that brokers forget it with what the replay's lanes have committed, and not before.
func (p *Replayer) keep(ctx context.Context, partitions []int32, settled map[int32]time.Time) error {
	entries := map[pauses.Lane]string{}
	for _, n := range partitions {
		w := replay.Entry{
			Range: p.Ranges[n], Tables: p.Tables, Begun: p.Begun, Kept: time.Now(), Done: settled[n],
		}
		text, err := w.Encode()
		if err != nil {
			return err
		}
		entries[pauses.Lane{Topic: p.replay.Topic, Partition: n}] = text
	}
	if err := p.entries.Write(ctx, entries); err != nil {
		return fmt.Errorf("keep the plan: %w", err)
	}
	return nil
}
