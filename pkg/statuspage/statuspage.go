// Package statuspage shows admin.v1 to people: which table is stale and why, what a lane waits for, who carries what,
// and what happened. Pages are made on the server, need nothing from outside, and are complete without JavaScript; with
// it they stay up to date by server-sent events.
//
//	admin.Config{Page: statuspage.New(ctx, view)}
//
// What is shown is asked for at most once a second, however many people look, and each page is bounded: lists name at
// most so many and say how many there are.
package statuspage

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/access"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

//go:embed pages
var files embed.FS

// assets tells the style and the script of this build from those of others, which browsers keep.
var assets = version("pages/page.css", "pages/page.js")

func version(names ...string) string {
	sum := fnv.New64a()
	for _, name := range names {
		content, err := files.ReadFile(name)
		if err != nil {
			panic(err) // it is embedded
		}
		sum.Write(content)
	}
	return strconv.FormatUint(sum.Sum64(), 36)
}

const (
	// kept is how long what was made is good for everybody who asks for the same.
	kept = time.Second
	// mostKept bounds how many different pages are kept.
	mostKept = 64
	// every is how often a page that is watched is made again, and watchers how many may watch at once: others get the
	// page as it is, and reload it.
	every, watchers = 3 * time.Second, 32
	// mostTables, mostLanes and mostEvents are how many a page lists.
	mostTables, mostLanes, mostEvents = 200, 300, 200
	// mostKinds is how many kinds of dead letters.
	mostKinds = 100
)

// New makes the handler. ctx ends those who watch: the server that serves it stops then.
func New(ctx context.Context, view adminv1.AdminServiceServer) http.Handler {
	p := &page{view: view, templates: parse(), made: make(map[string]*made), ended: ctx.Done()}
	mux := http.NewServeMux()
	for path := range screens {
		mux.HandleFunc("GET "+path, p.serve)
	}
	mux.HandleFunc("GET /live", p.live)
	mux.HandleFunc("GET /events.json", p.eventsJSON)
	mux.HandleFunc("GET /page.css", asset("page.css", "text/css; charset=utf-8"))
	mux.HandleFunc("GET /page.js", asset("page.js", "text/javascript; charset=utf-8"))
	return mux
}

type page struct {
	view      adminv1.AdminServiceServer
	templates *template.Template
	ended     <-chan struct{}

	mu       sync.Mutex
	made     map[string]*made
	watching int
}

// made is a screen that was made: what is in main, and its title.
type made struct {
	mu    sync.Mutex
	at    time.Time
	title string
	main  []byte
	err   error
}

// screen gathers what a template shows.
type screen struct {
	template, title string
	gather          func(context.Context, *page, url.Values) (any, error)
}

var screens = map[string]screen{
	"/{$}":       {"tables", "Tables", tables},
	"/table":     {"table", "Table", table},
	"/lane":      {"lane", "Lane", lane},
	"/fleet":     {"fleet", "Fleet", fleet},
	"/events":    {"events", "Events", happened},
	"/letters":   {"letters", "Dead letters", letters},
	"/contracts": {"contracts", "Contracts", contracts},
	"/replays":   {"replays", "Replays", replays},
	"/runbook":   {"runbook", "What keeps a lane", runbook},
}

// find finds the screen of a path.
func find(path string) (screen, bool) {
	if path == "/" {
		path = "/{$}"
	}
	s, ok := screens[path]
	return s, ok
}

// make makes a screen, or takes what was made within the last second.
func (p *page) make(ctx context.Context, address *url.URL) (title string, main []byte, err error) {
	s, ok := find(address.Path)
	if !ok {
		return "", nil, status.Errorf(codes.NotFound, "there is no page %s", address.Path)
	}
	query := address.Query()
	var key strings.Builder
	key.WriteString(address.Path + "?" + query.Encode())
	for _, right := range []access.Right{access.Operator, access.Payload} {
		if access.CallerOf(ctx).May(right) {
			key.WriteString("#" + string(right)) // whose page has more in it
		}
	}
	p.mu.Lock()
	m := p.made[key.String()]
	if m == nil {
		if len(p.made) >= mostKept {
			clear(p.made)
		}
		m = new(made)
		p.made[key.String()] = m
	}
	p.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.at) < kept {
		return m.title, m.main, m.err
	}
	m.title, m.main = s.title, nil
	var data any
	if data, m.err = s.gather(ctx, p, query); m.err == nil {
		var out bytes.Buffer
		m.err = p.templates.ExecuteTemplate(&out, s.template, data)
		m.main = out.Bytes()
	}
	if !errors.Is(m.err, context.Canceled) { // one who went away tells nothing to others
		m.at = time.Now()
	}
	return m.title, m.main, m.err
}

