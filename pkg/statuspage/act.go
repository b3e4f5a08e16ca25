package statuspage

import (
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

// write writes a page with a form.
func (a *actPage) write(w http.ResponseWriter, r *http.Request, code int, title, name string, data any) {
	secure(w)
	w.Header().Set("Referrer-Policy", "same-origin") // without one, browsers do not say where a form comes from
	writeStill(w, r, a.templates, code, title, name, data)
}
