package source

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/pkg/mutant"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// admit lets the claim of a partition commit in the generation that there is.
func (c *committer) admit(tp topicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.retired, tp)
}

// retire ends what the claim of a partition commits: nothing of it is sent from here on, neither what waits nor, in
// another generation, what is on its way. Its lane gets the reason.
func (c *committer) retire(tp topicPartition, why error) {
	if mutant.Retired { // what the claim has handed over is still sent, in whatever generation there is by then
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retired[tp] != nil {
		return
	}
	c.retired[tp] = why
	if p := c.pending[tp]; p != nil {
		delete(c.pending, tp)
		p.resolve(why)
	}
	if p := c.flight[tp]; p != nil {
		p.ended = why
	}
}

// advance goes on in another generation. Claims that may not commit in it have been retired before.
func (c *committer) advance(to member) {
	c.mu.Lock()
	c.member, c.barred, c.last = to, nil, false
	c.mu.Unlock()
	c.poke()
}

// bar sends nothing more in a generation that is over, or must not go on. It returns false when another one is there
// already.
func (c *committer) bar(as member, why error) bool {
	c.mu.Lock()
	if !as.same(c.member) {
		c.mu.Unlock()
		return false
	}
	c.barred = why
	last := c.last
	c.mu.Unlock()
	if last {
		c.abandon(why)
	}
	return true
}

// conclude says that the claims end with this generation: a refusal or a doubt is the last word.
func (c *committer) conclude() {
	c.mu.Lock()
	c.last = true
	why := c.barred
	c.mu.Unlock()
	if why != nil {
		c.abandon(why)
	}
}

// abandon gives up what waits, and ends the claims that it belongs to.
func (c *committer) abandon(why error) {
	why = givenUp(why)
	c.mu.Lock()
	left := c.pending
	c.pending = make(map[topicPartition]*handed)
	for _, p := range left {
		p.resolve(why)
	}
	c.mu.Unlock()
	for _, p := range left {
		p.fenced(why)
	}
}

// impatient asks for another generation when this one is refused and none has come.
func (c *committer) impatient() {
	c.mu.Lock()
	why := c.barred
	c.mu.Unlock()
	if errors.Is(why, sarama.ErrIllegalGeneration) {
		c.confirmed.Store(false)
		c.doubted(why)
	}
}

func (c *committer) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func givenUp(why error) error {
	return fmt.Errorf("%w: this generation is given up: %w", lane.ErrFenced, why)
}
