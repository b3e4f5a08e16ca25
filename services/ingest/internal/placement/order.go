package placement

import (
	"errors"
	"fmt"
	"time"
)

// ErrUnknown says that there is no such lane, or no such writer.
var ErrUnknown = errors.New("not known here")

// Order moves a lane to a writer, by its address, because somebody says so: at once, however even the writers are. The
// error says why it cannot move; it is ErrUnknown when there is no such lane or writer. A lane that is there already
// stays: moves is false. With try nothing happens.
func (c *Core) Order(now time.Time, id LaneID, address, why string, try bool) (m Move, moves bool, err error) {
	l, to := c.lanes[id], c.byAddr[address]
	switch {
	case l == nil || l.at == nil && !l.open:
		return m, false, fmt.Errorf("lane %s: %w", id, ErrUnknown)
	case to == nil:
		return m, false, fmt.Errorf("writer %s: %w", address, ErrUnknown)
	case l.moving:
		return m, false, fmt.Errorf("lane %s is on its way from %s to %s; wait until it has arrived", id, l.from.name(),
			l.at.name())
	case l.at == to:
		return Move{Lane: id, From: to.Address, To: to.Address}, false, nil
	case to.State != Serving:
		return m, false, fmt.Errorf("writer %s takes no lanes: it is %s (%s)", to.name(), to.State, to.Why)
	case !l.open || l.at == nil:
		return m, false, fmt.Errorf("lane %s is not open: it goes to a writer when it is", id)
	case try:
		return Move{Lane: id, From: l.at.Address, To: to.Address}, true, nil
	}
	return c.move(now, l, to, why), true, nil
}

// Settle has lanes move until they are even within a lane.
func (c *Core) Settle(now time.Time) { c.settling, c.settleFrom = true, now }
