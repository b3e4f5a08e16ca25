package bigquery_test

import (
	"fmt"
	"strings"
	"testing"

	"cloud.google.com/go/bigquery"
	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	emulator "github.com/waybill-data/waybill/sandbox/bigquery"
)

// Views are queries with a name: made by SQL or REST, read like tables, in a scope of their own, and never written to.
func TestViews(t *testing.T) {
	b := start(t, emulator.Config{})
	b.createTable()
	b.open(b.createStream(storagepb.WriteStream_COMMITTED)).mustAppend(0, encoded(t, 0, 10))
	run := func(sql string) error {
		q := b.bq.Query(sql)
		q.DefaultProjectID, q.DefaultDatasetID = "sandbox", dataset
		_, err := q.Read(t.Context())
		return err
	}
	for _, sql := range []string{
		"CREATE VIEW late AS SELECT kafka_offset AS n, event_time FROM delivery_events WHERE kafka_offset >= 5; -- five",
		"CREATE VIEW IF NOT EXISTS late AS SELECT 1 AS other",
		"create or replace view `waybill.sums` as\nWITH late AS (SELECT 1 AS n) SELECT SUM(n) AS s FROM sandbox.waybill.late",
	} {
		if err := run(sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if err := b.bq.Dataset(dataset).Table("by_rest").Create(t.Context(), &bigquery.TableMetadata{
		ViewQuery: "SELECT n + 1 AS m FROM waybill.late",
	}); err != nil {
		t.Fatal(err)
	}
	type row = []bigquery.Value
	for sql, want := range map[string][]row{
		"SELECT COUNT(*), MIN(n), MAX(v.n) FROM waybill.late AS v": {
			{int64(5), int64(5), int64(9)},
		},
		"SELECT s FROM waybill.sums":                                                           {{int64(35)}},
		"SELECT MAX(m) FROM waybill.by_rest":                                                   {{int64(10)}},
		"SELECT COUNT(*) FROM waybill.late a JOIN waybill.by_rest b ON a.n = b.m":              {{int64(4)}},
		"WITH delivery_events AS (SELECT 7 AS kafka_offset) SELECT COUNT(*) FROM waybill.late": {{int64(5)}},
	} {
		if diff := cmp.Diff(want, b.query(sql)); diff != "" {
			t.Errorf("%s\n%s", sql, diff)
		}
	}
	metadata, err := b.bq.Dataset(dataset).Table("late").Metadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if metadata.Type != bigquery.ViewTable || len(metadata.Schema) != 2 ||
		metadata.Schema[1].Type != bigquery.TimestampFieldType ||
		!strings.HasPrefix(metadata.ViewQuery, "SELECT kafka_offset") {
		t.Errorf("the view is described as %s with %v of %q", metadata.Type, metadata.Schema, metadata.ViewQuery)
	}
	if err := run("CREATE OR REPLACE VIEW late AS SELECT m AS n FROM by_rest"); err != nil {
		t.Fatal(err)
	}
	for sql, says := range map[string]string{
		"SELECT * FROM late":                                      "reads itself",
		"CREATE VIEW late AS SELECT 1 AS n":                       "Already Exists",
		"CREATE OR REPLACE VIEW delivery_events AS SELECT 1 AS n": "is a table and no view",
		"CREATE VIEW bad AS SELECT nothing FROM delivery_events":  "Unrecognized name: nothing",
		"CREATE VIEW bad (n) AS SELECT 1":                         "without columns and options",
		"CREATE TABLE bad (n INT64)":                              "does not support CREATE TABLE",
	} {
		if err := run(sql); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", sql, err, says)
		}
	}
	_, err = b.write.CreateWriteStream(t.Context(), &storagepb.CreateWriteStreamRequest{
		Parent:      "projects/sandbox/datasets/" + dataset + "/tables/late",
		WriteStream: &storagepb.WriteStream{Type: storagepb.WriteStream_COMMITTED},
	})
	if err == nil || !strings.Contains(err.Error(), "is a view") {
		t.Errorf("a write stream of a view: %v", err)
	}
}

// Views, materialized views and external tables take no rows, however they are written to, and say what they are.
func TestViewsTakeNoRows(t *testing.T) {
	for kind, definition := range map[string]string{
		"a view":              `"view": {"query": "SELECT 1 AS id", "useLegacySql": false}`,
		"a materialized view": `"materializedView": {"query": "SELECT 1 AS id"}`,
		"an external table": `"externalDataConfiguration": {"sourceFormat": "CSV", "sourceUris": ["gs://b/f"],
			"schema": {"fields": [` +
			field("id", "INTEGER") + `]}}`,
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
