package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/api/googleapi"
	"google.golang.org/grpc/codes"
)

// What is tried again is what the network, a proxy or BigQuery's load may be to blame for. What fails before it is sent
// is our own, and fails again.
func TestWhichRESTErrorsPass(t *testing.T) {
	response := func(code int, reason string) error {
		return &googleapi.Error{Code: code, Message: "m", Errors: []googleapi.ErrorItem{{Reason: reason}}}
	}
	for _, c := range []struct {
		err    error
		passes bool
		status codes.Code
	}{
		{response(503, "backendError"), true, codes.Unavailable},
		{response(500, "internalError"), true, codes.Unavailable},
		{response(408, "timeout"), true, codes.Unavailable},
		{response(429, "x"), true, codes.ResourceExhausted},
		{response(403, "rateLimitExceeded"), true, codes.ResourceExhausted},
		{response(403, "quotaExceeded"), true, codes.ResourceExhausted},
		{response(403, "accessDenied"), false, 0},
		{response(404, "notFound"), false, 0},
		{response(400, "invalid"), false, 0},
		{response(401, "authError"), false, 0},
		{response(409, "duplicate"), true, codes.Unavailable},
		{response(412, "conditionNotMet"), true, codes.Unavailable},
		{&googleapi.Error{Code: 404, Body: "<html>no such host</html>"}, true, codes.Unavailable},
		{&googleapi.Error{Code: 403, Body: "<html>who are you</html>"}, true, codes.Unavailable},
		{&url.Error{Op: "Get", Err: errors.New("connection refused")}, true, codes.Unavailable},
		{&net.DNSError{}, true, codes.Unavailable},
		{context.DeadlineExceeded, true, codes.Unavailable},
		{io.ErrUnexpectedEOF, true, codes.Unavailable},
		{io.EOF, true, codes.Unavailable},
		{&json.SyntaxError{}, true, codes.Unavailable},
		{errMoved, true, codes.Unavailable},
		{fmt.Errorf("dataset: %w", errNoDataset), false, 0},
		{&json.MarshalerError{Err: &json.SyntaxError{}}, false, 0},
		{errors.New("encode 7 columns: too deep"), false, 0},
	} {
		err := fmt.Errorf("look: %w", c.err)
		if transient(err) != c.passes {
			t.Errorf("%v (%T) passes: %v", c.err, c.err, !c.passes)
		}
		if c.passes && restFault(err).status != c.status {
			t.Errorf("%v: %v, want %v", c.err, restFault(err).status, c.status)
		}
	}
}

// The error page of a proxy says nothing about a table: it is neither taken for a missing one, which would be made, nor
// for a forbidden one.
func TestAProxysPageIsNoResponse(t *testing.T) {
	t.Parallel()
	fake, s := world(t)
	pages := 0
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if pages++; pages <= 3 {
			w.WriteHeader([]int{404, 403, 200}[pages-1])
			fmt.Fprint(w, "<html>This is not the page you are looking for</html>")
			return
		}
		fake.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	s.raw.BasePath = proxy.URL + "/bigquery/v2/"
	if _, err := s.Table(deadline(t), stockRoute); err != nil {
		t.Fatal(err)
	}
	if fake.posts != 1 || pages != 5 {
		t.Errorf("%d tables made, %d requests; want 1 after three pages and a look", fake.posts, pages)
	}
}

// A table that differs in thousands of columns is refused in a message that a person and a log can hold.
func TestAMessageOfThousandsOfColumns(t *testing.T) {
	fake, s := world(t)
	fake.tables["d/grows"] = json.RawMessage(`{"schema": {"fields": [{"name": "other", "type": "STRING"}]}}`)
	route := grown(0, "x")
	route.GetDescriptor_().Field = wide(9_000).GetField()
	_, err := s.Table(deadline(t), route)
	if err == nil || len(err.Error()) > 8000 || !strings.Contains(err.Error(), "and 8900 columns more") ||
		!strings.Contains(err.Error(), "column c99 ") {
		t.Errorf("got %.300v", err)
	}
	route.Evolution = additive
	if _, err := s.Table(deadline(t), route); err != nil {
		t.Fatal(err)
	}
	if got := len(schemaOf(t, fake)); got != 9_001 {
		t.Errorf("%d columns", got)
	}
}
