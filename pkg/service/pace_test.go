package service

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// seen is a context as gRPC shows it for a call of a connection.
func seen(t *testing.T, from net.Addr) context.Context {
	t.Helper()
	return peer.NewContext(t.Context(), &peer.Peer{Addr: from})
}

func hostAt(a, b byte, port int) net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, a, b), Port: port} }

// Who begins calls too often is refused, and others are not; what is remembered of hosts is bounded.
func TestCallsBeginAtAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace()
		p.second = 1
		from := func(a, b byte, port int) error {
			_, err := p.begin(seen(t, hostAt(a, b, port)), nil)
			return err
		}
		refused := 0
		for i := range CallsOfConnection + 100 {
			if err := from(0, 1, i); err != nil {
				if refused++; status.Code(err) != codes.Unavailable {
					t.Fatal(err)
				}
			}
		}
		if refused < 90 || refused > 100 {
			t.Errorf("%d of %d were refused", refused, CallsOfConnection+100)
		}
		if err := from(0, 2, 1); err != nil {
			t.Errorf("another host: %v", err)
		}
		for i := range 2 * pacedHosts {
			_ = from(byte(i>>8), byte(i), 1) // what is remembered counts
		}
		if len(p.hosts) > pacedHosts {
			t.Errorf("%d hosts are remembered", len(p.hosts))
		}
	})
}

// All lanes of a connection may open at once: none is refused. They are looked at a few at a time, so that others are
// served in between, and none waits longer than that takes. Those of another host do not wait for them.
func TestAllLanesOfAConnectionOpenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace()
		began, together, most := time.Now(), 0, 0
		for i := range CallsOfConnection {
			before := time.Now()
			if _, err := p.begin(seen(t, hostAt(0, 1, 1)), nil); err != nil {
				t.Fatalf("call %d: %v", i, err)
			}
			if together++; time.Since(before) > 0 {
				together = 1
			}
			most = max(most, together)
		}
		if most > togetherAtMost+10 {
			t.Errorf("%d were looked at without a pause", most)
		}
		if took := time.Since(began); took > CallsOfConnection*time.Second/callsEvenly {
			t.Errorf("it took %v", took)
		}
		began = time.Now()
		if _, err := p.begin(seen(t, hostAt(0, 2, 1)), nil); err != nil || time.Since(began) > 0 {
			t.Errorf("another host waits for %v: %v", time.Since(began), err)
		}
	})
}

// addressed is a connection that has an address.
type addressed struct {
	net.Conn
	from net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.from }

// A client that goes on when its calls are refused loses its connection, and its host may not connect for a second. The
// connection of another client of that host, which minds what it is told, lasts, and so do those of other hosts. A host
// whose calls are refused now and then keeps its connections for good.
func TestWhoGoesOnLosesItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &pipes{make(chan net.Conn), make(chan struct{})}
		p := NewPace()
		p.second = 1
		p.even = rate.Inf // no time passes but what the test says
		l := p.Listen(inner)
		accepted := make(chan net.Conn)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					close(accepted)
					return
				}
				accepted <- c
			}
		}()
		// connect returns a connection of a host as the server has it, nil when it was turned away, and whether the
		// client still has it.
		connect := func(host byte, port int) (net.Conn, func() bool) {
			ours, theirs := net.Pipe()
			t.Cleanup(func() { _ = ours.Close() })
			ended := false
			go func() {
				_, _ = ours.Read(make([]byte, 1)) // returns when the server closes it
				ended = true
			}()
			inner.conns <- addressed{theirs, hostAt(0, host, port)}
			synctest.Wait()
			last := func() bool {
				synctest.Wait()
				return !ended
			}
			select {
			case c := <-accepted:
				return c, last
			default:
				return nil, last
			}
		}
		// calls begins so many calls, and returns how many were refused.
		calls := func(c net.Conn, n int) (refused int) {
			for range n {
				if _, err := p.begin(seen(t, c.RemoteAddr()), nil); err != nil {
					refused++
				}
			}
			return refused
		}
		hostile, lasts := connect(1, 1)
		honest, stays := connect(1, 2)
		other, remains := connect(2, 1)
		if got := hostile.RemoteAddr().String(); got != "10.0.0.1:1" {
			t.Errorf("its address is %s", got)
		}

		if n := calls(hostile, CallsOfConnection+refusalsAtOnce); n != refusalsAtOnce || !lasts() {
			t.Fatalf("%d were refused, the connection lasts: %v", n, lasts())
		}
		if n := calls(honest, 1); n != 1 || !stays() {
			t.Fatalf("%d were refused, the connection lasts: %v", n, stays())
		}
		if n := calls(hostile, 1); n != 1 || lasts() {
			t.Fatalf("%d were refused, the connection lasts: %v", n, lasts())
		}
		if c, _ := connect(1, 3); c != nil {
			t.Error("its host connects again at once")
		}
		if c, stays := connect(2, 2); c == nil || !stays() {
			t.Error("another host does not connect")
		}
		if n := calls(honest, refusalsOfOne-1); n != refusalsOfOne-1 || !stays() {
			t.Errorf("%d were refused, the connection lasts: %v", n, stays())
		}
		time.Sleep(shutOut + time.Millisecond)
		again, lasts := connect(1, 4)
		if again == nil {
			t.Fatal("its host does not connect after a second")
		}
		for range 10 { // as often as a host may be refused
			time.Sleep(time.Second)
			if n := calls(again, refusalsASecond); n < refusalsASecond-10 || !lasts() {
				t.Fatalf("%d were refused, the connection lasts: %v", n, lasts())
			}
		}
		if calls(other, 1) != 0 || !remains() {
			t.Error("another host's connection is refused or closed")
		}
		_ = inner.Close() // it returns nil
		<-accepted
	})
}

// An ingest that opens 5,000 lanes anew, all at once over one connection, as after a writer's restart, gets every one.
func TestThousandsOfLanesOpenAnew(t *testing.T) {
	p := NewPace()
	server := grpc.NewServer(p.Option(), grpc.MaxConcurrentStreams(CallsOfConnection))
	healthv1.RegisterHealthServer(server, health.NewServer())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(p.Listen(listener)) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var open sync.WaitGroup
	var opened atomic.Int64
	for range 5000 {
		open.Go(func() {
			stream, err := healthv1.NewHealthClient(conn).Watch(ctx, &healthv1.HealthCheckRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			if err != nil {
				t.Error(err)
				return
			}
			opened.Add(1) // and stays, until the connection ends
		})
	}
	open.Wait()
	if n := opened.Load(); n != 5000 {
		t.Errorf("%d were opened", n)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	server.Stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
