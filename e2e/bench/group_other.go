//go:build !linux

package bench

import (
	"errors"
	"fmt"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// errGroup: what a program and all that it has started use is read as Linux reports it.
var errGroup = fmt.Errorf("bench peer reads what programs use from /proc, as Linux has it: %w", errors.ErrUnsupported)

func groupTime([]*stack.Process) (time.Duration, error) { return 0, errGroup }

func groupPeak([]*stack.Process) (float64, error) { return 0, errGroup }
