package statuspage

import (
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc/status"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// Explains adds screens to a status page that look at records: /explain?record=TOPIC/PARTITION/OFFSET follows one, /tap
// shows those that pass, and /preview what would become of the newest ones. The admin port lets nobody see the last two
// who has not the right `payload`.
func Explains(page http.Handler, records adminv1.RecordServiceServer) http.Handler {
	e := &explainPage{records: records, templates: parse()}
	mux := http.NewServeMux()
	mux.Handle("/", page)
	mux.HandleFunc("GET /explain", e.serve)
	mux.HandleFunc("GET /tap", e.tap)
	mux.HandleFunc("GET /preview", e.preview)
	return mux
}

type explainPage struct {
	records   adminv1.RecordServiceServer
	templates *template.Template
}

// explained is what the template shows.
type explained struct {
	Record string
	// Error is why nothing is known; Said what became of the record. Neither while none is named.
	Error string
	Said  *adminv1.ExplainResponse
}

func (e *explainPage) serve(w http.ResponseWriter, r *http.Request) {
	out := &explained{Record: strings.TrimSpace(r.URL.Query().Get("record"))}
	code := http.StatusOK
	if out.Record != "" {
		request, ok := placeOf(out.Record)
		if !ok {
			code, out.Error = http.StatusBadRequest, "write topic/partition/offset, for example orders/3/125"
		} else if said, err := e.records.Explain(r.Context(), request); err != nil {
			code, out.Error = http.StatusNotFound, status.Convert(err).Message()
		} else {
			out.Said = said
		}
	}
	e.show(w, r, code, "One record", "explain", out)
}

func (e *explainPage) show(w http.ResponseWriter, r *http.Request, code int, title, name string, data any) {
	secure(w)
	writeStill(w, r, e.templates, code, title, name, data)
}

// placeOf reads topic/partition/offset; names of topics have no slash.
func placeOf(text string) (*adminv1.ExplainRequest, bool) {
	topic, rest, _ := strings.Cut(text, "/")
	p, o, _ := strings.Cut(rest, "/")
	partition, err1 := strconv.ParseInt(p, 10, 32)
	offset, err2 := strconv.ParseInt(o, 10, 64)
	if topic == "" || err1 != nil || err2 != nil || partition < 0 || offset < 0 {
		return nil, false
	}
	return &adminv1.ExplainRequest{Topic: topic, Partition: int32(partition), Offset: offset}, true
}
