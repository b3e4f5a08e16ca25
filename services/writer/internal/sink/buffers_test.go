package sink

import (
	"sync/atomic"
	"testing"
	"time"
)

// countingPool counts the buffers that are out.
type countingPool struct{ out atomic.Int64 }

func (p *countingPool) Get(n int) *[]byte { p.out.Add(1); b := make([]byte, n); return &b }
func (p *countingPool) Put(*[]byte)       { p.out.Add(-1) }

// waitFor polls what happens in gRPC's own time.
func waitFor(t *testing.T, done func() bool, otherwise string) {
	t.Helper()
	for ctx := deadline(t); !done(); time.Sleep(time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatal(otherwise)
		}
	}
}
