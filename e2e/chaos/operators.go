package chaos

import (
	"math/rand/v2"
	"time"
)

// operators plans what operators do in a storm, beside all else and by a die of their own, so that the other
// disturbances of a seed stay what they are: an act every second or two, and replays of a topic that are killed and
// begun again. All of it is over two seconds after the storm.
func (p *planner) operators(at, end time.Duration) {
	if p.acts == nil {
		p.acts = rand.New(rand.NewPCG(uint64(end), p.seed))
	}
	between := func(low, high time.Duration) time.Duration {
		return (low + time.Duration(p.acts.Int64N(int64(high-low)))).Round(10 * time.Millisecond)
	}
	left := func(now time.Duration) time.Duration { return end - now + 2*time.Second }
	kinds := []Kind{PauseLanes, MoveLane, MoveLane, Reload, SkipRecord, SkipRecord}
	for now := at + between(0, time.Second); now < end; now += between(time.Second, 2500*time.Millisecond) {
		p.plan = append(p.plan, Disturbance{
			At: now, Kind: kinds[p.acts.IntN(len(kinds))], For: min(between(time.Second, 3*time.Second), left(now)),
			Target: p.acts.IntN(len(topics)), Times: p.acts.IntN(1 << 10),
		})
	}
	for now := at + between(0, 2*time.Second); now < end; {
		length := min(between(2*time.Second, 6*time.Second), left(now))
		p.plan = append(p.plan, Disturbance{At: now, Kind: ReplayTopic, For: length})
		now += length + between(100*time.Millisecond, time.Second)
	}
}
