package lane

import (
	"context"
	"time"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// Placer says at which writer lanes open. Safe for concurrent use.
type Placer interface {
	// Place waits until a writer takes lanes and gives this one a place there, for one call. While it waits it says for
	// what, and the empty string at the end. The error is that of ctx.
	Place(ctx context.Context, topic string, partition int32, waits func(what string)) (Place, error)
	// Changed is closed when a writer begins to take lanes.
	Changed() <-chan struct{}
}

// Place is a lane's place at a writer, for one call. Whoever got it calls End.
type Place interface {
	// Bind is the context for the I/O of the call: calls made with it go to the writer, and it ends when that is given
	// up; context.Cause says why. wake is called, and does not wait, whenever Look has something new to say or the
	// context has ended.
	Bind(ctx context.Context, wake func()) context.Context
	// Opened takes what the writer said of itself. An error says that lanes must not be carried there; the next Place
	// is elsewhere.
	Opened(opened *lanev1.Opened) error
	// Look gives an order to move, once; one without Stayed is none. drains says that the writer does not want the lane
	// any more; elsewhere, that there is another one.
	Look(drains bool) (order Order, elsewhere bool)
	// End ends the place. err is how the call ended; nil after Closed.
	End(err error)
}

// Order asks a lane to go to another writer: it settles what it has sent and ends the call, or says Stayed.
type Order struct {
	// Reason is for people.
	Reason string
	// Stayed says that the lane does not go: what it has sent was not settled in time.
	Stayed func()
}

// takePlace waits for a place at a writer; nil without a placer.
func (l *Lane) takePlace(ctx context.Context) (Place, error) {
	if l.Placer == nil {
		return nil, nil
	}
	return l.Placer.Place(ctx, l.Partition.Topic(), l.Partition.Number(), func(what string) {
		l.waitsForWriter(what, time.Time{})
	})
}

func (l *Lane) leavePlace(p Place, err error) {
	if p != nil {
		p.End(err)
	}
}
