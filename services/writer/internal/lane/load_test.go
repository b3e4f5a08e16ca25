package lane

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// loaded is a service with lanes of which nothing but their windows is known.
func loaded(limits Limits, windows ...Status) *Service {
	s := &Service{Sink: &odd{}, Limits: limits}
	s.init()
	for _, w := range windows {
		l := &lane{service: s}
		l.status.now = w
		s.lanes[l] = struct{}{}
	}
	return s
}

// A lane is busy while batches of it are under way, and full once ingest may send no more of them or no more bytes.
func TestLoadCountsBusyAndFullLanes(t *testing.T) {
	limits := Limits{WindowBatches: 4, WindowBytes: 100}
	for name, test := range map[string]struct {
		windows           []Status
		lanes, busy, full int
	}{
		"no lane":            {nil, 0, 0, 0},
		"an idle lane":       {[]Status{{}}, 1, 0, 0},
		"one batch":          {[]Status{{Window: 1, Bytes: 10}}, 1, 1, 0},
		"almost all batches": {[]Status{{Window: 3, Bytes: 99}}, 1, 1, 0},
		"all batches":        {[]Status{{Window: 4, Bytes: 10}}, 1, 1, 1},
		"all bytes":          {[]Status{{Window: 1, Bytes: 100}}, 1, 1, 1},
		"one of each kind":   {[]Status{{}, {Window: 2, Bytes: 9}, {Window: 4, Bytes: 100}}, 3, 2, 1},
	} {
		got := loaded(limits, test.windows...).Load()
		if got.Lanes != test.lanes || got.Busy != test.busy || got.Full != test.full {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Settling is the time since a batch was received, Responding the part of it that BigQuery took; a batch that only
// moves the position waits for no response.
func TestLoadCountsWhatIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UnixNano()
		l := bare(t, 2,
			&batch{sequence: 1, end: 1, bytes: 100, received: now, launched: now + int64(time.Second)},
			&batch{sequence: 2, end: 2, bytes: 10, received: now})
		h := &recorder{}
		l.stream, l.bytes = h, 110
		time.Sleep(3 * time.Second)
		if _, err := l.settle(); err != nil {
			t.Fatal(err)
		}
		if got := l.service.Load(); got.Bytes != 110 || got.Settling != 6*time.Second ||
			got.Responding != 2*time.Second {
			t.Errorf("%+v", got)
		}
		m := l.service.Metrics
		if batches, bytes := testutil.ToFloat64(m.batches), testutil.ToFloat64(m.bytes); batches != 2 || bytes != 110 {
			t.Errorf("%v batches of %v bytes are counted", batches, bytes)
		}
	})
}

// Who asks for it knows at any moment how many lanes there are.
func TestLiveIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var live atomic.Int64
		w := startWriter(t, &Service{Sink: &odd{}, Live: &live})
		defer w.stop()
		first, _ := openLane(t, w, atLeastOnce)
		openLane(t, w, atLeastOnce)
		if n := live.Load(); n != 2 {
			t.Errorf("%d lanes live", n)
		}
		if err := first.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if synctest.Wait(); live.Load() != 1 {
			t.Errorf("%d lanes live", live.Load())
		}
	})
}
