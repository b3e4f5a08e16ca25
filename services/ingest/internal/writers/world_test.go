package writers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	v3orcaservice "github.com/cncf/xds/go/xds/service/orca/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/resolver"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/placement"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host is a process at an address.
type host struct {
	v3orcaservice.UnimplementedOpenRcaServiceServer
	lanev1.UnimplementedLaneServiceServer

	address   string
	conns     chan net.Conn
	closed    chan struct{}
	server    *grpc.Server
	health    *health.Server
	mute      atomic.Bool  // reports nothing
	responses atomic.Int64 // how much of its time it says is BigQuery's, in percent
	calls     atomic.Int64
	served    chan struct{}
}

func (h *host) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}
func (h *host) Close() error   { close(h.closed); return nil }
func (h *host) Addr() net.Addr { return &net.UnixAddr{Name: h.address, Net: "pipe"} }

// Lane counts the call and keeps it until ingest ends it.
func (h *host) Lane(stream grpc.BidiStreamingServer[lanev1.LaneRequest, lanev1.LaneResponse]) error {
	h.calls.Add(1)
	for {
		if _, err := stream.Recv(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

func (h *host) StreamCoreMetrics(
	r *v3orcaservice.OrcaLoadReportRequest, stream grpc.ServerStreamingServer[v3orcapb.OrcaLoadReport],
) error {
	for {
		if !h.mute.Load() {
			if err := stream.Send(&v3orcapb.OrcaLoadReport{
				CpuUtilization: 0.25, Utilization: map[string]float64{"answers": float64(h.responses.Load()) / 100},
				NamedMetrics: map[string]float64{"lanes": float64(h.calls.Load())},
			}); err != nil {
				return err
			}
		}
		select {
		case <-time.After(r.GetReportInterval().AsDuration()):
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// world is hosts, what the name resolves to, and the lanes of one ingest.
type world struct {
	t     *testing.T
	fleet *Fleet
	names *list

	mu      sync.Mutex
	hosts   map[string]*host
	carried []lane.Carried
	dials   map[string]int
	// silent addresses swallow connections until somebody starts there.
	silent map[string]chan struct{}
}

// list is a resolver that says what the test says, and otherwise behaves as gRPC's for DNS does: it responds when
// asked, and after an error it is deaf for minutes.
type list struct {
	mu        sync.Mutex
	addresses []string
	err       error
	made      int
	requested int
}

func (*list) Scheme() string { return "list" }

func (l *list) Build(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	l.mu.Lock()
	l.made++
	l.mu.Unlock()
	a := &asker{list: l, cc: cc, now: make(chan struct{}, 1), end: make(chan struct{})}
	a.now <- struct{}{}
	a.running.Go(a.run)
	return a, nil
}

func (l *list) set(err error, addresses ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err, l.addresses = err, slices.Clone(addresses)
}

type asker struct {
	list    *list
	cc      resolver.ClientConn
	now     chan struct{}
	end     chan struct{}
	running sync.WaitGroup
}

func (a *asker) ResolveNow(resolver.ResolveNowOptions) {
	select {
	case a.now <- struct{}{}:
	default:
	}
}
func (a *asker) Close() { close(a.end); a.running.Wait() }

func (a *asker) run() {
	for {
		select {
		case <-a.now:
		case <-a.end:
			return
		}
		a.list.mu.Lock()
		a.list.requested++
		addresses, err := slices.Clone(a.list.addresses), a.list.err
		a.list.mu.Unlock()
		if err == nil {
			var s resolver.State
			for _, address := range addresses {
				s.Endpoints = append(s.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: address}}})
			}
			err = a.cc.UpdateState(s)
		} else {
			a.cc.ReportError(err)
		}
		if err != nil {
			select {
			case <-time.After(2 * time.Minute):
			case <-a.end:
				return
			}
		}
	}
}

// bubble runs a test on a fake clock, with a fleet that runs.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, names: &list{}, hosts: map[string]*host{}, dials: map[string]int{},
			silent: map[string]chan struct{}{},
		}
		fleet, err := New(Config{
			Target: "list:///writers", Resolver: w.names, Ingest: "ingest-1",
			Options: []grpc.DialOption{
				grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(w.dial),
			},
			Lanes: func(into []lane.Carried) []lane.Carried {
				w.mu.Lock()
				defer w.mu.Unlock()
				return append(into, w.carried...)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		w.fleet = fleet
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); fleet.Run(ctx) }()
		f(t, w)
		cancel()
		<-done
		if err := fleet.Close(); err != nil {
			t.Error(err)
		}
		for _, h := range w.hosts {
			h.server.Stop()
			<-h.served
		}
	})
}

var errRefused = errors.New("connection refused")

