// Package registry runs a schema registry inside the process: franz-go's srfake, which speaks the REST calls of
// Confluent's. What is registered is kept in a file, with its ids, and it fails on request.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
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
	faults faults
}

// Start serves the registry on address (host:port, port 0 for a free one) and keeps what is registered in dir. The
// subjects delivery_events_v6_topic-value and sms_physical_stock_updated_topic-value exist, as ids 1 and 2.
func Start(address, dir string) (*Registry, error) {
	fake := srfake.NewRegistry()
	keeper := &keeper{fake: fake, path: filepath.Join(dir, "schemas.json"), highest: map[string]int{}}
	if err := keeper.restore(); err != nil {
		return nil, fmt.Errorf("start schema registry: %w", err)
	}
	for i, subject := range []struct{ topic, schema string }{
		{events.DeliveryTopic, schemas.DeliveryEventV6},
		{events.StockTopic, schemas.PhysicalStockUpdated},
	} {
		keeper.seed(sr.SubjectSchema{
			Subject: subject.topic + "-value", Version: 1, ID: i + 1,
			Schema: sr.Schema{Schema: subject.schema, Type: sr.TypeAvro},
		})
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("start schema registry: %w", err)
	}
	r := &Registry{done: make(chan struct{}), addr: listener.Addr().String()}
	r.server = &http.Server{
		Handler: r.faults.wrap(keeper.wrap(forms{fake}.wrap(fake.Handler()))), ReadHeaderTimeout: 10 * time.Second,
	}
	go func() {
		defer close(r.done)
		_ = r.server.Serve(listener) // ends with ErrServerClosed, in Close
	}()
	return r, nil
}

// Register gives a schema to the registry at url, as a producer does, and returns its id; that of a schema that is
// there already.
func Register(ctx context.Context, url, subject, avsc string) (id int, err error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	client, err := sr.NewClient(sr.URLs(url), sr.HTTPClient(
		&http.Client{Transport: transport, Timeout: 10 * time.Second}))
	if err == nil {
		id, err = client.RegisterSchema(ctx, subject, sr.Schema{Schema: avsc, Type: sr.TypeAvro}, -1, -1)
	}
	if err != nil {
		return 0, fmt.Errorf("register a schema of %s at %s: %w", subject, url, err)
	}
	return id, nil
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
