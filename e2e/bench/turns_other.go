//go:build !linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// errTurns: how processes are stopped, bound to processors and timed is Linux's alone.
var errTurns = fmt.Errorf("bench cores stops processes, binds them to processors and reads "+
	"their clocks as Linux does: %w", errors.ErrUnsupported)

type turns struct {
	services           []int
	sandbox            int
	slice              time.Duration
	ran, count, rested atomic.Int64
}

func (t *turns) run(context.Context) error { return errTurns }

const ownPid = 0

func processorTime(int) (time.Duration, error) { return 0, errTurns }

func bind(int, []int) error { return errTurns }

func machineBusy() (time.Duration, error) { return 0, errTurns }
