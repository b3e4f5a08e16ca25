package service

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// A host's connections begin at a pace and none is turned away; those of another do not wait for them. One that is
// closed, or whose listener is, waits no more.
func TestConnectionsBeginAtAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, over := NewPace(), make(chan struct{})
		arrive := func(host byte, port int) *pacedConn {
			ours, theirs := net.Pipe()
			t.Cleanup(func() { _ = ours.Close() })
			from := hostAt(0, host, port)
			return newPacedConn(addressed{theirs, from}, p.host(from), over)
		}
		began := time.Now()
		var first, all sync.WaitGroup
		var mu sync.Mutex
		together := 0
		const many = connectsAtOnce + 2*connectsASecond
		for i := range many {
			first.Add(1)
			all.Go(func() {
				c := arrive(1, i)
				first.Done()
				if !c.await() {
					t.Error("a connection is turned away")
				}
				mu.Lock()
				defer mu.Unlock()
				if time.Since(began) < time.Second/connectsASecond {
					together++
				}
			})
		}
		first.Wait()
		if c := arrive(2, 1); !c.await() || time.Since(began) > 0 {
			t.Errorf("another host waits for %v", time.Since(began))
		}
		all.Wait()
		took := time.Since(began)
		if together != connectsAtOnce || took < 2*time.Second || took > 2*time.Second+leastRest {
			t.Errorf("%d began at once, all after %v", together, took)
		}

		ended := make(chan bool)
		closed := arrive(1, many)
		go func() { ended <- closed.await() }()
		synctest.Wait()
		if err := closed.Close(); err != nil || <-ended {
			t.Errorf("a connection that is closed begins: %v", err)
		}
		last := arrive(1, many+1)
		go func() { ended <- last.await() }()
		synctest.Wait()
		close(over)
		if <-ended {
			t.Error("a connection begins behind the end of its listener")
		}
		_ = last.Close() // whatever comes of it
	})
}

// Beside many calls of a host that say nothing, others of it are looked at more slowly, and none is refused. What calls
// of other hosts say has nothing to do with it.
func TestSilentCallsMakeOthersSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPace()
		from := hostAt(0, 1, 1)
		ours, theirs := net.Pipe()
		defer ours.Close()
		c := newPacedConn(addressed{theirs, from}, p.host(from), nil)
		// begin is how long so many calls take.
		begin := func(from net.Addr, calls int) time.Duration {
			t.Helper()
			began := time.Now()
			for range calls {
				if _, err := p.begin(seen(t, from), nil); err != nil {
					t.Fatal(err)
				}
			}
			return time.Since(began)
		}
		var ends []func()
		for range silentAtOnce {
			ends = append(ends, Await(seen(t, c.RemoteAddr())))
		}
		if took := begin(c.RemoteAddr(), 1000); took > 1000*time.Second/callsEvenly {
			t.Errorf("beside as many as may be silent they take %v", took)
		}
		ends = append(ends, Await(seen(t, c.RemoteAddr())))
		if took := begin(c.RemoteAddr(), silentASecond); took < 990*time.Millisecond || took > 1010*time.Millisecond {
			t.Errorf("beside one more they take %v", took)
		}
		if took := begin(hostAt(0, 2, 1), 1000); took > 1000*time.Second/callsEvenly {
			t.Errorf("those of another host take %v", took)
		}
		for _, end := range ends {
			end()
		}
		if took := begin(c.RemoteAddr(), 1000); took > 1000*time.Second/callsEvenly {
			t.Errorf("when all have spoken they take %v", took)
		}
		Await(t.Context())() // calls that come over nothing that is paced
		Await(seen(t, from))()
	})
}

// Connections that come together are all served, those that wait for their turn as well, behind the bound on
// connections as they are.
func TestConnectionsThatComeTogetherAreServed(t *testing.T) {
	p := NewPace()
	server := grpc.NewServer(p.Option(), p.Credentials(nil))
	healthv1.RegisterHealthServer(server, health.NewServer())
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(Bound(p.Listen(inner), 1024)) }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	const many = connectsAtOnce + connectsASecond/4
	var clients sync.WaitGroup
	for range many {
		clients.Go(func() {
			conn, err := grpc.NewClient(inner.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{}); err != nil {
				t.Error(err)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	if took := time.Since(began); took < time.Second/4-leastRest {
		t.Errorf("%d connections begin within %v", many, took)
	}
	server.Stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
