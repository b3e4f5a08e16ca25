// Package rest serves the calls of the BigQuery REST API (https://cloud.google.com/bigquery/docs/reference/rest) that
// cloud.google.com/go/bigquery makes for datasets, tables, rows and queries. Any project name is taken. Paths are
// good with and without the /bigquery/v2 in front.
package rest

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/waybill-data/waybill/sandbox/bigquery/fault"
	"github.com/waybill-data/waybill/sandbox/bigquery/query"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

// Config is what the API works on.
type Config struct {
	Store  *store.Store
	Faults *fault.Set
	Engine *query.Engine
	// Dir holds query results until their job is forgotten.
	Dir    string
	Logger *slog.Logger
}

// location is what datasets, tables and jobs say of where they are.
const location = "US"

type api struct {
	Config
	jobs    *jobs
	uploads *uploads
}

// Handler serves the API. Close it to remove what it holds on disk.
type Handler struct {
	http.Handler
	api *api
}

// policies is where the row access policies of a table are.
const policies = "/projects/{project}/datasets/{dataset}/tables/{table}/rowAccessPolicies"

// New makes a Handler.
func New(cfg Config) (*Handler, error) {
	jobs, err := newJobs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	a := &api{Config: cfg, jobs: jobs, uploads: &uploads{dir: cfg.Dir}}
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(*http.Request) (any, error){
		"GET /projects/{project}/datasets":                             a.listDatasets,
		"POST /projects/{project}/datasets":                            a.insertDataset,
		"GET /projects/{project}/datasets/{dataset}":                   a.getDataset,
		"PATCH /projects/{project}/datasets/{dataset}":                 a.patchDataset,
		"PUT /projects/{project}/datasets/{dataset}":                   a.updateDataset,
		"DELETE /projects/{project}/datasets/{dataset}":                a.deleteDataset,
		"GET /projects/{project}/datasets/{dataset}/tables":            a.listTables,
		"POST /projects/{project}/datasets/{dataset}/tables":           a.insertTable,
		"GET /projects/{project}/datasets/{dataset}/tables/{table}":    a.getTable,
		"PATCH /projects/{project}/datasets/{dataset}/tables/{table}":  a.patchTable,
		"PUT /projects/{project}/datasets/{dataset}/tables/{table}":    a.updateTable,
		"DELETE /projects/{project}/datasets/{dataset}/tables/{table}": a.deleteTable,
		"GET " + policies:                                                      a.listPolicies,
		"POST " + policies:                                                     a.insertPolicy,
		"GET " + policies + "/{policy}":                                        a.getPolicy,
		"PUT " + policies + "/{policy}":                                        a.updatePolicy,
		"DELETE " + policies + "/{policy}":                                     a.deletePolicy,
		"POST /projects/{project}/datasets/{dataset}/tables/{table}":           a.tablePermissions,
		"POST /projects/{project}/datasets/{dataset}/tables/{table}/insertAll": a.insertAll,
		"GET /projects/{project}/datasets/{dataset}/tables/{table}/data":       a.listRows,
		"POST /projects/{project}/queries":                                     a.query,
		"GET /projects/{project}/queries/{job}":                                a.queryResults,
		"POST /projects/{project}/jobs":                                        a.insertJob,
		"GET /projects/{project}/jobs":                                         a.listJobs,
		"GET /projects/{project}/jobs/{job}":                                   a.getJob,
		"POST /projects/{project}/jobs/{job}/cancel":                           a.cancelJob,
		"DELETE /projects/{project}/jobs/{job}/delete":                         a.deleteJob,
	} {
		mux.HandleFunc(pattern, a.endpoint(serve))
	}
	mux.HandleFunc("POST /upload/bigquery/v2/projects/{project}/jobs", a.serveUpload)
	mux.HandleFunc("PUT /upload/bigquery/v2/projects/{project}/jobs", a.serveUpload)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, &httpError{
			http.StatusNotImplemented, "notImplemented", "The sandbox does not serve " + r.Method + " " + r.URL.Path,
		})
	})
	return &Handler{Handler: overridden(inflated(withoutPrefix(mux))), api: a}, nil
}

