package overview

import (
	"math"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/waybill-data/waybill/pkg/fleetview"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

const day = 24 * time.Hour

// settling counts how long batches took to be settled, in steps of a fifth: from 100 µs to 3 hours.
type settling struct {
	steps [102]uint32
	all   uint32
}

const (
	settlingFrom = 100 * time.Microsecond
	settlingStep = 1.2
)

// settlesOver is the time that batches are looked back at.
const settlesOver = 15 * time.Minute

// take counts the batches of a lane.
func (s *settling) take(now time.Time, l Lane) {
	l.EachSettled(func(b *lane.Batch) {
		if at := b.Settled(); now.Sub(at) <= settlesOver {
			took := float64(at.Sub(b.Sent())) / float64(settlingFrom)
			step := 0
			if took > 1 {
				step = min(len(s.steps)-1, int(math.Ceil(math.Log(took)/math.Log(settlingStep))))
			}
			s.steps[step]++
			s.all++
		}
	})
}

// quantile is the time that so large a part took at most; nil: there was no batch.
func (s *settling) quantile(q float64) *durationpb.Duration {
	if s.all == 0 {
		return nil
	}
	want, sum := uint32(math.Ceil(q*float64(s.all))), uint32(0)
	for step, n := range s.steps {
		if sum += n; sum >= want {
			return durationpb.New(time.Duration(float64(settlingFrom) * math.Pow(settlingStep, float64(step))))
		}
	}
	return nil
}

// eta is when what a table is behind is settled, at the pace of the last minute; nil where it gains nothing.
func eta(behind int64, gained float64) *durationpb.Duration {
	if behind <= 0 || gained <= 0 {
		return nil
	}
	seconds := float64(behind) / gained
	if seconds > (30 * day).Seconds() {
		return nil
	}
	return durationpb.New(time.Duration(seconds * float64(time.Second)))
}

// cost is what so many bytes a second would cost in a day.
func cost(t *adminv1.Table) float64 {
	return t.GetBytesPerSecond() * day.Seconds() * fleetview.DollarsPerByte
}
