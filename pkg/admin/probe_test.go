package admin

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A process that cannot do its work says why, and is alive all the same; nobody at all is neither.
func TestAsk(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- Serve(ctx, Config{
			Listener: listener, Registry: prometheus.NewRegistry(),
			Ready: func() error { return errors.New("topic orders is refused") },
		})
	}()
	_, port, _ := net.SplitHostPort(address)
	for _, at := range []string{address, ":" + port, "0.0.0.0:" + port} {
		if err := Probe(t.Context(), at, nil, IsLive); err != nil {
			t.Errorf("alive at %s: %v", at, err)
		}
		err := Probe(t.Context(), at, nil, IsReady)
		if err == nil || err.Error() != "not ready: topic orders is refused" {
			t.Errorf("ready at %s: %v", at, err)
		}
	}
	stop()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := Probe(short, address, nil, IsLive); err == nil || !strings.Contains(err.Error(), "nobody responds") {
		t.Errorf("after its end: %v", err)
	}
	if err := Probe(t.Context(), "7081", nil, IsLive); err == nil || !strings.Contains(err.Error(), "admin.listen") {
		t.Errorf("without a port: %v", err)
	}
}