// Close removes query results, and what is uploaded in part.
func (h *Handler) Close() error { return errors.Join(h.api.uploads.close(), h.api.jobs.close()) }

func withoutPrefix(next http.Handler) http.Handler {
	const prefix = "/bigquery/v2"
	stripped := http.StripPrefix(prefix, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, prefix+"/") {
			stripped.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// raw is a response that is JSON already.
type raw []byte

func (a *api) endpoint(serve func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if a.struck(w, r) {
			return
		}
		out, err := serve(r)
		if err != nil {
			fail(w, a.concealed(r, err))
			return
		}
		if err := a.respond(w, out); err != nil {
			a.Logger.Debug("response not sent", "path", r.URL.Path, "error", err)
		}
	}
}

// struck lets the faults in force strike a call, and says whether it is over with that.
func (a *api) struck(w http.ResponseWriter, r *http.Request) bool {
	e := a.Faults.At(fault.Call{Method: fault.REST, Table: tableID(r)})
	if d := e.Delay; d > 0 {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
			return true
		}
	}
	if e.Reset {
		panic(http.ErrAbortHandler) // net/http's way to break the connection
	}
	if e.Refuse != nil {
		fail(w, injected(e.Refuse))
		return true
	}
	return false
}

func (a *api) respond(w http.ResponseWriter, out any) (err error) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	switch out := out.(type) {
	case nil:
		w.WriteHeader(http.StatusNoContent)
	case raw:
		_, err = w.Write(out)
	default:
		err = json.NewEncoder(w).Encode(out)
	}
	return err
}

// concealed is what a fault makes of a table that is not there.
func (a *api) concealed(r *http.Request, err error) error {
	e, ok := errors.AsType[*store.Error](err)
	if !ok || !e.NoTable || !a.Faults.Conceals(fault.Call{Method: fault.REST, Table: tableID(r)}) {
		return err
	}
	name := r.PathValue("project") + ":" + tableID(r)
	return &httpError{
		http.StatusForbidden, "accessDenied",
		"Access Denied: Table " + name + ": Permission bigquery.tables.get denied on table " + name +
			" (or it may not exist).",
	}
}

func injected(f *fault.Fault) *httpError {
	switch f.Kind {
	case fault.Quota:
		return &httpError{http.StatusForbidden, "rateLimitExceeded", "Exceeded rate limits: too many requests"}
	case fault.Aborted:
		return &httpError{http.StatusConflict, "aborted", "Transaction was aborted"}
	}
	return &httpError{http.StatusServiceUnavailable, "backendError", "The service is currently unavailable."}
}

func tableID(r *http.Request) string {
	table, _, _ := strings.Cut(r.PathValue("table"), ":")
	return r.PathValue("dataset") + "." + table
}

// httpError is an error in the form the Google APIs send.
type httpError struct {
	code            int
	reason, message string
}

func (e *httpError) Error() string { return e.message }

func badRequest(message string) *httpError {
	return &httpError{http.StatusBadRequest, "invalid", message}
}

func fail(w http.ResponseWriter, err error) {
	var e *httpError
	if !errors.As(err, &e) {
		e = translate(err)
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(e.code)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{ // a client that has left needs no response
		"code": e.code, "message": e.message,
		"errors": []any{map[string]any{"message": e.message, "domain": "global", "reason": e.reason}},
	}})
}

func translate(err error) *httpError {
	var refused *store.Error
	var sql *query.Error
	switch {
	case errors.As(err, &sql):
		return &httpError{http.StatusBadRequest, "invalidQuery", sql.Error()}
	case !errors.As(err, &refused):
		return &httpError{http.StatusInternalServerError, "internalError", err.Error()}
	}
	switch refused.Code {
	case codes.NotFound:
		return &httpError{http.StatusNotFound, "notFound", refused.Message}
	case codes.AlreadyExists:
		return &httpError{http.StatusConflict, "duplicate", refused.Message}
	}
	return badRequest(refused.Message)
}

// number reads a query parameter that is a whole number.
func number(r *http.Request, name string, otherwise int64) (int64, error) {
	s := r.FormValue(name)
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, badRequest("Invalid value for " + name + ": " + s)
	}
	return n, nil
}
