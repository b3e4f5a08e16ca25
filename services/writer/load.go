package writer

import (
	"sync"
	"time"

	orcav3 "github.com/cncf/xds/go/xds/data/orca/v3"
	orcaservicev3 "github.com/cncf/xds/go/xds/service/orca/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/processors"
	"github.com/waybill-data/waybill/pkg/saturation"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

const (
	// reportsApart is the least time between two reports, and reportsUsual that for callers who ask for none.
	reportsApart, reportsUsual = 250 * time.Millisecond, 5 * time.Second
	// ratesOver is the time over which the rate of bytes is taken.
	ratesOver = 2 * time.Second
)

// load tells those who place lanes what this writer carries: xds.service.orca.v3.OpenRcaService, the out-of-band
// reports of gRPC. The service that gRPC brings along reports every 30 seconds at most, which is too seldom to see a
// writer hang.
//
//	named_metrics.lanes, named_metrics.bytes_per_second    what it carries, of all ingests
//	cpu_utilization, mem_utilization                       shares of its processors and of its budget in use
//	application_utilization                                its saturation
//	utilization.answers                                    how much of the time that batches take is BigQuery's
type load struct {
	orcaservicev3.UnimplementedOpenRcaServiceServer

	lanes  *lane.Service
	budget *lane.Budget
	meter  *saturation.Meter
	// drained says that ingests are to have no lanes here; nil: they may.
	drained func() bool

	mu    sync.Mutex
	at    time.Time
	bytes int64
	rate  float64
	full  time.Duration // lanes waited for their windows, added up
	last  time.Time
}

func newLoad(lanes *lane.Service, budget *lane.Budget, registry prometheus.Registerer) *load {
	l := &load{lanes: lanes, budget: budget}
	l.meter = saturation.New(l.counts, registry)
	return l
}

// counts is what the meter asks for, every second.
func (l *load) counts() saturation.Counts {
	now, carried := time.Now(), l.lanes.Load()
	l.mu.Lock()
	if !l.last.IsZero() {
		l.full += time.Duration(carried.Full) * now.Sub(l.last)
	}
	l.last = now
	full := l.full
	l.mu.Unlock()
	used, _ := processors.Used() // where it is not known it is 0, and never the cause
	return saturation.Counts{
		Processor: used, Processors: processors.Count(), Budget: l.budget.Waited(), Window: full, Lanes: carried.Busy,
		Settling: carried.Settling, Responding: carried.Responding,
	}
}

// report is what is carried now.
func (l *load) report() *orcav3.OrcaLoadReport {
	carried, shares := l.lanes.Load(), l.meter.Shares()
	saturated, _ := shares.Of()
	drained := 0.
	if l.drained != nil && l.drained() {
		drained = 1
	}
	return &orcav3.OrcaLoadReport{
		CpuUtilization:         shares.Processor,
		MemUtilization:         min(1, max(0, float64(l.budget.Used())/float64(max(l.budget.Limit(), 1)))),
		ApplicationUtilization: saturated,
		Utilization:            map[string]float64{"answers": shares.Responding},
		NamedMetrics: map[string]float64{
			"lanes": float64(carried.Lanes), "bytes_per_second": l.bytesRate(carried.Bytes),
			"drained": drained,
		},
	}
}

// bytesRate is bytes a second, renewed as often as it says something.
func (l *load) bytesRate(bytes int64) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.at.IsZero() {
		l.at, l.bytes = now, bytes
	}
	if elapsed := now.Sub(l.at); elapsed >= ratesOver {
		l.rate = float64(bytes-l.bytes) / elapsed.Seconds()
		l.at, l.bytes = now, bytes
	}
	return l.rate
}

// StreamCoreMetrics implements OpenRcaService: a report at once, and then at the interval of the request.
func (l *load) StreamCoreMetrics(
	r *orcaservicev3.OrcaLoadReportRequest, stream grpc.ServerStreamingServer[orcav3.OrcaLoadReport],
) error {
	apart := reportsUsual
	if interval := r.GetReportInterval(); interval != nil {
		apart = max(interval.AsDuration(), reportsApart)
	}
	ticker := time.NewTicker(apart)
	defer ticker.Stop()
	for {
		if err := stream.Send(l.report()); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}
