package lane

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
)

// Calls that end before they are lanes are counted one by one, and logged as one line with how many more there were.
func TestCallsThatAreNoLanesAreNotLoggedOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Log
		s := &Service{Sink: &odd{}, Metrics: NewMetrics(nil), Log: log.Logger()}
		s.init()
		ends := func() {
			l := &lane{service: s, log: s.Log}
			if err := l.logEnd(status.Error(codes.Canceled, "gone")); status.Code(err) != codes.Canceled {
				t.Errorf("got %v", err)
			}
		}
		for range 1000 {
			ends()
		}
		time.Sleep(time.Minute)
		ends()
		const line = "a call ended before it was opened"
		if n := log.Count(line); n != 2 {
			t.Errorf("%d lines", n)
		}
		if n := testutil.ToFloat64(s.Metrics.ends.WithLabelValues("Canceled")); n != 1001 {
			t.Errorf("%v were counted", n)
		}
		if log.Count("others_since_last=999") != 1 {
			t.Errorf("the second line does not count the others: %s", log.String())
		}
	})
}

// A fault of the writer's own is no stranger's call: it is an error, however little of the lane there was, and each is
// told.
func TestFaultsBeforeTheOpeningAreErrors(t *testing.T) {
	var log logtest.Log
	s := &Service{Sink: &odd{}, Log: log.Logger()}
	s.init()
	for range 3 {
		l := &lane{service: s, log: s.Log, ctx: t.Context()}
		if err := l.logEnd(status.Error(codes.Internal, "a fault")); status.Code(err) != codes.Internal {
			t.Errorf("got %v", err)
		}
	}
	if n := len(log.At(slog.LevelError, "lane ended")); n != 3 {
		t.Errorf("%d lines: %s", n, log.String())
	}
}
