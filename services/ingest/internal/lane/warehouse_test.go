package lane

import (
	"errors"
	"fmt"
	"sync"
)

var errFinalized = errors.New("STREAM_FINALIZED")

// warehouse is BigQuery in memory: tables of write streams.
type warehouse struct {
	mu      sync.Mutex
	streams []*writeStream
	// explained reports whether the committed checkpoint names a stream: nothing may be appended to one that it does
	// not.
	explained func(stream string) bool
	broken    []string
}

type writeStream struct {
	id, table string
	rows      []string
	finalized bool
}

func (w *warehouse) create(table string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &writeStream{id: fmt.Sprintf("%s#%d", table, len(w.streams)+1), table: table}
	w.streams = append(w.streams, s)
	return s.id
}

func (w *warehouse) find(id string) *writeStream {
	for _, s := range w.streams {
		if s.id == id {
			return s
		}
	}
	return nil
}

func (w *warehouse) finalize(id string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.find(id)
	s.finalized = true
	return int64(len(s.rows))
}

func (w *warehouse) append(id string, offset int64, rows []string) error {
	explained := w.explained(id)
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.find(id)
	switch {
	case s.finalized:
		return errFinalized
	case offset != int64(len(s.rows)):
		return fmt.Errorf("append at %d of %d rows", offset, len(s.rows))
	case !explained:
		w.broken = append(w.broken, "appended to "+id+", which the committed checkpoint does not name")
	}
	s.rows = append(s.rows, rows...)
	return nil
}

// rows are those of a table, in the order of their streams.
func (w *warehouse) rows(table string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, s := range w.streams {
		if s.table == table {
			out = append(out, s.rows...)
		}
	}
	return out
}

// breach notes that a law was broken.
func (w *warehouse) breach(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}
