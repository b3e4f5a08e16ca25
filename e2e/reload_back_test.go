package e2e

import (
	"slices"
	"strings"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// notTaken has contracts loaded again while the second ingest is not there: what not all can take, none takes.
func (w *world) notTaken(schema string) {
	w.t.Helper()
	first, second := w.Ingests[0], w.Ingests[1]
	back := w.replaced(schema, `"note":{"type":"string"}`, `"note":{"type":"string"},"never":{"type":"string"}`)
	for _, args := range [][]string{{"reload"}, {"reload", "--validate"}} {
		if code, out := w.at(first, args...); code != 1 || !strings.Contains(out, second.GRPC) ||
			!strings.Contains(strings.Join(strings.Fields(out), " "), "Nothing was changed") {
			w.t.Errorf("ingest %v, while one does not respond: status %d, %s", args, code, out)
		}
	}
	back()
	in, err := w.admin(first).look.ListContracts(w.ctx, &adminv1.ListContractsRequest{Local: true, Table: notesTopic})
	if err != nil {
		w.t.Fatal(err)
	}
	columns := map[string]bool{}
	for _, c := range in.GetContracts() {
		for _, column := range c.GetColumns() {
			columns[column.GetName()] = true
		}
	}
	if !columns["payload.note"] || columns["payload.never"] {
		w.t.Errorf("the columns in use are %v", columns)
	}
}

// rolledBack loads contracts with another column, and has all ingests go back, whatever their files say by then.
func (w *world) rolledBack(schema string, notes *noter) {
	w.t.Helper()
	first, second := w.Ingests[0], w.Ingests[1]
	if code, out := w.at(first, "reload", "--back"); code != 1 ||
		!strings.Contains(out, "there is nothing to go back to") {
		w.t.Errorf("back, where one has been started again: status %d, %s", code, out)
	}
	w.replaced(schema, `"note":{"type":"string"}`, `"note":{"type":"string"},"more":{"type":"string"}`)
	var said adminv1.ReloadContractsResponse
	w.acts(&said, first, "reload")
	back := w.replaced(schema, `"more"`, `"other"`)
	mended := w.replaced(first.Config, "    format: json\n", "    format: jsonn\n") // which the command reads as well
	w.acts(&said, second, "reload", "--back", "--reason", "more is too much")
	if !said.GetResult().GetChanged() || said.GetLanes() != 4 || len(said.GetChanges()) != 1 ||
		!slices.Contains(said.GetChanges()[0].GetWhat(), "rows have no column payload.more any more") {
		w.t.Errorf("back: %v", &said)
	}
	back()
	mended()
	if code, out := w.at(second, "reload", "--back"); code != 1 || !strings.Contains(out, "has gone back already") {
		w.t.Errorf("back twice: status %d, %s", code, out)
	}
	w.acts(&said, first, "reload", "--validate")
	if len(said.GetChanges()) != 1 { // the files have what is not in use
		w.t.Errorf("after going back: %v", &said)
	}
	notes.write(100)
	w.committed(notesTopic, notes.sent.Load())
	once := w.offsets("notes")
	for place, times := range once {
		if times != 1 {
			w.t.Errorf("after going back, offset %v is there %d times", place, times)
		}
	}
	if len(once) != int(notes.sent.Load()) {
		w.t.Errorf("after going back, %d of %d notes are in the table", len(once), notes.sent.Load())
	}
}
