package writer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	orcav3 "github.com/cncf/xds/go/xds/data/orca/v3"
	orcaservicev3 "github.com/cncf/xds/go/xds/service/orca/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// listener is an ingest that listens to reports.
type listener struct {
	grpc.ServerStream

	ctx     context.Context
	reports []*orcav3.OrcaLoadReport
	at      []time.Time
}

func (l *listener) Context() context.Context { return l.ctx }
func (l *listener) Send(r *orcav3.OrcaLoadReport) error {
	l.reports, l.at = append(l.reports, r), append(l.at, time.Now())
	return nil
}

// The first report comes at once and the others at the interval of the request, four times a second at most: who
// listens sees a writer hang by their absence.
func TestReportsOfLoadComeAsOftenAsRequested(t *testing.T) {
	for interval, want := range map[time.Duration]time.Duration{
		time.Second: time.Second, time.Millisecond: reportsApart, 0: reportsUsual,
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLoad(&lane.Service{}, lane.NewBudget(100), nil)
			ctx, cancel := context.WithTimeoutCause(t.Context(), 10*want+want/2, errors.New("over"))
			defer cancel()
			to := &listener{ctx: ctx}
			request := &orcaservicev3.OrcaLoadReportRequest{}
			if interval > 0 {
				request.ReportInterval = durationpb.New(interval)
			}
			began := time.Now()
			if err := l.StreamCoreMetrics(request, to); err == nil {
				t.Error("reports end without the call")
			}
			if len(to.at) != 11 || to.at[0] != began || to.at[10].Sub(began) != 10*want {
				t.Errorf("asked for one every %v: %d reports, the last after %v", interval, len(to.at),
					to.at[len(to.at)-1].Sub(began))
			}
			for _, name := range []string{"lanes", "bytes_per_second"} {
				if _, ok := to.reports[0].GetNamedMetrics()[name]; !ok {
					t.Errorf("no %s in %v", name, to.reports[0])
				}
			}
		})
	}
}
