package registry

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"go.uber.org/goleak"

	"github.com/waybill-data/waybill/pkg/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const order = `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"}]}`

// node is a registry whose faults the test decides, on a real socket.
type node struct {
	*srfake.Registry
	server *httptest.Server
	// fault, when set, responds instead of the registry and returns true.
	fault    atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool]
	requests atomic.Int64
}

func serve(t *testing.T, secure bool, options ...srfake.Option) *node {
	n := &node{Registry: srfake.NewRegistry(options...)}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.requests.Add(1)
		if f := n.fault.Load(); f != nil && (*f)(w, r) {
			return
		}
		n.Handler().ServeHTTP(w, r)
	})
	if secure {
		n.server = httptest.NewTLSServer(handler)
	} else {
		n.server = httptest.NewServer(handler)
	}
	t.Cleanup(n.server.Close)
	return n
}

func (n *node) set(fault func(w http.ResponseWriter, r *http.Request) bool) {
	if fault == nil {
		n.fault.Store(nil)
		return
	}
	n.fault.Store(&fault)
}

func (n *node) register(t *testing.T, subject, text string, references ...sr.SchemaReference) int {
	t.Helper()
	id, _, err := n.RegisterSchema(subject, sr.Schema{Schema: text, References: references})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// connect makes a client that is less patient than usual.
func connect(t *testing.T, adjust func(*Config), log *bytes.Buffer, nodes ...*node) *Client {
	t.Helper()
	c := Defaults()
	for _, n := range nodes {
		c.URLs = append(c.URLs, n.server.URL)
	}
	if adjust != nil {
		adjust(&c)
	}
	logger := slog.New(slog.DiscardHandler)
	if log != nil {
		logger = slog.New(slog.NewTextHandler(log, nil))
	}
	client, err := New(c, logger, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	client.patience = patience{
		believe: 50 * time.Millisecond, disbelieve: 100 * time.Millisecond, again: 5 * time.Millisecond,
		retryMin: time.Millisecond, retryMax: 10 * time.Millisecond,
	}
	return client
}

func status(code int, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
		return true
	}
}

func TestSchemaIsRequestedOnce(t *testing.T) {
	n := serve(t, false)
	id := n.register(t, "orders-value", order)
	c := connect(t, nil, nil, n)
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			s, err := c.ByID(t.Context(), id)
			if err != nil || s.Text != order || s.Format != "avro" || s.ID != id {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
	wait.Wait()
	if _, err := c.ByID(t.Context(), id); err != nil {
		t.Error(err)
	}
	if requests := n.requests.Load(); requests != 1 {
		t.Errorf("%d requests for one schema", requests)
	}
}

func TestVersions(t *testing.T) {
	n := serve(t, false)
	first := n.register(t, "orders-value", order)
	second := n.register(t, "orders-value", strings.Replace(order, "string", "long", 1))
	c := connect(t, nil, nil, n)
	latest, err := c.Version(t.Context(), "orders-value", Latest)
	if err != nil || latest.ID != second || latest.Version != 2 || latest.Subject != "orders-value" {
		t.Errorf("latest %+v, %v", latest, err)
	}
	old, err := c.Version(t.Context(), "orders-value", 1)
	if err != nil || old.ID != first {
		t.Errorf("version 1 %+v, %v", old, err)
	}
	before := n.requests.Load()
	if s, err := c.ByID(t.Context(), first); err != nil || s.Text != order || n.requests.Load() != before {
		t.Errorf("what came by its version is not known by its id: %+v, %v", s, err)
	}
	for subject, want := range map[string]bool{"orders-value": true, "others-value": false} {
		if got, err := c.Belongs(t.Context(), first, subject); got != want || err != nil {
			t.Errorf("Belongs(%s) = %v, %v", subject, got, err)
		}
	}
	var missing *MissingError
	if _, err := c.Version(t.Context(), "nobody", Latest); !errors.As(err, &missing) ||
		err.Error() != "subject nobody is not in the registry" {
		t.Errorf("%v", err)
	}
	if _, err := c.Version(t.Context(), "orders-value", 9); !errors.As(err, &missing) {
		t.Errorf("%v", err)
	}
}

// References come before those that refer to them, each once.
func TestReferences(t *testing.T) {
	n := serve(t, false)
	n.register(t, "money", `{"type":"record","name":"Money","fields":[{"name":"units","type":"long"}]}`)
	money := sr.SchemaReference{Name: "Money", Subject: "money", Version: 1}
	n.register(t, "line", `{"type":"record","name":"Line","fields":[{"name":"price","type":"Money"}]}`, money)
	id := n.register(t, "bill",
		`{"type":"record","name":"Bill","fields":[{"name":"line","type":"Line"},{"name":"sum","type":"Money"}]}`,
		sr.SchemaReference{Name: "Line", Subject: "line", Version: 1}, money)
	s, err := connect(t, nil, nil, n).ByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.References) != 2 || s.References[0].Name != "Money" || s.References[1].Name != "Line" ||
		!strings.Contains(s.Texts()[1], "price") {
		t.Errorf("references %+v", s.References)
	}
}

// A node may know a schema a little later than its producer: an absence is not believed at once. Later it is, and then
// not for ever.
func TestMissingIsNotBelievedAtOnce(t *testing.T) {
	n := serve(t, false)
	id := n.register(t, "orders-value", order)
	var lies atomic.Int64
	lies.Store(3)
	n.set(func(w http.ResponseWriter, r *http.Request) bool {
		return lies.Add(-1) >= 0 && status(404, `{"error_code":40403,"message":"Schema not found"}`)(w, r)
	})
	c := connect(t, nil, nil, n)
	c.patience.believe, c.patience.disbelieve = time.Minute, time.Hour
	if _, err := c.ByID(t.Context(), id); err != nil {
		t.Errorf("believed at once: %v", err)
	}

	c.patience.believe = 50 * time.Millisecond
	var missing *MissingError
	_, err := c.ByID(t.Context(), 77)
	if !errors.As(err, &missing) || err.Error() != "schema id 77 is not in the registry" ||
		!time.Now().Before(missing.Until) {
		t.Fatalf("%v", err)
	}
	requests := n.requests.Load()
	if _, err := c.ByID(t.Context(), 77); !errors.As(err, &missing) || n.requests.Load() != requests {
		t.Errorf("the absence is not kept: %v, %d requests", err, n.requests.Load()-requests)
	}
	n.SeedSchema("late-value", 1, 77, sr.Schema{Schema: order})
	missing.Until = time.Now()
	if _, err := c.ByID(t.Context(), 77); err != nil {
		t.Errorf("the absence is believed for ever: %v", err)
	}
}

// Everything that is no response is waited out, with one line an outage.
func TestAnOutageIsWaitedFor(t *testing.T) {
	for name, fault := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"500":                      status(500, `{"error_code":50001,"message":"error in the backend"}`),
		"401":                      status(401, `{"error_code":40101,"message":"Unauthorized"}`),
		"404 of something else":    status(404, "page not found"),
		"200 and no schema":        status(200, "<html>"),
		"a connection that breaks": func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
		"no response in time": func(_ http.ResponseWriter, r *http.Request) bool {
			<-r.Context().Done()
			return true
		},
		"a response without end": func(w http.ResponseWriter, r *http.Request) bool {
			junk := bytes.Repeat([]byte(" "), 1<<20)
			for r.Context().Err() == nil {
				if _, err := w.Write(junk); err != nil {
					break
				}
			}
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := serve(t, false)
			id := n.register(t, "orders-value", order)
			n.set(fault)
			var log bytes.Buffer
			c := connect(t, func(c *Config) { c.Timeout = 100 * time.Millisecond }, &log, n)
			result := make(chan error, 1)
			go func() { _, err := c.ByID(t.Context(), id); result <- err }()
			for n.requests.Load() < 3 {
				select {
				case err := <-result:
					t.Fatalf("given up: %v", err)
				case <-time.After(time.Millisecond):
				}
			}
			if up, waiting := testutil.ToFloat64(c.metrics.up), testutil.ToFloat64(c.metrics.waiting); up != 0 ||
				waiting != 1 {
				t.Errorf("up %v, waiting %v", up, waiting)
			}
			n.set(nil)
			if err := <-result; err != nil {
				t.Fatal(err)
			}
			if up, waiting := testutil.ToFloat64(c.metrics.up), testutil.ToFloat64(c.metrics.waiting); up != 1 ||
				waiting != 0 {
				t.Errorf("afterwards up %v, waiting %v", up, waiting)
			}
			if lines := strings.Count(log.String(), "\n"); lines != 2 {
				t.Errorf("%d lines of log for one outage:\n%s", lines, &log)
			}
		})
	}
}

// A node that fails holds up nobody while another one responds.
func TestAnotherNodeResponds(t *testing.T) {
	broken, whole := serve(t, false), serve(t, false)
	broken.set(status(503, ""))
	id := whole.register(t, "orders-value", order)
	var log bytes.Buffer
	c := connect(t, nil, &log, broken, whole)
	if _, err := c.ByID(t.Context(), id); err != nil {
		t.Error(err)
	}
	if log.Len() > 0 {
		t.Errorf("an outage of one node is none:\n%s", &log)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// A caller that gives up takes nobody with it.
func TestGivingUp(t *testing.T) {
	n := serve(t, false)
	id := n.register(t, "orders-value", order)
	n.set(status(500, ""))
	c := connect(t, nil, nil, n)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { _, err := c.ByID(ctx, id); first <- err }()
	for n.requests.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	go func() { _, err := c.ByID(t.Context(), id); second <- err }()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	n.set(nil)
	if err := <-second; err != nil {
		t.Error(err)
	}
}

func TestAuthentication(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("ann:secret"))
	for name, v := range map[string]struct {
		header string
		adjust func(*Config)
	}{
		"basic":  {basic, func(c *Config) { c.User, c.Password = "ann", config.NewSecret("secret") }},
		"bearer": {"Bearer abc", func(c *Config) { c.Token = config.NewSecret("abc") }},
	} {
		t.Run(name, func(t *testing.T) {
			n := serve(t, false, srfake.WithAuth(v.header))
			id := n.register(t, "orders-value", order)
			if _, err := connect(t, v.adjust, nil, n).ByID(t.Context(), id); err != nil {
				t.Error(err)
			}
			if err := connect(t, nil, nil, n).Ping(t.Context()); err == nil {
				t.Error("responded without credentials")
			}
		})
	}
}

func TestTLS(t *testing.T) {
	n := serve(t, true)
	id := n.register(t, "orders-value", order)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, func(c *Config) { c.TLS.CA = ca }, nil, n).ByID(t.Context(), id); err != nil {
		t.Error(err)
	}
	if err := connect(t, nil, nil, n).Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority is trusted: %v", err)
	}
}

func TestConfigProblems(t *testing.T) {
	for _, v := range []struct {
		key    string
		adjust func(*Config)
	}{
		{"", func(*Config) {}},
		{"", func(c *Config) { c.URLs = []string{"https://registry:8081/base"}; c.TLS.ServerName = "x" }},
		{"urls[0]", func(c *Config) { c.URLs = []string{"registry:8081"} }},
		{"urls[0]", func(c *Config) { c.URLs = []string{"http://ann:secret@registry:8081"} }},
		{"token", func(c *Config) { c.User, c.Token = "ann", config.NewSecret("abc") }},
		{"user", func(c *Config) { c.Password = config.NewSecret("abc") }},
		{"poll", func(c *Config) { c.Poll = 5 }},
		{"tls", func(c *Config) { c.URLs, c.TLS.ServerName = []string{"http://registry:8081"}, "x" }},
		{"tls", func(c *Config) { c.TLS.CA = "nowhere.pem" }},
		{"tls.cert", func(c *Config) { c.TLS.Key = "key.pem" }},
	} {
		c := Defaults()
		v.adjust(&c)
		var keys []string
		c.Check(func(key, message, remedy string) {
			keys = append(keys, key)
			if message == "" || remedy == "" {
				t.Errorf("%s: %q, %q", key, message, remedy)
			}
		})
		if got := strings.Join(keys, " "); got != v.key {
			t.Errorf("problems with %q, want %q", got, v.key)
		}
	}
}
