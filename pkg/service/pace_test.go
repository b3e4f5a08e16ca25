package service

import (
	"net"
	"testing"

	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Who begins calls too often is refused, and others are not; what is remembered of hosts is bounded.
func TestCallsBeginAtAPace(t *testing.T) {
	p := &pace{second: 1, hosts: map[string]*rate.Limiter{}}
	from := func(a, b byte, port int) error {
		ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(10, 0, a, b), Port: port}})
		_, err := p.begin(ctx, nil)
		return err
	}
	refused := 0
	for i := range callsAtOnce + 100 {
		if err := from(0, 1, i); err != nil {
			if refused++; status.Code(err) != codes.Unavailable {
				t.Fatal(err)
			}
		}
	}
	if refused < 90 || refused > 100 {
		t.Errorf("%d of %d were refused", refused, callsAtOnce+100)
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
}
