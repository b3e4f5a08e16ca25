package registry_test

import (
	"net/http"
	"testing"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
	"go.uber.org/goleak"

	"github.com/waybill-data/waybill/sandbox/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSubjects(t *testing.T) {
	r, err := registry.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer func() {
		transport.CloseIdleConnections()
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	client, err := sr.NewClient(sr.URLs(r.URL()), sr.HTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		t.Fatal(err)
	}
	for subject, id := range map[string]int{"delivery_events_v6_topic-value": 1, "sms_physical_stock_updated_topic-value": 2} {
		schema, err := client.SchemaByVersion(t.Context(), subject, -1)
		if err != nil {
			t.Fatal(err)
		}
		if schema.ID != id {
			t.Errorf("%s has id %d, want %d", subject, schema.ID, id)
		}
		if _, err := avro.Parse(schema.Schema.Schema); err != nil {
			t.Errorf("%s: %v", subject, err)
		}
	}
	if _, err := registry.Start(r.Addr()); err == nil {
		t.Error("a second registry on the same port started")
	}
}
