package statuspage

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// acted remembers what the page asks for.
type acted struct {
	adminv1.UnimplementedSteeringServiceServer
	pauses []*adminv1.PauseRequest
	drains []*adminv1.DrainWriterRequest
	moves  []*adminv1.MoveLaneRequest
}

func (a *acted) Pause(_ context.Context, r *adminv1.PauseRequest) (*adminv1.PauseResponse, error) {
	if r.GetTarget().GetTopic() == "none" {
		return nil, status.Error(codes.NotFound, `there is no topic "none"; the nearest is <b>"one"</b>`)
	}
	a.pauses = append(a.pauses, r)
	return &adminv1.PauseResponse{Result: &adminv1.Result{Summary: "topic orders paused", Earlier: []*adminv1.Event{
		{Kind: "operator: pause", Text: "by=bob"},
	}}}, nil
}

func (a *acted) DrainWriter(_ context.Context, r *adminv1.DrainWriterRequest) (*adminv1.DrainWriterResponse, error) {
	a.drains = append(a.drains, r)
	return &adminv1.DrainWriterResponse{Result: &adminv1.Result{Summary: "lanes leave"}}, nil
}

func (a *acted) MoveLane(_ context.Context, r *adminv1.MoveLaneRequest) (*adminv1.MoveLaneResponse, error) {
	a.moves = append(a.moves, r)
	return &adminv1.MoveLaneResponse{Result: &adminv1.Result{Summary: "lane moves"}}, nil
}

// visit makes a request of a browser that is on the page.
func visit(page http.Handler, method, path string, form url.Values, change ...func(*http.Request)) (int, string) {
	r := httptest.NewRequest(method, "http://ingest:7081"+path, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://ingest:7081")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	page.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

var inputs = regexp.MustCompile(`<input[^>]* name="(\w+)"[^>]* value="([^"]*)"`)

// filled reads a form.
func filled(body string) url.Values {
	v := url.Values{}
	for _, m := range inputs.FindAllStringSubmatch(body, -1) {
		v.Set(m[1], m[2])
	}
	return v
}

// An act is validated, then done, with the id of its form both times, so that it is done once however often the button
// is pressed; what is refused says why, and what the operator wrote stays.
func TestActsAreValidatedAndDone(t *testing.T) {
	a := &acted{}
	page := Acts(http.NotFoundHandler(), a)
	code, body := visit(page, http.MethodGet, "/act?do=pause&topic=orders&partition=3", nil)
	form := filled(body)
	if code != http.StatusOK || form.Get("topic") != "orders" || form.Get("partition") != "3" ||
		form.Get("for") != "1h" ||
		strings.Contains(body, `value="do"`) {
		t.Fatalf("%d %v\n%s", code, form, body)
	}
	form.Set("for", "2h")
	form.Set("reason", "the table is being moved")
	form.Set("step", "validate")
	code, body = visit(page, http.MethodPost, "/act", form)
	if code != http.StatusOK || len(a.pauses) != 1 || !a.pauses[0].GetAct().GetValidateOnly() ||
		!strings.Contains(body, "Topic orders paused.") || !strings.Contains(body, "by=bob") {
		t.Fatalf("%d %v\n%s", code, a.pauses, body)
	}
	form = filled(body)
	form.Set("step", "do")
	for range 2 {
		if code, body = visit(page, http.MethodPost, "/act", form); code != http.StatusOK ||
			strings.Contains(body, "<form") {
			t.Fatalf("%d\n%s", code, body)
		}
	}
	for _, r := range a.pauses[1:] {
		if r.GetAct().GetValidateOnly() || r.GetAct().GetRequestId() != a.pauses[0].GetAct().GetRequestId() ||
			r.GetAct().GetReason() != "the table is being moved" || r.GetTarget().GetPartition() != 3 ||
			r.GetLength().AsDuration().Hours() != 2 || !strings.Contains(r.GetAct().GetOnBehalfOf(), "status page") {
			t.Errorf("%v", r)
		}
	}
	for want, change := range map[string]url.Values{
		"the nearest is &lt;b&gt;": {"topic": {"none"}}, "is no length of time": {"for": {"soon"}},
		"is no number": {"partition": {"x"}}, "this process does not do that": {"do": {"resume"}},
	} {
		_, fresh := visit(page, http.MethodGet, "/act?do=pause&topic=orders", nil)
		bad := filled(fresh)
		bad.Set("reason", "kept")
		maps.Copy(bad, change)
		code, said := visit(page, http.MethodPost, "/act", bad)
		if code != http.StatusBadRequest || !strings.Contains(said, want) || filled(said).Get("reason") != "kept" {
			t.Errorf("%s: %d\n%s", want, code, said)
		}
	}
	if code, body := visit(page, http.MethodGet, "/act?do=fly", nil); code != http.StatusNotFound ||
		!strings.Contains(body, "there is no act") {
		t.Errorf("%d %s", code, body)
	}
}

// A form works from the page alone: another site, another page, no token, a token of another page or of another time do
// nothing.
func TestActsOfOthersDoNothing(t *testing.T) {
	a := &acted{}
	page := Acts(http.NotFoundHandler(), a)
	_, body := visit(page, http.MethodGet, "/act?do=drain&writer=w", nil)
	_, foreign := visit(Acts(http.NotFoundHandler(), a), http.MethodGet, "/act?do=drain&writer=w", nil)
	form := filled(body)
	with := func(token string) url.Values {
		v := filled(body)
		v.Set("token", token)
		return v
	}
	same := func(*http.Request) {}
	for name, tt := range map[string]struct {
		form   url.Values
		change func(*http.Request)
	}{
		"cross-site": {form, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }},
		"same-site":  {form, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }},
		"other origin, old browser": {form, func(r *http.Request) {
			r.Header.Set("Origin", "http://evil:7081")
			r.Header.Del("Sec-Fetch-Site")
		}},
		"null origin": {form, func(r *http.Request) {
			r.Header.Set("Origin", "null")
			r.Header.Del("Sec-Fetch-Site")
		}},
		"says nothing": {form, func(r *http.Request) {
			r.Header.Del("Origin")
			r.Header.Del("Sec-Fetch-Site")
		}},
		"no token":              {with(""), same},
		"another page's token":  {with(filled(foreign).Get("token")), same},
		"a token of other time": {with("0" + form.Get("token")[1:]), same},
	} {
		if code, body := visit(page, http.MethodPost, "/act", tt.form, tt.change); code != http.StatusForbidden ||
			!strings.Contains(body, "nothing was done") {
			t.Errorf("%s: %d\n%s", name, code, body)
		}
	}
	if len(a.drains) != 0 {
		t.Errorf("%v", a.drains)
	}
	if code, _ := visit(page, http.MethodPost, "/act", form); code != http.StatusOK || len(a.drains) != 1 ||
		!a.drains[0].GetAct().GetValidateOnly() {
		t.Errorf("the page's own: %d, %v", code, a.drains)
	}
	move := filled(body)
	move.Set("do", "move")
	move.Set("topic", "orders")
	if code, body := visit(page, http.MethodPost, "/act", move); code != http.StatusBadRequest || len(a.moves) != 0 ||
		!strings.Contains(body, "partition: names none") {
		t.Errorf("a move of no partition: %d, %s", code, body)
	}
}