// serve serves a whole page.
func (p *page) serve(w http.ResponseWriter, r *http.Request) {
	title, main, err := p.make(r.Context(), r.URL)
	code := http.StatusOK
	if err != nil {
		code = codeOf(err)
		title, main = "Nothing to see", p.fault(err)
	}
	secure(w)
	write(w, r, p.templates, code, title, "/live?page="+url.QueryEscape(r.URL.RequestURI()), main)
}

// writeStill writes the page of a template that does not follow what happens.
func writeStill(
	w http.ResponseWriter, r *http.Request, templates *template.Template, code int, title, name string, data any,
) {
	var main bytes.Buffer
	if err := templates.ExecuteTemplate(&main, name, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	write(w, r, templates, code, title, "", main.Bytes())
}

// write writes a page around what is in it; live is where it follows what happens, if it does.
func write(
	w http.ResponseWriter, r *http.Request, templates *template.Template, code int, title, live string, main []byte,
) {
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, "layout", map[string]any{
		"Title": title, "Main": template.HTML(main), //nolint:gosec // made by a template
		"Path": r.URL.Path, "Version": assets, "Live": live,
	}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	w.Write(out.Bytes()) //nolint:errcheck // The reader went away.
}

func (p *page) fault(err error) []byte {
	var out bytes.Buffer
	_ = p.templates.ExecuteTemplate(&out, "fault", status.Convert(err).Message())
	return out.Bytes()
}

func codeOf(err error) int {
	switch status.Code(err) {
	case codes.InvalidArgument:
		return http.StatusBadRequest
	case codes.NotFound:
		return http.StatusNotFound
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	}
	return http.StatusInternalServerError
}

// secure forbids what the pages do not need.
func secure(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; "+
		"connect-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// live sends what is in main of a page, again and again when it has changed, as server-sent events.
func (p *page) live(w http.ResponseWriter, r *http.Request) {
	address, err := url.Parse(r.URL.Query().Get("page"))
	if err != nil {
		http.Error(w, "page: "+err.Error(), http.StatusBadRequest)
		return
	}
	if _, ok := find(address.Path); !ok {
		http.Error(w, "page: there is no such page", http.StatusNotFound)
		return
	}
	if !p.watch(1) {
		http.Error(w, "too many people watch; reload the page instead", http.StatusServiceUnavailable)
		return
	}
	defer p.watch(-1)
	secure(w)
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var last []byte
	for {
		_, main, err := p.make(r.Context(), address)
		if err != nil {
			main = p.fault(err)
		}
		if !bytes.Equal(main, last) {
			last = main
			_ = control.SetWriteDeadline(time.Now().Add(10 * time.Second)) // a reader that hangs is closed
			if _, err := w.Write(event(main)); err != nil {
				return
			}
			if err := control.Flush(); err != nil {
				return
			}
		}
		select {
		case <-ticker.C:
		case <-p.ended:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// watch counts those who watch. It reports false when there are too many.
func (p *page) watch(change int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watching+change > watchers {
		return false
	}
	p.watching += change
	return true
}

// event is one server-sent event.
func event(data []byte) []byte {
	var out bytes.Buffer
	for line := range strings.Lines(string(data)) {
		fmt.Fprintf(&out, "data: %s\n", strings.TrimRight(line, "\r\n"))
	}
	out.WriteByte('\n')
	return out.Bytes()
}

func asset(name, kind string) http.HandlerFunc {
	content, err := files.ReadFile("pages/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		secure(w)
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Write(content) //nolint:errcheck // The reader went away.
	}
}

// partition reads a partition out of a query; nil where there is none.
func partition(query url.Values) (*int32, error) {
	text := query.Get("partition")
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "partition: %q is no number", text)
	}
	p := int32(n)
	return &p, nil
}
