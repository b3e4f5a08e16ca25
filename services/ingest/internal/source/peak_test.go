//go:build !race

// The race detector takes memory of its own.

package source

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
)

// peakVariable makes the test's program the process that is measured.
const peakVariable = "WAYBILL_TEST_PEAK"

// However far what a few fetches brought inflates, 1.4 GiB here, the process stays within a small multiple of the
// budget: it is at most once inflated, once compressed, and once between buffers and the collector.
func TestMemoryOfInflatedRecords(t *testing.T) {
	const budget, lanes, batches, size = 32 << 20, 60, 3, 8 << 20
	if os.Getenv(peakVariable) == "" {
		// The collector may be late on a machine that is busy with something else: the least of three peaks counts.
		var peak int64
		for range 3 {
			peer := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMemoryOfInflatedRecords$", "-test.v")
			peer.Env = append(os.Environ(), peakVariable+"=1")
			out, err := peer.CombinedOutput()
			_, after, _ := strings.Cut(string(out), "peak ")
			if _, scanned := fmt.Sscan(after, &peak); err != nil || scanned != nil {
				t.Fatalf("%v, %v\n%s", err, scanned, out)
			}
			t.Logf("%d MiB at most, of %d MiB that were inflated", peak>>20, lanes*batches*size>>20)
			if peak <= 4*budget+64<<20 {
				return
			}
		}
		t.Errorf("%d MiB, more than four budgets", peak>>20)
		return
	}
	debug.SetMemoryLimit(3 * budget)
	p, _ := newPrefetch(budget, 1<<20, 1000, lanes)
	first := reply(hollow(0, size))
	log := reply()
	for i := range int64(batches) {
		one := first.raw
		log.raw = append(log.raw, one...)
		binary.BigEndian.PutUint64(log.raw[len(log.raw)-len(one):], uint64(i)) // which no checksum covers
	}
	var running sync.WaitGroup
	for range lanes {
		r := loneReader(t)
		r.budget, r.offset = p, 0
		if err := r.take(log.part()); err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			defer r.Close()
			for left := batches; left > 0; {
				left -= takenApart(t, r)
			}
		})
	}
	running.Wait()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("the peak of the process is in /proc")
	}
	var peak int64
	if _, after, ok := strings.Cut(string(status), "VmHWM:"); ok {
		_, _ = fmt.Sscan(after, &peak) // kB
	}
	fmt.Printf("peak %d\n", peak<<10)
}
