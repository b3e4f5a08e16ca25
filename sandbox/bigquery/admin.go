package bigquery

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-data/waybill/sandbox/bigquery/fault"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
	"github.com/waybill-data/waybill/sandbox/bigquery/write"
)

func splitDataset(name string) (project, id string, err error) {
	i := strings.LastIndexByte(name, '.')
	if i < 1 || i == len(name)-1 {
		return "", "", fmt.Errorf("%q is not project.dataset", name)
	}
	return name[:i], name[i+1:], nil
}

// Admin answers, under /bigquery/:
//
//	GET    faults           the faults in force
//	POST   faults           a fault.Fault as JSON: puts it in force and answers with it
//	DELETE faults[?id=f1]   lifts one fault, or all
//	GET    stats            counts, rates and what each table holds
//	GET    rows?table=D.T   a JSON line a row: {"topic","partition","offset","stream","row"}; row is its offset in the stream
//	GET    row?table=D.T&topic=…&partition=…&offset=…   the whole row
func (e *Emulator) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /bigquery/faults", func(w http.ResponseWriter, _ *http.Request) { answer(w, e.faults.List()) })
	mux.HandleFunc("POST /bigquery/faults", e.addFault)
	mux.HandleFunc("DELETE /bigquery/faults", func(w http.ResponseWriter, r *http.Request) {
		answer(w, map[string]int{"cleared": e.faults.Clear(r.FormValue("id"))})
	})
	mux.HandleFunc("GET /bigquery/stats", func(w http.ResponseWriter, _ *http.Request) { answer(w, e.stats()) })
	mux.HandleFunc("GET /bigquery/rows", e.serveRows)
	mux.HandleFunc("GET /bigquery/row", e.serveRow)
	return mux
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a client that has left needs no answer
}

func complain(w http.ResponseWriter, code int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	answer(w, map[string]string{"error": err.Error()})
}

func (e *Emulator) addFault(w http.ResponseWriter, r *http.Request) {
	var f fault.Fault
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		complain(w, http.StatusBadRequest, err)
		return
	}
	added, err := e.faults.Add(f)
	if err != nil {
		complain(w, http.StatusBadRequest, err)
		return
	}
	answer(w, added)
}

// TableStats is what one table holds.
type TableStats struct {
	Table     string `json:"table"`
	Rows      int64  `json:"rows"`
	Bytes     int64  `json:"bytes"`
	Streams   int    `json:"streams"`
	Finalized int    `json:"streams_finalized"`
}

// Stats is what GET /bigquery/stats answers.
type Stats struct {
	write.Stats
	ClockAhead string       `json:"clock_ahead"`
	Tables     []TableStats `json:"tables"`
}

func (e *Emulator) stats() Stats {
	out := Stats{Stats: e.write.Stats(), ClockAhead: e.Clock().Ahead().Round(time.Millisecond).String(), Tables: []TableStats{}}
	for _, t := range e.store.All() {
		s := TableStats{Table: t.ID()}
		s.Rows, s.Bytes = t.RowCount()
		for _, st := range t.Streams() {
			s.Streams++
			if st.Info().Finalized {
				s.Finalized++
			}
		}
		out.Tables = append(out.Tables, s)
	}
	return out
}

func refused(w http.ResponseWriter, err error) {
	if _, ok := errors.AsType[*store.Error](err); ok {
		complain(w, http.StatusNotFound, err)
		return
	}
	complain(w, http.StatusInternalServerError, err)
}

func (e *Emulator) serveRows(w http.ResponseWriter, r *http.Request) {
	t, err := e.store.Find(r.FormValue("table"), "", "")
	if err != nil {
		refused(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := bufio.NewWriterSize(w, 1<<16)
	var line []byte
	err = e.places(r.Context(), t, func(p Place) error {
		line = append(p.appendJSON(line[:0]), '\n')
		_, err := out.Write(line)
		return err
	})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the client must not take half a table for the whole
	}
}

func (e *Emulator) serveRow(w http.ResponseWriter, r *http.Request) {
	t, err := e.store.Find(r.FormValue("table"), "", "")
	if err != nil {
		refused(w, err)
		return
	}
	partition, err1 := strconv.ParseInt(r.FormValue("partition"), 10, 32)
	offset, err2 := strconv.ParseInt(r.FormValue("offset"), 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		complain(w, http.StatusBadRequest, fmt.Errorf("partition and offset must be numbers: %w", err))
		return
	}
	b, err := e.row(r.Context(), t, r.FormValue("topic"), partition, offset)
	switch {
	case err != nil:
		refused(w, err)
	case b == nil:
		complain(w, http.StatusNotFound, fmt.Errorf("no row of %s came from %s/%d offset %d", t.ID(), r.FormValue("topic"), partition, offset))
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(b) // a client that has left needs no answer
	}
}
