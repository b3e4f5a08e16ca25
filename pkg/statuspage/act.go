package statuspage

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/waybill-data/waybill/pkg/access"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// Acts adds forms to a status page for what operators may do: each act is validated first, and done when that is
// confirmed. The admin port lets nobody in here who has not the right `operator`.
//
// A form works only from this page: its request must come from the page's own origin, and has a token that only who was
// shown the form can know. The token is good for an hour, and for the caller that it was made for.
func Acts(page http.Handler, acts adminv1.SteeringServiceServer) http.Handler {
	a := &actPage{acts: acts, templates: parse(), secret: []byte(rand.Text())}
	mux := http.NewServeMux()
	mux.Handle("/", page)
	mux.HandleFunc("GET /act", a.form)
	mux.HandleFunc("POST /act", a.act)
	return mux
}

type actPage struct {
	acts      adminv1.SteeringServiceServer
	templates *template.Template
	secret    []byte
}

// deed is one kind of act.
type deed struct {
	// Title is what it is called, and Verb what its button says.
	Title, Verb string
	// Fields are those of its form, in order.
	Fields []field
	call   func(context.Context, adminv1.SteeringServiceServer, *adminv1.Act, url.Values) (*adminv1.Result, error)
}

// field is one field of a form.
type field struct{ Name, Label, Hint, Usual string }

var (
	ofTopic     = field{Name: "topic", Label: "Topic"}
	ofPartition = field{Name: "partition", Label: "Partition", Hint: "empty: all of the topic"}
	ofTable     = field{Name: "table", Label: "Table", Hint: "instead of a topic: all topics that feed it"}
	ofWriter    = field{Name: "writer", Label: "Writer", Hint: "its name or address"}
)

var deeds = map[string]deed{
	"pause": {"Pause", "Pause", []field{
		ofTopic, ofPartition, ofTable, {"for", "For", "such as 10m or 2h; 144h at most", "1h"},
	}, func(
		ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, v url.Values,
	) (*adminv1.Result, error) {
		t, err := targetOf(v)
		length, bad := lengthOf(v)
		if err := cmp.Or(err, bad); err != nil {
			return nil, err
		}
		r, err := s.Pause(ctx, &adminv1.PauseRequest{Act: act, Target: t, Length: length})
		return r.GetResult(), err
	}},
	"resume": {"Resume", "Resume", []field{ofTopic, ofPartition, ofTable}, func(
		ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, v url.Values,
	) (*adminv1.Result, error) {
		t, err := targetOf(v)
		if err != nil {
			return nil, err
		}
		r, err := s.Resume(ctx, &adminv1.ResumeRequest{Act: act, Target: t})
		return r.GetResult(), err
	}},
	"move": {"Move a lane", "Move", []field{ofTopic, {"partition", "Partition", "", ""}, ofWriter}, func(
		ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, v url.Values,
	) (*adminv1.Result, error) {
		p, err := partition(v)
		if err != nil {
			return nil, err
		}
		if p == nil {
			return nil, status.Error(codes.InvalidArgument, "partition: names none")
		}
		r, err := s.MoveLane(ctx, &adminv1.MoveLaneRequest{
			Act: act, Topic: v.Get("topic"), Partition: *p, Writer: v.Get("writer"),
		})
		return r.GetResult(), err
	}},
	"drain": {"Drain a writer", "Drain", []field{ofWriter, {"for", "For", "such as 30m; 24h at most", "1h"}}, func(
		ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, v url.Values,
	) (*adminv1.Result, error) {
		length, err := lengthOf(v)
		if err != nil {
			return nil, err
		}
		r, err := s.DrainWriter(ctx, &adminv1.DrainWriterRequest{Act: act, Writer: v.Get("writer"), Length: length})
		return r.GetResult(), err
	}},
	"undrain": {"Let a writer take lanes again", "End the draining", []field{ofWriter}, func(
		ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, v url.Values,
	) (*adminv1.Result, error) {
		r, err := s.DrainWriter(ctx, &adminv1.DrainWriterRequest{Act: act, Writer: v.Get("writer"), End: true})
		return r.GetResult(), err
	}},
	"spread": {"Spread lanes over writers", "Spread", nil, func(
		ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, _ url.Values,
	) (*adminv1.Result, error) {
		r, err := s.Spread(ctx, &adminv1.SpreadRequest{Act: act})
		return r.GetResult(), err
	}},
}

func targetOf(v url.Values) (*adminv1.Target, error) {
	p, err := partition(v)
	return &adminv1.Target{Topic: v.Get("topic"), Partition: p, Table: v.Get("table")}, err
}

func lengthOf(v url.Values) (*durationpb.Duration, error) {
	d, err := time.ParseDuration(strings.TrimSpace(v.Get("for")))
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "for: %q is no length of time; write 10m or 2h", v.Get("for"))
	}
	return durationpb.New(d), nil
}

