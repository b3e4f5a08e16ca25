// Package memory learns how much memory the container leaves to the process, and sets Go's memory manager and the
// budget of the lanes by it.
//
//	budget := memory.Budget()         // where the configuration says nothing
//	memory.Apply(budget)              // before the work begins
//	memory.Follow(ctx, budget, lanes) // while it goes on
//
// Processors are package processors' business.
package memory

import (
	"math"
	"os"
	"runtime/debug"
	"sync"
)

const (
	// defaultBudget is that of a process without a limit, in bytes.
	defaultBudget = 64 << 20
	// base is what a process takes beside what is counted in its budget, and beside its lanes: code and connections.
	base = 64 << 20
	// largestBudget bounds what follows from a limit. More than this only makes the collector's rounds longer.
	largestBudget = 512 << 20
	// smallestBudget lets a few lanes work however small the container is.
	smallestBudget = 32 << 20
)

// Limit is the memory limit of the process's container in bytes, from its control group and those around it; false
// without one. It is read once.
var Limit = sync.OnceValues(func() (int64, bool) { return limit(os.DirFS("/")) })

// Budget is how many bytes of records and rows to hold at most where nobody says: a quarter of the container's limit,
// within 32 and 512 MiB, and defaultBudget without a limit.
func Budget() int64 { return budget(Limit()) }

func budget(limit int64, ok bool) int64 {
	if !ok {
		return defaultBudget
	}
	return min(max(limit/4, smallestBudget), largestBudget)
}

// Apply sets Go's soft memory limit, unless the environment does by GOMEMLIMIT: twice the budget, for what lanes hold
// and for the collector to fall behind, and 64 MiB for everything else, beside the lanes that Follow counts; at most
// seven eighths of the container's limit. Near it the collector works harder; nothing fails.
func Apply(budget int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(soft(budget, 0, Limit))
	}
}

// TooLarge says whether a process with a budget and so many lanes takes more than its container has: need and limit
// are bytes.
func TooLarge(budget int64, lanes int) (need, limit int64, tooLarge bool) {
	return tooMuch(budget, lanes, Limit)
}

func tooMuch(budget int64, lanes int, limit func() (int64, bool)) (need, most int64, tooLarge bool) {
	most, ok := limit()
	need = 2*min(budget, math.MaxInt64/4) + base + int64(lanes)*perLane
	return need, most, ok && need > most
}

func soft(budget int64, lanes int, limit func() (int64, bool)) int64 {
	bytes := 2*budget + base + int64(lanes)*perLane
	if l, ok := limit(); ok {
		bytes = min(bytes, l/8*7)
	}
	return bytes
}
