// Package sandboxtest starts the sandbox, or a part of it, for a test, and stops it with the test.
package sandboxtest

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/sandbox"
	"github.com/waybill-data/waybill/sandbox/kafka"
	"github.com/waybill-data/waybill/sandbox/registry"
)

// Start starts all of it.
func Start(t testing.TB, config sandbox.Config) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Kafka starts a cluster.
func Kafka(t testing.TB, config kafka.Config) *kafka.Cluster {
	t.Helper()
	cluster, err := kafka.Start(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// Client connects to a cluster.
func Client(t testing.TB, cluster *kafka.Cluster, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(cluster.Seeds()...))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// Registry starts a schema registry on a free port, in a folder of its own.
func Registry(t testing.TB) *registry.Registry {
	t.Helper()
	r, err := registry.Start("127.0.0.1:0", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	return r
}