// shownAct is what the template shows.
type shownAct struct {
	Do     string
	Deed   deed
	Values url.Values
	Token  string
	ID     string
	// Error is why it was refused; Result what it did, or would do before it is Done.
	Error  string
	Result *adminv1.Result
	Done   bool
}

// form shows the form of an act, filled in with what the link to it says.
func (a *actPage) form(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	d, ok := deeds[query.Get("do")]
	if !ok {
		a.fault(w, r, http.StatusNotFound, "there is no act "+strconv.Quote(query.Get("do")))
		return
	}
	for _, f := range d.Fields {
		if f.Usual != "" && !query.Has(f.Name) {
			query.Set(f.Name, f.Usual)
		}
	}
	a.show(w, r, http.StatusOK, &shownAct{Do: query.Get("do"), Deed: d, Values: query, ID: rand.Text()})
}

const (
	// mostForm bounds a form, in bytes.
	mostForm = 64 << 10
	// formFor is how long a form is good.
	formFor = time.Hour
)

// act validates an act, or does it.
func (a *actPage) act(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, mostForm)
	if err := r.ParseForm(); err != nil {
		a.fault(w, r, http.StatusBadRequest, "the form cannot be read: "+err.Error())
		return
	}
	if err := a.ours(r); err != nil {
		a.fault(w, r, http.StatusForbidden, err.Error())
		return
	}
	v := r.PostForm
	d, ok := deeds[v.Get("do")]
	if !ok {
		a.fault(w, r, http.StatusNotFound, "there is no act "+strconv.Quote(v.Get("do")))
		return
	}
	s := &shownAct{Do: v.Get("do"), Deed: d, Values: v, ID: v.Get("id"), Done: v.Get("step") == "do"}
	act := &adminv1.Act{ValidateOnly: !s.Done, Reason: strings.TrimSpace(v.Get("reason")), RequestId: s.ID}
	if access.CallerOf(r.Context()).Name == "" {
		act.OnBehalfOf = "the status page at " + r.RemoteAddr
	}
	code := http.StatusOK
	result, err := d.call(r.Context(), a.acts, act, v)
	if err != nil {
		s.Error, s.Done, code = status.Convert(err).Message(), false, http.StatusBadRequest
		if status.Code(err) == codes.Unimplemented {
			s.Error = "this process does not do that; go to the status page of an ingest"
		}
	}
	s.Result = result
	a.show(w, r, code, s)
}

// ours refuses what does not come from a form of this page.
func (a *actPage) ours(r *http.Request) error {
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	u, err := url.Parse(origin)
	switch {
	case site != "" && site != "same-origin":
		return errors.New("the request comes from another site: nothing was done")
	case origin == "" && site == "":
		return errors.New("the request does not say which page it comes from: nothing was done")
	case origin != "" && (err != nil || u.Host != r.Host):
		return errors.New("the request comes from another page: nothing was done")
	}
	made, sum, _ := strings.Cut(r.PostForm.Get("token"), ".")
	at, err := strconv.ParseInt(made, 36, 64)
	if err != nil || !hmac.Equal([]byte(sum), []byte(a.sum(r, made))) {
		return errors.New("the form is none of this page, or of one before it was started again: " +
			"nothing was done; open it again")
	}
	if time.Since(time.Unix(at, 0)) > formFor {
		return errors.New("the form is older than an hour: nothing was done; open it again")
	}
	return nil
}

// token is what a form shows that it was made for this caller by this page.
func (a *actPage) token(r *http.Request) string {
	made := strconv.FormatInt(time.Now().Unix(), 36)
	return made + "." + a.sum(r, made)
}

func (a *actPage) sum(r *http.Request, made string) string {
	mac := hmac.New(sha256.New, a.secret)
	mac.Write([]byte(made + "|" + access.CallerOf(r.Context()).Name))
	return hex.EncodeToString(mac.Sum(nil))
}

func (a *actPage) fault(w http.ResponseWriter, r *http.Request, code int, text string) {
	a.write(w, r, code, "Nothing done", "fault", text)
}

func (a *actPage) show(w http.ResponseWriter, r *http.Request, code int, s *shownAct) {
	s.Token = a.token(r)
	a.write(w, r, code, s.Deed.Title, "act", s)
}

// write writes a page, which does not follow what happens.
func (a *actPage) write(w http.ResponseWriter, r *http.Request, code int, title, name string, data any) {
	var main, out bytes.Buffer
	err := a.templates.ExecuteTemplate(&main, name, data)
	if err == nil {
		err = a.templates.ExecuteTemplate(&out, "layout", map[string]any{
			"Title": title, "Main": template.HTML(main.String()), //nolint:gosec // made by a template
			"Path": r.URL.Path, "Version": assets, "Live": "",
		})
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	secure(w)
	w.Header().Set("Referrer-Policy", "same-origin") // without one, browsers do not say where a form comes from
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	w.Write(out.Bytes()) //nolint:errcheck // The reader went away.
}
