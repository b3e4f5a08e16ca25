package writers

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/endpointsharding"
	"google.golang.org/grpc/balancer/pickfirst"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	_ "google.golang.org/grpc/health" // watches the health of each writer
	"google.golang.org/grpc/orca"
	"google.golang.org/grpc/status"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// policy is the name of the load-balancing policy.
const policy = "waybill_placement"

// serviceConfig asks the health service for the very service that lanes need: a host that is no writer does not have
// it.
var serviceConfig = fmt.Sprintf(`{"loadBalancingConfig": [{%q: {}}], "healthCheckConfig": {"serviceName": %q}}`,
	policy, lanev1.LaneService_ServiceDesc.ServiceName)

func init() { balancer.Register(builder{}) }

// fleets are those whose connections gRPC makes balancers for, by the target that it makes them for.
var (
	fleets sync.Map
	number atomic.Uint64
)

func register(f *Fleet) string {
	id := strconv.FormatUint(number.Add(1), 10)
	fleets.Store(id, f)
	return id
}

func unregister(id string) { fleets.Delete(id) }

type builder struct{}

func (builder) Name() string { return policy }

func (builder) Build(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	b := &spread{ClientConn: cc, reports: make(map[string]*report)}
	if f, ok := fleets.Load(opts.Target.Endpoint()); ok {
		b.fleet = f.(*Fleet)
	}
	b.Balancer = endpointsharding.NewBalancer(b, opts, balancer.Get(pickfirst.Name).Build, endpointsharding.Options{})
	return b
}

// spread is the balancer: endpointsharding and pick_first make and keep the connections, one a writer; it names them.
// gRPC calls UpdateState for one change at a time.
type spread struct {
	balancer.Balancer
	balancer.ClientConn
	fleet   *Fleet
	reports map[string]*report
}

// UpdateClientConnState has the children watch the health service.
func (b *spread) UpdateClientConnState(s balancer.ClientConnState) error {
	s.ResolverState = pickfirst.EnableHealthListener(s.ResolverState)
	return b.Balancer.UpdateClientConnState(s)
}

// UpdateSubConnState is not used any more, and both embedded types have it.
func (b *spread) UpdateSubConnState(balancer.SubConn, balancer.SubConnState) {}

// UpdateState takes what the children are, and makes the next picker.
func (b *spread) UpdateState(s balancer.State) {
	p := picker{ready: make(map[string]balancer.Picker), any: s.Picker}
	links := make(map[string]link)
	for _, child := range endpointsharding.ChildStatesFromPicker(s.Picker) {
		if len(child.Endpoint.Addresses) == 0 {
			continue
		}
		address := child.Endpoint.Addresses[0].Addr
		l := link{state: child.State.ConnectivityState}
		switch l.state {
		case connectivity.Ready:
			p.ready[address] = child.State.Picker
		case connectivity.TransientFailure:
			_, l.err = child.State.Picker.Pick(balancer.PickInfo{Ctx: context.Background()})
		}
		links[address] = l
	}
	b.watch(p.ready)
	if b.fleet != nil {
		b.fleet.linked(links)
	}
	s.Picker = p
	b.ClientConn.UpdateState(s)
}

// Close ends the reports too.
func (b *spread) Close() {
	b.Balancer.Close()
	b.watch(nil)
}

// link is a connection to a writer.
type link struct {
	state connectivity.State
	err   error
}

// why says why there is no use in the connection. gRPC tells what the health service said by the end of a text alone.
func (l *link) why() string {
	text := l.err.Error()
	switch {
	case strings.HasSuffix(text, "status=SERVICE_UNKNOWN"):
		return fmt.Sprintf("it does not know %s: it is no writer, or one of another version",
			lanev1.LaneService_ServiceDesc.ServiceName)
	case strings.HasSuffix(text, "status=NOT_SERVING"):
		return "it responds and takes no lanes any more: it is about to end"
	}
	return text
}

// watch asks the writers that are ready for reports, once a connection.
func (b *spread) watch(ready map[string]balancer.Picker) {
	for address, r := range b.reports {
		if _, ok := ready[address]; !ok {
			r.stop()
			delete(b.reports, address)
		}
	}
	if b.fleet == nil {
		return
	}
	for address, p := range ready {
		result, err := p.Pick(balancer.PickInfo{Ctx: context.Background()})
		if err != nil {
			continue
		}
		if r := b.reports[address]; r != nil {
			if r.conn == result.SubConn {
				continue
			}
			r.stop()
		}
		r := &report{fleet: b.fleet, address: address, conn: result.SubConn}
		r.stop = orca.RegisterOOBListener(result.SubConn, r, orca.OOBListenerOptions{ReportInterval: reportEvery})
		b.reports[address] = r
	}
}

// report takes the reports of one connection.
type report struct {
	fleet   *Fleet
	address string
	conn    balancer.SubConn
	stop    func()
}

// OnLoadReport implements orca.OOBListener.
func (r *report) OnLoadReport(load *v3orcapb.OrcaLoadReport) { r.fleet.reported(r.address, load) }

// picker takes the writer that the call names.
type picker struct {
	ready map[string]balancer.Picker
	any   balancer.Picker
}

func (p picker) Pick(info balancer.PickInfo) (balancer.PickResult, error) {
	address, ok := info.Ctx.Value(writerKey{}).(string)
	if !ok {
		return p.any.Pick(info)
	}
	if one := p.ready[address]; one != nil {
		return one.Pick(info)
	}
	// At once, also for calls that wait: another writer may be there.
	return balancer.PickResult{}, status.Errorf(codes.Unavailable, "writer %s does not serve any more", address)
}

type writerKey struct{}

// at names the writer that calls with this context go to.
func at(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, writerKey{}, address)
}