func (w *world) dial(ctx context.Context, address string) (net.Conn, error) {
	w.mu.Lock()
	h := w.hosts[address]
	w.dials[address]++
	silent := w.silent[address]
	w.mu.Unlock()
	if h == nil && silent != nil {
		select {
		case <-silent:
			w.mu.Lock()
			h = w.hosts[address]
			w.mu.Unlock()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if h == nil {
		return nil, errRefused
	}
	ours, theirs := net.Pipe()
	select {
	case h.conns <- theirs:
		return ours, nil
	case <-h.closed:
		return nil, errRefused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// start starts a writer, or something else at its address.
func (w *world) start(address string, writer bool) {
	w.serve(address, func(h *host) {
		if writer {
			lanev1.RegisterLaneServiceServer(h.server, h)
			v3orcaservice.RegisterOpenRcaServiceServer(h.server, h)
			h.isWell(lanev1.LaneService_ServiceDesc.ServiceName)
		}
	})
}

// isWell has the host say that a service is well.
func (h *host) isWell(service string) {
	h.health = health.NewServer()
	h.health.SetServingStatus(service, healthv1.HealthCheckResponse_SERVING)
	healthv1.RegisterHealthServer(h.server, h.health)
}

// serve starts a host with what the test registers.
func (w *world) serve(address string, register func(h *host)) {
	h := &host{
		address: address, conns: make(chan net.Conn), closed: make(chan struct{}), server: grpc.NewServer(),
		served: make(chan struct{}),
	}
	register(h)
	go func() { defer close(h.served); _ = h.server.Serve(h) }()
	w.mu.Lock()
	w.hosts[address] = h
	if silent := w.silent[address]; silent != nil {
		close(silent)
		delete(w.silent, address)
	}
	w.mu.Unlock()
}

// startFirst makes addresses of writers, starts the first n of them, lists those, and waits until they serve.
func (w *world) startFirst(n, of int) []string {
	w.t.Helper()
	all := addresses(of)
	for _, a := range all[:n] {
		w.start(a, true)
	}
	w.names.set(nil, all[:n]...)
	w.awaitServing(n)
	return all
}

// silence makes an address one that does not respond.
func (w *world) silence(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent[address] = make(chan struct{})
}

// host is what is at an address.
func (w *world) host(address string) *host {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hosts[address]
}

// serving is how many writers take lanes.
func (w *world) serving() int {
	w.fleet.mu.Lock()
	defer w.fleet.mu.Unlock()
	return w.fleet.core.Serving()
}

// awaitServing waits until n writers take lanes.
func (w *world) awaitServing(n int) {
	w.t.Helper()
	w.await(fmt.Sprintf("%d writers serve", n), 10*time.Second, func() bool { return w.serving() == n })
}

// kill ends a host at once.
func (w *world) kill(address string) {
	w.mu.Lock()
	h := w.hosts[address]
	delete(w.hosts, address)
	w.mu.Unlock()
	h.server.Stop()
	<-h.served
}

// place takes a place and opens a call there.
func (w *world) place(partition int32) (*Seat, lanev1.LaneService_LaneClient) {
	w.t.Helper()
	p, err := w.fleet.Place(w.t.Context(), "t", partition, func(string) {})
	if err != nil {
		w.t.Fatal(err)
	}
	seat := p.(*Seat)
	stream, err := lanev1.NewLaneServiceClient(w.fleet.Conn()).Lane(seat.Bind(w.t.Context(), func() {}))
	if err != nil {
		w.t.Fatal(err)
	}
	w.show(partition)
	return seat, stream
}

// places takes many.
func (w *world) places(n int) []*Seat {
	w.t.Helper()
	var seats []*Seat
	for i := range n {
		s, _ := w.place(int32(i))
		seats = append(seats, s)
	}
	synctest.Wait()
	return seats
}

// show has a lane say that it is open.
func (w *world) show(partition int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.ContainsFunc(w.carried, func(c lane.Carried) bool { return c.Partition == partition }) {
		w.carried = append(w.carried, lane.Carried{Topic: "t", Partition: partition, Open: true})
	}
}

// writer is what the picture says of one.
func (w *world) writer(address string) placement.WriterPicture {
	for _, p := range w.fleet.Picture().Writers {
		if p.Address == address {
			return p
		}
	}
	return placement.WriterPicture{}
}

func (w *world) await(what string, within time.Duration, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(within); !ok(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("not within %v: %s; %s", within, what, describe(w.fleet.Picture()))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func describe(p Picture) string {
	text := p.Problem
	for _, w := range p.Writers {
		text += fmt.Sprintf("; %s %s (%s) %d lanes", w.Address, w.State, w.Why, w.Lanes)
	}
	return text
}
