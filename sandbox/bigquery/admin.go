package bigquery

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-data/waybill/sandbox/bigquery/fault"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
	"github.com/waybill-data/waybill/sandbox/bigquery/write"
	"github.com/waybill-data/waybill/sandbox/internal/admin"
)

func splitDataset(name string) (project, id string, err error) {
	i := strings.LastIndexByte(name, '.')
	if i < 1 || i == len(name)-1 {
		return "", "", fmt.Errorf("%q is not project.dataset", name)
	}
	return name[:i], name[i+1:], nil
}

// Admin serves, under /bigquery/:
//
//	GET    faults           the faults in force
//	POST   faults           a fault.Fault as JSON: puts it in force and returns it
//	DELETE faults[?id=f1]   lifts one fault, or all
//	GET    stats            counts, rates and what each table holds
//	GET    rows?table=D.T   a JSON line a row: {"topic","partition","offset","stream","row"};
//	                        row is its offset in the stream
//	GET    row?table=D.T&topic=…&partition=…&offset=…   the whole row
func (e *Emulator) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/bigquery/faults", admin.Faults[fault.Fault]{
		List: e.faults.List, Add: e.faults.Add, Remove: func(id string) (int, error) { return e.faults.Clear(id), nil },
	})
	mux.HandleFunc("GET /bigquery/stats", func(w http.ResponseWriter, _ *http.Request) {
		admin.Respond(w, http.StatusOK, e.stats())
	})
	mux.HandleFunc("GET /bigquery/rows", e.serveRows)
	mux.HandleFunc("GET /bigquery/row", e.serveRow)
	return mux
}

// TableStats is what one table holds.
type TableStats struct {
	Table     string `json:"table"`
	Rows      int64  `json:"rows"`
	Bytes     int64  `json:"bytes"`
	Streams   int    `json:"streams"`
	Finalized int    `json:"streams_finalized"`
}

// Stats is what GET /bigquery/stats returns.
type Stats struct {
	write.Stats
	ClockAhead string       `json:"clock_ahead"`
	Tables     []TableStats `json:"tables"`
}

func (e *Emulator) stats() Stats {
	out := Stats{
		Stats: e.write.Stats(), ClockAhead: e.Clock().Ahead().Round(time.Millisecond).String(), Tables: []TableStats{},
	}
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
		admin.Refuse(w, http.StatusNotFound, err.Error())
		return
	}
	admin.Refuse(w, http.StatusInternalServerError, err.Error())
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
		admin.Refuse(w, http.StatusBadRequest, "partition and offset must be numbers: "+err.Error())
		return
	}
	b, err := e.row(r.Context(), t, r.FormValue("topic"), partition, offset)
	switch {
	case err != nil:
		refused(w, err)
	case b == nil:
		admin.Refuse(w, http.StatusNotFound, fmt.Sprintf("no row of %s came from %s/%d offset %d",
			t.ID(), r.FormValue("topic"), partition, offset))
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(b) // a client that has left needs no response
	}
}
