package registry_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
	"go.uber.org/goleak"

	"github.com/waybill-data/waybill/sandbox/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSubjects(t *testing.T) {
	r, err := registry.Start("127.0.0.1:0", t.TempDir())
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
	for subject, id := range map[string]int{
		"delivery_events_v6_topic-value": 1, "sms_physical_stock_updated_topic-value": 2,
	} {
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
	if _, err := registry.Start(r.Addr(), t.TempDir()); err == nil {
		t.Error("a second registry on the same port started")
	}
}

// What is registered outlives the process with its ids, and so does one schema of two subjects.
func TestRegistrationsAreKept(t *testing.T) {
	dir := t.TempDir()
	const one, two = `{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}`,
		`{"type":"record","name":"R","fields":[{"name":"b","type":"int"}]}`
	var ids []int
	for range 3 {
		r, err := registry.Start("127.0.0.1:0", dir)
		if err != nil {
			t.Fatal(err)
		}
		var now []int
		for _, s := range []struct{ subject, text string }{
			{"x-value", one}, {"x-value", two}, {"y/z", two}, {"x-value", one},
		} {
			id, err := registry.Register(t.Context(), r.URL(), s.subject, s.text)
			if err != nil {
				t.Fatal(err)
			}
			now = append(now, id)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if ids == nil {
			ids = now
		}
		if now[0] < 3 || now[0] == now[1] || now[1] != now[2] || now[0] != now[3] || now[0] != ids[0] ||
			now[1] != ids[1] {
			t.Errorf("ids %v, first %v", now, ids)
		}
	}
}

func TestFaults(t *testing.T) {
	r, err := registry.Start("127.0.0.1:0", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		http.DefaultClient.CloseIdleConnections()
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	admin := func(method, query, body string) string {
		w := httptest.NewRecorder()
		r.Handler().ServeHTTP(w, httptest.NewRequest(method, "/registry/faults"+query, strings.NewReader(body)))
		return strings.TrimSpace(w.Body.String())
	}
	get := func() (status int, took time.Duration) {
		began := time.Now()
		resp, err := http.Get(r.URL() + "/subjects")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.ReadAll(resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, time.Since(began)
	}
	if got := admin(http.MethodPost, "", `{"status":503,"count":2}`); got != `{"id":1,"status":503,"count":2,"hits":0}` {
		t.Error(got)
	}
	for _, want := range []int{503, 503, 200} {
		if status, _ := get(); status != want {
			t.Errorf("status %d, want %d", status, want)
		}
	}
	admin(http.MethodPost, "", `{"delay":"50ms"}`)
	if status, took := get(); status != 200 || took < 50*time.Millisecond {
		t.Errorf("status %d after %v", status, took)
	}
	const hit = `[{"id":1,"status":503,"count":2,"hits":2},{"id":2,"delay":"50ms","hits":1}]`
	if got := admin(http.MethodGet, "", ""); got != hit {
		t.Error(got)
	}
	if got := admin(http.MethodDelete, "?id=2", "") +
		admin(http.MethodDelete, "", ""); got != `{"removed":1}{"removed":1}` {
		t.Error(got)
	}
	for _, bad := range []string{
		`{}`, `{"status":200}`, `{"status":500,"count":-1}`, `{"delay":"soon"}`,
		`{"what":1}`,
	} {
		if got := admin(http.MethodPost, "", bad); !strings.HasPrefix(got, `{"error":`) {
			t.Errorf("%s: %s", bad, got)
		}
	}
}
