package writers

import (
	"cmp"
	"fmt"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/placement"
)

// Names are the writers that are known, by name and by address.
func (f *Fleet) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for address, p := range f.peers {
		out = append(out, address)
		if p.name != "" {
			out = append(out, p.name)
		}
	}
	return out
}

// Address is that of a writer by its name or address; empty when none is known by it.
func (f *Fleet) Address(writer string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for address, p := range f.peers {
		if address == writer || p.name == writer {
			return address
		}
	}
	return ""
}

// Move sends a lane of this ingest to a writer, named by its address, for a reason. The error says why not; it is
// placement.ErrUnknown when the lane or the writer is not known. moves is false when the lane is there already. With
// try nothing happens.
func (f *Fleet) Move(
	topic string, partition int32, address, why string, try bool,
) (from, to string, moves bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := placement.LaneID{Topic: topic, Partition: partition}
	if f.seats[id] == nil {
		return "", "", false, fmt.Errorf("lane %s: %w", id, placement.ErrUnknown)
	}
	m, moves, err := f.core.Order(time.Now(), id, address, why, try)
	if err != nil {
		return "", "", false, err
	}
	if moves && !try {
		f.order(m)
	}
	return f.called(m.From), f.called(m.To), moves, nil
}

// called is the name of a writer, or its address while that is not known. f.mu is held.
func (f *Fleet) called(address string) string {
	if p := f.peers[address]; p != nil {
		return cmp.Or(p.name, address)
	}
	return address
}

// Settle has lanes move until they are even within a lane.
func (f *Fleet) Settle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.core.Settle(time.Now())
	select {
	case f.hasten <- struct{}{}:
	default: // it is on its way
	}
}
