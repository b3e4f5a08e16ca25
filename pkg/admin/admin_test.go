package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestHandler(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "waybill_test_total", Help: "test"})
	registry.MustRegister(counter)
	counter.Add(3)
	var notReady error
	h := handler(Config{
		Registry: registry,
		Ready:    func() error { return notReady },
		Lanes:    func() any { return []map[string]any{{"topic": "orders", "partition": 3}} },
		Plan:     func() any { return map[string]any{"settling": true} },
	})
	for path, want := range map[string]string{
		"/":             "/readyz",
		"/metrics":      "waybill_test_total 3",
		"/healthz":      "ok",
		"/readyz":       "ok",
		"/lanes":        `"partition": 3`,
		"/plan":         `"settling": true`,
		"/debug/pprof/": "goroutine",
	} {
		if code, body := get(t, h, path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("GET %s: %d %q, want %q in it", path, code, body, want)
		}
	}
	if code, _ := get(t, h, "/nothing"); code != http.StatusNotFound {
		t.Errorf("GET /nothing: %d", code)
	}

	if code, _ := get(t, handler(Config{Registry: registry}), "/plan"); code != http.StatusNotFound {
		t.Errorf("GET /plan of a service that has none: %d", code)
	}

	notReady = errors.New("no broker responds")
	if code, body := get(t, h, "/readyz"); code != http.StatusServiceUnavailable ||
		!strings.Contains(body, "no broker responds") {
		t.Errorf("GET /readyz: %d %q", code, body)
	}
	if code, _ := get(t, h, "/healthz"); code != http.StatusOK {
		t.Errorf("GET /healthz: %d; a service that is not ready is alive", code)
	}
}

// Pages take GET, and the form of acts POST; nothing takes any other method.
func TestPagesTakeTheirMethodsAlone(t *testing.T) {
	visited := 0
	h := handler(Config{
		Registry: prometheus.NewRegistry(), Plan: func() any { return nil },
		Page: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited++ }),
	})
	paths := []string{
		"/", "/act", "/metrics", "/healthz", "/readyz", "/lanes", "/plan", "/table", "/live", "/debug/pprof/",
		"/debug/pprof/cmdline", "/debug/pprof/profile", "/debug/pprof/symbol", "/debug/pprof/trace",
	}
	for _, path := range paths {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "X"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
			if act := method == "POST" && path == "/act"; (w.Code == http.StatusOK) != act ||
				!act && w.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
		}
	}
	if visited != 1 {
		t.Errorf("the page was asked %d times", visited)
	}
}

func TestHandlerWithoutFunctions(t *testing.T) {
	h := handler(Config{Registry: prometheus.NewRegistry()})
	if code, body := get(t, h, "/lanes"); code != http.StatusOK || body != "[]\n" {
		t.Errorf("GET /lanes: %d %q", code, body)
	}
	if code, _ := get(t, h, "/readyz"); code != http.StatusOK {
		t.Errorf("GET /readyz: %d", code)
	}
}

func TestServe(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, Config{Listener: listener, Registry: prometheus.NewRegistry()}) }()

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+
		"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || string(body) != "ok\n" {
		t.Errorf("GET /healthz: %q, %v", body, err)
	}

	if err := Serve(t.Context(), Config{
		Listen: listener.Addr().String(), Registry: prometheus.NewRegistry(),
	}); err == nil {
		t.Error("a second server on the same address came up")
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("stopped by its context, Serve returned %v", err)
	}
}
