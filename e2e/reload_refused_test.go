package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/waybill-data/waybill/e2e/stack"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// unchangeable has the writers reach BigQuery's tables by way of a proxy which, while it is told so, refuses changes of
// one table as BigQuery does to an account without the right to. Before services start.
func (w *world) unchangeable(table string) (denied *atomic.Bool) {
	w.t.Helper()
	denied = &atomic.Bool{}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: w.Endpoints.BigQueryREST})
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPatch || !denied.Load() || !strings.HasSuffix(r.URL.Path, "/tables/"+table) {
			proxy.ServeHTTP(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(http.StatusForbidden)
		message := fmt.Sprintf("Access Denied: Table %s:%s.%s: Permission bigquery.tables.update denied on table %[3]s",
			stack.Project, stack.Dataset, table)
		fmt.Fprintf(rw, `{"error":{"code":403,"message":%q,"status":"PERMISSION_DENIED","errors":[{"message":%[1]q,`+
			`"domain":"global","reason":"accessDenied"}]}}`, message)
	}))
	w.t.Cleanup(server.Close)
	for _, writer := range w.Writers {
		if err := writer.Redial(w.Endpoints.BigQueryREST, strings.TrimPrefix(server.URL, "http://")); err != nil {
			w.t.Fatal(err)
		}
	}
	return denied
}

// uses says whether a process works with a column of a table.
func (w *world) uses(s *stack.Service, table, column string) bool {
	w.t.Helper()
	in, err := w.admin(s).look.ListContracts(w.ctx, &adminv1.ListContractsRequest{Local: true, Table: table})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range in.GetContracts() {
		for _, has := range c.GetColumns() {
			if has.GetName() == column {
				return true
			}
		}
	}
	return false
}

// Contracts that compile, and whose tables would fit, turn out to be none for the lanes of one table, which the writer
// may not change: the reload is taken back as a whole, by all ingests and for all lanes, while records flow. It says
// which lane and why, and so does an event; lanes go on with the contracts of before, those of the other table as well.
// Every offset is in its table once, and the same reload is taken when the writer may change the table.
func TestReloadThatOneLaneCannotTakeIsTakenBack(t *testing.T) {
	t.Parallel()
	const memos = "memos"
	schema := filepath.Join(t.TempDir(), "note.json")
	if err := os.WriteFile(schema, fmt.Appendf(nil, notesSchema, ""), 0o600); err != nil {
		t.Fatal(err)
	}
	contract := fmt.Sprintf(notesContract, schema)
	w := laidOut(t, stack.Config{
		Topics:    []string{notesTopic + ":4", memos + ":4"},
		Contracts: "  - builtin: delivery.v6\n" + contract + strings.ReplaceAll(contract, "notes", memos),
	})
	denied := w.unchangeable(memos)
	w.peer()
	first, second := w.Ingests[0], w.Ingests[1]
	notes, others := w.writes(notesTopic), w.writes(memos)
	w.committed(notesTopic, 100)
	w.committed(memos, 100)

	w.replaced(schema, `"integer"}}`, `"integer"},"note":{"type":"string"}}`)
	denied.Store(true)
	code, out := w.at(first, "reload", "--reason", "notes have a note", "--request-id", "one")
	said := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{
		"lane " + memos + "/", " is refused: ", "Access Denied", "bigquery.tables.update",
		"All ingests went back to the contracts of before",
	} {
		if code != 1 || !strings.Contains(said, want) {
			t.Errorf("status %d, %s; want %q", code, out, want)
		}
	}
	for _, ingest := range w.Ingests {
		for _, table := range []string{notesTopic, memos} {
			if w.uses(ingest, table, "payload.note") {
				t.Errorf("%s works with a column of %s that was taken back", ingest.Name, table)
			}
		}
	}
	for _, topic := range []string{notesTopic, memos} {
		w.states(topic, "open")
	}
	_, out = w.at(second, "events", "--filter", "operator: reload")
	for _, want := range []string{
		"operator: reload taken back", "request_id=one", "notes have a note", "Access Denied",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("events: %s; want %q", out, want)
		}
	}
	at := others.sent.Load()
	w.committed(memos, at+100) // which come after the reload, by lanes that it could not be taken by

	denied.Store(false)
	var taken adminv1.ReloadContractsResponse
	w.acts(&taken, second, "reload", "--request-id", "two")
	if !taken.GetResult().GetChanged() || taken.GetLanes() != 8 || taken.GetWaiting() != 0 {
		t.Errorf("the same reload, where the table may be changed: %v", &taken)
	}
	at = others.sent.Load() + 1
	w.committed(memos, at+100)
	for n, table := range map[*noter]string{notes: notesTopic, others: memos} {
		sent := n.end()
		w.committed(table, int64(sent))
		once := w.offsets(table)
		for place, times := range once {
			if times != 1 {
				t.Errorf("%s: offset %v is there %d times", table, place, times)
			}
		}
		if len(once) != sent {
			t.Errorf("%s: %d of %d are in the table", table, len(once), sent)
		}
	}
	if n := w.value(fmt.Sprintf(`SELECT CAST(COUNT(*) AS STRING) FROM waybill.memos AS m
		WHERE m.payload.id >= %d AND m.payload.note IS NULL`, at)); n != "0" {
		t.Errorf("%s memos that were written after the reload have no note", n)
	}
}
