package bigquery_test

import (
	"fmt"
	"strings"
	"testing"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	emulator "github.com/waybill-data/waybill/sandbox/bigquery"
)

// A view is a query with a name, made by SQL or by REST. It is read as a table is, also by another view, and names in
// it mean what they meant where it was made.
func TestViews(t *testing.T) {
	b := start(t, emulator.Config{})
	b.cells("CREATE VIEW one AS SELECT 5 AS n", "[]")
	b.ok(rest{
		method: "POST", path: v2 + "/datasets/waybill/tables",
		body: `{"tableReference": {"tableId": "two"}, "view": {"query": "SELECT n + 1 AS m FROM waybill.one",
			"useLegacySql": false}}`,
	})
	for _, sql := range []string{
		"SELECT m FROM two", "SELECT b.m FROM one AS a JOIN two AS b ON a.n + 1 = b.m",
		"WITH one AS (SELECT 7 AS n) SELECT m FROM two",
	} {
		if got := b.cells(sql, "[]"); !cmp.Equal(got, any(list(list("6")))) {
			t.Errorf("%s: %v", sql, got)
		}
	}
}

// Views, materialized views and external tables take no rows, however they are written to, and say what they are.
func TestViewsTakeNoRows(t *testing.T) {
	for kind, definition := range map[string]string{
		"a view":              `"view": {"query": "SELECT 1 AS id", "useLegacySql": false}`,
		"a materialized view": `"materializedView": {"query": "SELECT 1 AS id"}`,
		"an external table": `"externalDataConfiguration": {"sourceFormat": "CSV", "sourceUris": ["gs://b/f"],
			"schema": {"fields": [` + field("id", "INTEGER") + `]}}`,
	} {
		t.Run(kind, func(t *testing.T) { takesNoRows(t, kind, definition) })
	}
}

func takesNoRows(t *testing.T, kind, definition string) {
	b := start(t, emulator.Config{})
	b.ok(rest{
		method: "POST", path: v2 + "/datasets/waybill/tables",
		body: `{"tableReference": {"tableId": "v"}, ` + definition + `}`,
	})
	const name = "projects/sandbox/datasets/waybill/tables/v"
	got := b.ok(rest{method: "GET", path: v2 + "/datasets/waybill/tables/v"})
	want := map[string]string{
		"a view": "VIEW", "a materialized view": "MATERIALIZED_VIEW", "an external table": "EXTERNAL",
	}[kind]
	if fmt.Sprint(at(got, "type")) != want {
		t.Errorf("it is of type %v", at(got, "type"))
	}
	_, create := b.write.CreateWriteStream(t.Context(), &storagepb.CreateWriteStreamRequest{
		Parent: name, WriteStream: &storagepb.WriteStream{Type: storagepb.WriteStream_COMMITTED},
	})
	_, get := b.write.GetWriteStream(t.Context(), &storagepb.GetWriteStreamRequest{Name: name + "/streams/_default"})
	for what, err := range map[string]error{"create": create, "default": get} {
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "is "+kind) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, message := range map[string]string{
		"insertAll": b.refused(400, rest{
			method: "POST", path: v2 + "/datasets/waybill/tables/v/insertAll", body: `{"rows": [{"json": {"id": 1}}]}`,
		}),
		"load": fmt.Sprint(at(b.load(loadInto("v", ""), `{"id": 1}`), "status", "errorResult", "message")),
	} {
		if !strings.Contains(message, "is "+kind) {
			t.Errorf("%s: %q", what, message)
		}
	}
}
