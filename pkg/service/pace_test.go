package service

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Who begins calls too often waits for a turn that is near, and is refused one that is far, no sooner than a near one
// would have come; others are not; what is remembered of hosts is bounded.
func TestCallsBeginAtAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pace{second: 100, hosts: map[string]*rate.Limiter{}}
		from := func(a, b byte, port int) error {
			ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(10, 0, a, b), Port: port}})
			_, err := p.begin(ctx, nil)
			return err
		}
		began := time.Now()
		for i := range callsAtOnce {
			if err := from(0, 1, i); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the first ones waited %v", took)
		}
		for range 50 {
			if err := from(0, 1, 1); err != nil {
				t.Fatalf("one after the other: %v", err)
			}
		}
		if took := time.Since(began); took < 490*time.Millisecond || took > 510*time.Millisecond {
			t.Errorf("50 at 100 a second took %v", took)
		}
		const many = 40 // at once, of as many connections
		began = time.Now()
		ended := make(chan error, many)
		for i := range many {
			go func() { ended <- from(0, 1, i) }()
		}
		refused := 0
		for range many {
			if err := <-ended; err != nil {
				if refused++; status.Code(err) != codes.Unavailable {
					t.Error(err)
				}
			}
		}
		if took := time.Since(began); took != heldBack || many-refused < 2 || many-refused > 3 {
			t.Errorf("%d of %d were refused after %v", refused, many, took)
		}
		if err := from(0, 2, 1); err != nil || time.Since(began) != heldBack {
			t.Errorf("another host: %v after %v", err, time.Since(began))
		}
		for i := range 2 * pacedHosts {
			_ = from(byte(i>>8), byte(i), 1) // what is remembered counts
		}
		if len(p.hosts) > pacedHosts {
			t.Errorf("%d hosts are remembered", len(p.hosts))
		}
	})
}
