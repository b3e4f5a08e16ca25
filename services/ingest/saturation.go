package ingest

import (
	"sync"
	"time"

	"github.com/waybill-data/waybill/pkg/processors"
	"github.com/waybill-data/waybill/pkg/saturation"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/writers"
)

// load counts what this process's strength goes to.
type load struct {
	lanes *roster
	fleet *writers.Fleet

	mu         sync.Mutex
	carried    []lane.Carried // to be used again
	last       time.Time
	settling   time.Duration
	responding time.Duration
}

// counts is what the meter of saturation asks for, every second.
func (l *load) counts() saturation.Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	busy := 0
	l.carried = l.lanes.carried(l.carried[:0])
	for _, c := range l.carried {
		if c.Window > 0 {
			busy++
		}
	}
	now := time.Now()
	if !l.last.IsZero() {
		// Only writers know what they wait for: they report it as a share.
		elapsed := now.Sub(l.last)
		l.settling += elapsed
		l.responding += time.Duration(l.fleet.Responding() * float64(elapsed))
	}
	l.last = now
	settling, responding := l.settling, l.responding
	used, _ := processors.Used() // where it is not known it is 0, and never the cause
	return saturation.Counts{
		Processor: used, Processors: processors.Count(), Budget: l.lanes.budget.Waited(),
		Window: l.lanes.metrics.WindowWaited(), Lanes: busy,
		Settling: settling, Responding: responding,
	}
}
