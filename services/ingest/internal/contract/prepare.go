package contract

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/decode/confluent"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Prepare learns the schema ids that records name, and waits for the schema registry where one is new. It touches
// nothing that Match and AppendRow use, so that another goroutine may call them meanwhile; Prepare itself is for one
// goroutine at a time. grown says that a contract of the topic has a newer version: the records want another Fork. The
// error is that of ctx. waits, unless it is nil, is called with what is being waited for, and the empty string
// afterwards.
//
// Where no contract of the topic has framing it does nothing, and where all ids are known it reads five bytes and the
// type header of each record.
func (t *Topic) Prepare(ctx context.Context, records []record.Record, waits func(what string)) (grown bool, err error) {
	if !t.Grows() {
		return false, nil
	}
	for i := range records {
		r := &records[i]
		if r.Value == nil {
			continue
		}
		if err := t.typing.learn(ctx, r.Value, waits); err != nil {
			return false, err
		}
		itemType, _, _ := t.typeOf(r)
		target, ok := t.routing.target(itemType)
		if !ok || target < 0 {
			continue // an unknown type's table takes payloads as they are
		}
		c := t.contracts[target]
		if c.versions == nil {
			continue
		}
		id, _, ok := confluent.ID(r.Value)
		if !ok || c.at.plan.Known(id) {
			continue
		}
		if err := c.versions.learn(ctx, id, waits); err != nil {
			return false, err
		}
		if t.grown() {
			return true, nil
		}
	}
	return t.grown(), nil
}

// Grows reports whether the topic's contracts may have newer versions, since its records name their schema. Where they
// may not, Prepare does nothing, and Routes and Fingerprint are those of every Fork.
func (t *Topic) Grows() bool {
	for _, c := range t.contracts {
		if c.versions != nil {
			return true
		}
	}
	return false
}

// grown reports whether a contract has a newer version than this fork.
func (t *Topic) grown() bool {
	for _, c := range t.contracts {
		if c.versions != nil && c.versions.current.Load() != c.at {
			return true
		}
	}
	return false
}

// Watch looks up the latest versions of the subjects whose contracts may grow, every so often, until ctx ends. So
// tables have their columns before the first record that needs them, as a rule.
func (s *Set) Watch(ctx context.Context, every time.Duration) {
	var watching sync.WaitGroup
	defer watching.Wait()
	for _, t := range slices.Concat(s.named, s.Patterns()) {
		for _, c := range t.contracts {
			if c.versions == nil || !c.versions.grows() || c.versions.env.Schemas == nil {
				continue
			}
			watching.Go(func() {
				ticker := time.NewTicker(every)
				defer ticker.Stop()
				for {
					select {
					case <-ticker.C:
					case <-ctx.Done():
						return
					}
					if c.versions.look(ctx) != nil {
						return
					}
				}
			})
		}
	}
}
