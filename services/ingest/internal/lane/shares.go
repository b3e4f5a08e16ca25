package lane

import (
	"time"

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
