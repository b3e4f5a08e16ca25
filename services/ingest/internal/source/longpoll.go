package source

import "time"

// The bounds of a long poll, and how long it is for each partition that is asked for.
const (
	shortPoll = 100 * time.Millisecond
	longest   = time.Second
	pollEach  = 1200 * time.Microsecond
)

// longPoll is how long a broker may wait for the first record before it responds to a fetch of so many readers, some of
// which want nothing now. Each fetch names all partitions, so thousands of them at rest are asked for less often; a
// record comes at once however long the poll. What waits for the next fetch is a reader that comes, or has room
// again: so the poll is short while any is full.
func longPoll(readers, full int) time.Duration {
	if full > 0 {
		return shortPoll
	}
	return min(max(shortPoll, time.Duration(readers)*pollEach), longest)
}
