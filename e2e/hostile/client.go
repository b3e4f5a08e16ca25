package hostile

import (
	"context"
	"fmt"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// Attack is one of the attacks, by its number from 1 on, at a writer's gRPC port until ctx ends. An attack that the
// writer turns away is no error.
func Attack(ctx context.Context, number int, address string) error {
	if number < 1 || number > len(attacks) {
		return unknown(number)
	}
	attacks[number-1].run(ctx, address)
	return nil
}

func unknown(number int) error {
	return fmt.Errorf("attack %d: there are 1 to %d", number, len(attacks))
}

// Burn keeps so many processors busy until ctx ends, and attacks nobody.
func Burn(ctx context.Context, processors float64) {
	const period = 10 * time.Millisecond
	whole := int(processors) + 1
	busy := time.Duration(processors / float64(whole) * float64(period))
	each(whole, func(int) {
		for ctx.Err() == nil {
			for end := time.Now().Add(busy); time.Now().Before(end); {
				continue
			}
			_ = stack.Pause(ctx, period-busy) // the loop looks
		}
	})
}
