// Package registry runs a schema registry inside the process: franz-go's srfake, which speaks the REST calls of Confluent's. It keeps
// nothing over a restart; Start registers the schemas of the sandbox's topics again, with the same ids.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/events/schemas"
)

// Registry is a running schema registry.
type Registry struct {
	server *http.Server
	done   chan struct{}
	addr   string
}

// Start serves the registry on address (host:port, port 0 for a free one). The subjects delivery_events_v6_topic-value and
// sms_physical_stock_updated_topic-value exist, as ids 1 and 2.
func Start(address string) (*Registry, error) {
	fake := srfake.NewRegistry()
	for i, subject := range []struct{ topic, schema string }{
		{events.DeliveryTopic, schemas.DeliveryEventV6},
		{events.StockTopic, schemas.PhysicalStockUpdated},
	} {
		fake.SeedSchema(subject.topic+"-value", 1, i+1, sr.Schema{Schema: subject.schema, Type: sr.TypeAvro})
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("start schema registry: %w", err)
	}
	r := &Registry{
		server: &http.Server{Handler: fake.Handler(), ReadHeaderTimeout: 10 * time.Second},
		done:   make(chan struct{}),
		addr:   listener.Addr().String(),
	}
	go func() {
		defer close(r.done)
		_ = r.server.Serve(listener) // ends with ErrServerClosed, in Close
	}()
	return r, nil
}

// Addr is where the registry listens, host:port.
func (r *Registry) Addr() string { return r.addr }

// URL is the registry's base URL.
func (r *Registry) URL() string { return "http://" + r.addr }

// Close stops the registry; calls in flight have until ctx ends.
func (r *Registry) Close(ctx context.Context) error {
	err := r.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, r.server.Close())
	}
	<-r.done
	return err
}
