package sink

import (
	"maps"
	"slices"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// trouble is why the table takes nothing now: a refusal before a storm. Its State is empty when it does.
func (w *weather) trouble() lane.Trouble {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.refused {
		if r.State != "" {
			return r
		}
	}
	return w.logged
}

// trouble is that of the traveller, or else of the table.
func (t *traveller) trouble() lane.Trouble {
	if found := t.weather.trouble(); found.State != "" {
		return found
	}
	t.weather.mu.Lock()
	defer t.weather.mu.Unlock()
	if !t.logged {
		return lane.Trouble{}
	}
	return lane.Trouble{
		State: stateUnavailable, Since: t.since,
		Reason: "BigQuery takes nothing for this stream while it does for others of the table",
	}
}

// Streams returns how many write streams are open for appending.
func (s *Sink) Streams() int { return int(s.appending.Load()) }

// appends counts write streams that open or close.
func (s *Sink) appends(n int64) { s.metrics.open.Set(float64(s.appending.Add(n))) }

// Troubles implements lane.Reporter.
func (s *Sink) Troubles() map[string]lane.Trouble {
	s.skies.Lock()
	weathers := slices.Collect(maps.Values(s.weathers))
	s.skies.Unlock()
	found := make(map[string]lane.Trouble)
	for _, w := range weathers {
		if trouble := w.trouble(); trouble.State != "" {
			found[w.table] = trouble
		}
	}
	return found
}

// stop ends what would still be said.
func (w *weather) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calm != nil {
		w.calm.Stop()
		w.calm = nil
	}
	for _, fade := range w.fades {
		if fade != nil {
			fade.Stop()
		}
	}
}
