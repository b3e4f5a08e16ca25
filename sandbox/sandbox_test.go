package sandbox_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/waybill-data/waybill/sandbox"
	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/produce"
	"github.com/waybill-data/waybill/sandbox/sandboxtest"
	"github.com/waybill-data/waybill/sandbox/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What Kafka held is there after a restart, and the endpoints file only while the sandbox runs.
func TestRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sandbox")
	file := filepath.Join(dir, sandbox.EndpointsFile)
	s := sandboxtest.Start(t, sandbox.Config{Dir: dir})
	endpoints, err := sandbox.ReadEndpoints(file)
	if err != nil || endpoints.Admin != s.Endpoints().Admin || len(endpoints.Kafka) != 3 {
		t.Fatalf("%+v, %v", endpoints, err)
	}
	_, err = produce.Run(t.Context(), produce.Config{
		Seeds: endpoints.Kafka, Topic: events.DeliveryTopic, Partitions: 1, Events: 50,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sandbox.Start(t.Context(), sandbox.Config{Dir: dir}); err == nil {
		t.Error("a second sandbox runs in the same directory")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the endpoints file of a stopped sandbox: %v", err)
	}

	s = sandboxtest.Start(t, sandbox.Config{Dir: dir})
	report, err := verify.Run(t.Context(), verify.Config{Seeds: s.Endpoints().Kafka, Admin: s.Endpoints().Admin})
	if err != nil {
		t.Fatal(err)
	}
	if want := (verify.Totals{Events: 50, Missing: 50}); report.Totals != want {
		t.Errorf("%+v, want %+v", report.Totals, want)
	}
}

func TestAdmin(t *testing.T) {
	s := sandboxtest.Start(t, sandbox.Config{Dir: t.TempDir()})
	defer http.DefaultClient.CloseIdleConnections()
	for path, want := range map[string]string{
		"/healthz": "ok\n", "/kafka/faults": "[]\n", "/bigquery/faults": "[]\n", "/endpoints": `"project":"sandbox"`,
	} {
		response, err := http.Get(s.Endpoints().Admin + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if closeErr := response.Body.Close(); err != nil || closeErr != nil {
			t.Fatal(err, closeErr)
		}
		if response.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s %s", path, response.Status, body)
		}
	}
}

// A taken port stops the start, and leaves nothing running that would stop the next.
func TestTakenPort(t *testing.T) {
	s := sandboxtest.Start(t, sandbox.Config{Dir: t.TempDir()})
	_, port, _ := strings.Cut(strings.TrimPrefix(s.Endpoints().Registry, "http://"), ":")
	dir := t.TempDir()
	var taken int
	for _, digit := range port {
		taken = taken*10 + int(digit-'0')
	}
	if _, err := sandbox.Start(t.Context(), sandbox.Config{Dir: dir, Registry: taken}); err == nil ||
		!strings.Contains(err.Error(), port) {
		t.Errorf("error %v", err)
	}
	sandboxtest.Start(t, sandbox.Config{Dir: dir})
}
