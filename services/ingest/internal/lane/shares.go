package lane

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/waybill-data/waybill/services/ingest/internal/causes"
)

// Shares is where the lane's time goes: the cause of the moment and since when, and the shares of the last minute and
// of the last quarter of an hour. Safe for concurrent use.
func (l *Lane) Shares(now time.Time) (cause causes.Cause, since time.Time, minute, quarter causes.Shares) {
	b := &l.board
	b.mu.Lock()
	tracker := b.time
	b.mu.Unlock()
	if tracker == nil { // Run has not begun
		minute[causes.Opening], quarter[causes.Opening] = 1, 1
		return causes.Opening, now, minute, quarter
	}
	cause, since = tracker.Now()
	minute, quarter = tracker.Shares(now)
	return cause, since, minute, quarter
}

// LetterCount counts dead letters of a topic for a reason, since the process began.
type LetterCount struct {
	Topic, Reason string
	Count         uint64
}

// LetterCounts are those of all lanes, also of those that have ended, in no order.
func (m *Metrics) LetterCounts() []LetterCount {
	found := make(chan prometheus.Metric)
	go func() {
		m.deadLetters.Collect(found)
		close(found)
	}()
	var out []LetterCount
	for metric := range found {
		var d dto.Metric
		if metric.Write(&d) != nil {
			continue
		}
		c := LetterCount{Count: uint64(d.GetCounter().GetValue())}
		for _, label := range d.GetLabel() {
			switch label.GetName() {
			case "topic":
				c.Topic = label.GetValue()
			case "reason":
				c.Reason = label.GetValue()
			}
		}
		out = append(out, c)
	}
	return out
}
