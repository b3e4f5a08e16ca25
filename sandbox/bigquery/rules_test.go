package bigquery_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	emulator "github.com/waybill-data/waybill/sandbox/bigquery"
	"github.com/waybill-data/waybill/sandbox/bigquery/fault"
)

func field(name, kind string, more ...string) string {
	return fmt.Sprintf(`{"name": %q, "type": %q%s}`, name, kind, strings.Join(more, ""))
}

// nested is a field of so many RECORDs in one another.
func nested(levels int) string {
	out := field("leaf", "STRING")
	for i := range levels {
		out = field(fmt.Sprint("r", i), "RECORD", `, "fields": [`+out+`]`)
	}
	return out
}

// What BigQuery refuses of a schema the emulator refuses, and what it takes the emulator takes.
func TestSchemaRules(t *testing.T) {
	b := start(t, emulator.Config{})
	wide := func(n int) string {
		fields := make([]string, n)
		for i := range fields {
			fields[i] = field(fmt.Sprint("c", i), "STRING")
		}
		return strings.Join(fields, ",")
	}
	decimal := func(kind string, precision, scale int) string {
		return field("n", kind, fmt.Sprintf(`, "precision": "%d", "scale": "%d"`, precision, scale))
	}
	create := func(id, fields string) rest {
		return rest{
			method: "POST", path: v2 + "/datasets/waybill/tables",
			body: fmt.Sprintf(`{"tableReference": {"tableId": %q}, "schema": {"fields": [%s]}}`, id, fields),
		}
	}
	for i, fields := range []string{
		field(strings.Repeat("x", 300), "STRING"), field("größe & mehr #1", "STRING"), field("_partial", "STRING"),
		nested(15), field("r", "RECORD", `, "fields": [`+wide(9_999)+`]`),
		decimal("NUMERIC", 38, 9), decimal("NUMERIC", 29, 0), decimal("BIGNUMERIC", 76, 38), decimal("NUMERIC", 9, 9),
	} {
		b.ok(create(fmt.Sprint("good", i), fields))
	}
	for name, fields := range map[string]string{
		"a name of 301 characters": field(strings.Repeat("x", 301), "STRING"), "no name": field("", "STRING"),
		"a dot": field("a.b", "STRING"), "a slash": field("a/b", "STRING"),
		"names that differ in case": field("Ab", "STRING") + "," + field("aB", "STRING"),
		"nested names that differ in case": field("r", "RECORD",
			`, "fields": [`+field("x", "STRING")+","+field("X", "STRING")+`]`),
		"16 levels": nested(16), "10,001 columns": wide(10_001),
		"10,001 columns with those of a RECORD": field("r", "RECORD", `, "fields": [`+wide(10_000)+`]`),
		"NUMERIC(39, 9)":                        decimal("NUMERIC", 39, 9), "NUMERIC(30)": decimal("NUMERIC", 30, 0),
		"NUMERIC(10, 10)": decimal("NUMERIC", 10, 10), "NUMERIC(2, 3)": decimal("NUMERIC", 2, 3),
		"BIGNUMERIC(77, 38)": decimal("BIGNUMERIC", 77, 38), "BIGNUMERIC(39)": decimal("BIGNUMERIC", 39, 0),
		"a precision of INT64": decimal("INTEGER", 3, 0), "a scale alone": field("n", "NUMERIC", `, "scale": "2"`),
		"a length of INT64": field("n", "INTEGER", `, "maxLength": "2"`), "_TABLE_": field("_table_x", "STRING"),
		"_FILE_": field("_FILE_NAME", "STRING"), "_PARTITION": field("_PartitionTime", "STRING"),
		"_ROW_TIMESTAMP": field("_ROW_TIMESTAMP", "STRING"), "__ROOT__": field("__root__", "STRING"),
		"_COLIDENTIFIER":       field("_COLIDENTIFIER_1", "STRING"),
		"a prefix in a RECORD": field("r", "RECORD", `, "fields": [`+field("_TABLE_", "STRING")+`]`),
		"_CHANGE_TYPE":         field("_CHANGE_TYPE", "STRING"),
	} {
		if message := b.refused(400, create("bad", fields)); t.Failed() {
			t.Fatalf("%s is taken, or refused without a message: %q", name, message)
		}
	}
	b.refused(400, create("a.b", field("a", "STRING")))
	b.refused(400, create(strings.Repeat("t", 1025), field("a", "STRING")))
	long := strings.Repeat("t", 1024)
	b.ok(create(long, field("a", "STRING")))
	b.ok(rest{method: "GET", path: v2 + "/datasets/waybill/tables/" + long})
	b.ok(rest{
		method: "POST", path: v2 + "/datasets",
		body: `{"datasetReference": {"datasetId": "` + strings.Repeat("d", 1024) + `"}}`,
	})
	b.refused(400, rest{method: "POST", path: v2 + "/datasets", body: `{"datasetReference": {"datasetId": "a-b"}}`})
	if message := b.refused(400, rest{
		method: "PATCH", path: v2 + "/datasets/waybill/tables/good0",
		body: `{"schema": {"fields": [` +
			field(strings.Repeat("x", 300), "STRING") + "," + field(strings.Repeat("X", 300), "STRING") +
			`]}}`,
	}); !strings.Contains(message, "already exists") {
		t.Errorf("a patch with names that differ in case: %q", message)
	}
}

// Java names the default stream projects/…/tables/T/_default.
func TestDefaultStreamByItsShortName(t *testing.T) {
	b := start(t, emulator.Config{})
	b.ok(rest{
		method: "POST", path: v2 + "/datasets/waybill/tables",
		body: `{"tableReference": {"tableId": "t"}, "schema": {"fields": [` + field("id", "INTEGER") + `]}}`,
	})
	const table = "projects/sandbox/datasets/waybill/tables/t"
	for _, name := range []string{table + "/_default", table + "/streams/_default"} {
		got, err := b.write.GetWriteStream(t.Context(), &storagepb.GetWriteStreamRequest{
			Name: name, View: storagepb.WriteStreamView_FULL,
		})
		if err != nil || got.Name != table+"/streams/_default" || len(got.TableSchema.GetFields()) != 1 {
			t.Fatalf("%s: %v %v", name, got, err)
		}
		w := b.writer(name, "id")
		for id := range int64(2) { // the name stands in every request of a call that writes to several tables
			if err := w.append(id, nil, func(r *storagepb.AppendRowsRequest) { r.WriteStream = name }); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	if got := b.cells("SELECT COUNT(*) FROM t", "[]"); !cmp.Equal(got, any(list(list("4")))) {
		t.Errorf("rows: %v", got)
	}
	_, err := b.write.GetWriteStream(t.Context(), &storagepb.GetWriteStreamRequest{Name: table + "/_other"})
	wantCode(t, err, codes.InvalidArgument)
}

// Partitions are what the rows make: by day, month, hour or year of a column, by ranges, or by when the rows came.
func TestPartitionsAreListed(t *testing.T) {
	b := start(t, emulator.Config{})
	for id, c := range map[string]struct{ layout, rows, want string }{
		"days": {
			`"timePartitioning": {"type": "DAY", "field": "d"}`,
			`{"d": "2024-01-02"}, {"d": "2024-01-03"}, {"d": "2024-01-02"}, {}`, "20240102 20240103 __NULL__",
		},
		"months": {
			`"timePartitioning": {"type": "MONTH", "field": "d"}`, `{"d": "2024-01-02"}, {"d": "2023-12-31"}`,
			"202401 202312",
		},
		"hours": {
			`"timePartitioning": {"type": "HOUR", "field": "at"}`,
			`{"at": "2024-01-02 03:59:59"}, {"at": "1969-12-31 23:00:00"}`, "2024010203 1969123123",
		},
		"ranges": {
			`"rangePartitioning": {"field": "n", "range": {"start": "0", "end": 100, "interval": "10"}}`,
			`{"n": 9}, {"n": 10}, {"n": 100}, {"n": -1}, {}`, "0 10 __UNPARTITIONED__ __NULL__",
		},
	} {
		b.ok(rest{method: "POST", path: v2 + "/datasets/waybill/tables", body: fmt.Sprintf(
			`{"tableReference": {"tableId": %q}, %s, "schema": {"fields": [%s, %s, %s]}}`,
			id, c.layout, field("d", "DATE"), field("at", "TIMESTAMP"), field("n", "INTEGER"))})
		var rows []string
		for one := range strings.SplitSeq(c.rows, ", ") {
			rows = append(rows, `{"json": `+one+`}`)
		}
		b.ok(rest{
			method: "POST", path: v2 + "/datasets/waybill/tables/" + id + "/insertAll",
			body: `{"rows": [` + strings.Join(rows, ",") + `]}`,
		})
		summary := v2 + "/datasets/waybill/tables/" + id + "$__PARTITIONS_SUMMARY__"
		if got := b.ok(rest{method: "GET", path: summary}); at(got, "schema", "fields", 3, "name") != "partition_id" {
			t.Errorf("%s: %v", id, got)
		}
		var got []string
		listed := b.ok(rest{method: "GET", path: summary + "/data?selectedFields=partition_id"})
		rowsOf, _ := cells(listed["rows"]).([]any)
		for _, one := range rowsOf {
			got = append(got, fmt.Sprint(at(one, 0)))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", id, got, c.want)
		}
	}
	for _, bad := range []string{
		`"rangePartitioning": {"field": "d", "range": {"start": "0", "end": "9", "interval": "1"}}`,
		`"rangePartitioning": {"field": "n", "range": {"start": "9", "end": "9", "interval": "1"}}`,
		`"timePartitioning": {"type": "DAY"}, "rangePartitioning":
			{"field": "n", "range": {"start": "0", "end": "9", "interval": "1"}}`,
		`"timePartitioning": {"type": "DAY", "field": "n"}`,
	} {
		b.refused(400, rest{method: "POST", path: v2 + "/datasets/waybill/tables", body: fmt.Sprintf(
			`{"tableReference": {"tableId": "bad"}, %s, "schema": {"fields": [%s, %s]}}`,
			bad, field("d", "DATE"), field("n", "INTEGER"))})
	}
	if message := b.refused(400, rest{
		method: "GET", path: v2 + "/datasets/waybill/tables/days$20240102/data",
	}); !strings.Contains(
		message, "partition decorators") {
		t.Errorf("a decorator: %q", message)
	}
}

// INFORMATION_SCHEMA describes a dataset's tables and columns, and says which of its views are not there.
func TestInformationSchema(t *testing.T) {
	b := start(t, emulator.Config{})
	b.ok(rest{
		method: "POST", path: v2 + "/datasets/waybill/tables",
		body: `{"tableReference": {"tableId": "t"}, "clustering": {"fields": ["s"]},
		"timePartitioning": {"type": "DAY", "field": "at"}, "schema": {"fields": [` + strings.Join([]string{
			field("at", "TIMESTAMP", `, "mode": "REQUIRED"`),
			field("s", "STRING", `, "maxLength": "3", "defaultValueExpression": "'x'"`),
			field("l", "INTEGER", `, "mode": "REPEATED"`), field("r", "RECORD",
				`, "fields": [`+field("n", "NUMERIC", `, "precision": "9", "scale": "2", "description": "d"`)+`]`),
		}, ",") + `]}}`,
	})
	b.cells("CREATE VIEW v AS SELECT s FROM t", "[]")
	for sql, want := range map[string]any{
		`SELECT table_catalog, table_schema, table_name, table_type, creation_time > TIMESTAMP "2020-01-01"
			FROM waybill.INFORMATION_SCHEMA.TABLES ORDER BY table_name`: list(
			list("sandbox", "waybill", "t", "BASE TABLE", "true"), list("sandbox", "waybill", "v", "VIEW", "true")),
		"SELECT column_name, ordinal_position, is_nullable, data_type, is_partitioning_column,\n" +
			"clustering_ordinal_position, column_default FROM `sandbox.waybill`.information_schema.columns\n" +
			"WHERE table_name = 't' ORDER BY 2": list(
			list("at", "1", "NO", "TIMESTAMP", "YES", nil, "NULL"),
			list("s", "2", "YES", "STRING(3)", "NO", "1", "'x'"),
			list("l", "3", "NO", "ARRAY<INT64>", "NO", nil, "NULL"),
			list("r", "4", "YES", "STRUCT<n NUMERIC(9, 2)>", "NO", nil, "NULL")),
		`SELECT field_path, description FROM INFORMATION_SCHEMA.COLUMN_FIELD_PATHS AS c
			WHERE c.column_name = 'r' ORDER BY 1`: list(list("r", nil), list("r.n", "d")),
		`SELECT COUNT(*) FROM sandbox.waybill.INFORMATION_SCHEMA.COLUMNS
			JOIN waybill.INFORMATION_SCHEMA.TABLES USING (table_name)`: list(list("5")),
	} {
		if diff := cmp.Diff(want, b.cells(sql, "[]")); diff != "" {
			t.Errorf("%s: %s", sql, diff)
		}
	}
	for sql, says := range map[string]string{
		"SELECT 1 FROM waybill.INFORMATION_SCHEMA.PARTITIONS": "TABLES, COLUMNS and COLUMN_FIELD_PATHS",
		"SELECT 1 FROM `region-us`.INFORMATION_SCHEMA.TABLES": "not a region",
		"SELECT 1 FROM none.INFORMATION_SCHEMA.TABLES":        "Not found: Dataset",
	} {
		_, _, out := b.call(rest{
			method: "POST", path: v2 + "/queries", body: fmt.Sprintf(`{"query": %q, "useLegacySql": false}`, sql),
		})
		if message, _ := at(out, "error", "message").(string); !strings.Contains(message, says) {
			t.Errorf("%s: %q, want %q", sql, message, says)
		}
	}
}

// What the Storage APIs have and the emulator has not says so: Arrow rows and the Read API.
func TestStorageThatStaysOut(t *testing.T) {
	b := start(t, emulator.Config{})
	b.ok(rest{
		method: "POST", path: v2 + "/datasets/waybill/tables",
		body: `{"tableReference": {"tableId": "t"}, "schema": {"fields": [` + field("id", "INTEGER") + `]}}`,
	})
	_, err := storagepb.NewBigQueryReadClient(b.conn).CreateReadSession(t.Context(),
		&storagepb.CreateReadSessionRequest{Parent: "projects/sandbox"})
	wantCode(t, err, codes.Unimplemented)
	if !strings.Contains(err.Error(),
		"The sandbox serves the Storage Write API and not /google.cloud.bigquery.storage.v1.BigQueryRead") {
		t.Error(err)
	}
	rpc, err := b.write.AppendRows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := rpc.Send(&storagepb.AppendRowsRequest{
		WriteStream: "projects/sandbox/datasets/waybill/tables/t/streams/_default",
		Rows:        &storagepb.AppendRowsRequest_ArrowRows{ArrowRows: &storagepb.AppendRowsRequest_ArrowData{}},
	}); err != nil {
		t.Fatal(err)
	}
	_, err = rpc.Recv()
	wantCode(t, err, codes.Unimplemented)
	if !strings.Contains(err.Error(), "Arrow rows are not supported by the sandbox") {
		t.Error(err)
	}
}

// With the fault missing_denied a table that is gone is refused as to a caller that may not know of it; one that is
// there is as ever.
func TestMissingTablesDenied(t *testing.T) {
	b := start(t, emulator.Config{})
	b.ok(rest{
		method: "POST", path: v2 + "/datasets/waybill/tables",
		body: `{"tableReference": {"tableId": "t"}, "schema": {"fields": [` + field("id", "INTEGER") + `]}}`,
	})
	const gone, there = "projects/sandbox/datasets/waybill/tables/gone", "projects/sandbox/datasets/waybill/tables/t"
	create := func(table string) error {
		_, err := b.write.CreateWriteStream(t.Context(), &storagepb.CreateWriteStreamRequest{
			Parent: table, WriteStream: &storagepb.WriteStream{Type: storagepb.WriteStream_COMMITTED},
		})
		return err
	}
	wantCode(t, create(gone), codes.NotFound)
	if _, err := b.e.Faults().Add(fault.Fault{Kind: fault.MissingDenied}); err != nil {
		t.Fatal(err)
	}
	_, get := b.write.GetWriteStream(t.Context(), &storagepb.GetWriteStreamRequest{Name: gone + "/streams/_default"})
	for what, err := range map[string]error{"create": create(gone), "get": get} {
		if status.Code(err) != codes.PermissionDenied ||
			!strings.Contains(err.Error(), "on resource '"+gone+"' (or it may not exist)") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := create(there); err != nil {
		t.Errorf("a table that is there: %v", err)
	}
	if message := b.refused(403, rest{method: "GET", path: v2 + "/datasets/waybill/tables/gone"}); !strings.Contains(
		message, "(or it may not exist)") {
		t.Errorf("REST: %q", message)
	}

	w := b.writer(there+"/streams/_default", "id")
	if err := w.append(1, nil, nil); err != nil {
		t.Fatal(err)
	}
	b.ok(rest{method: "DELETE", path: v2 + "/datasets/waybill/tables/t"})
	wantCode(t, w.append(2, nil, nil), codes.PermissionDenied)
	b.e.Faults().Clear("")
	wantCode(t, w.append(2, nil, nil), codes.NotFound)
}

// The emulator is held to the cases that ingest is held to when it looks at a schema before there is a table: each is
// in a RECORD beside the columns of an envelope, as rows have it.
func TestSchemasOfRows(t *testing.T) {
	text, err := os.ReadFile("../../proto/column/v1/testdata/bigquery_schemas.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Case                  string
		Takes                 bool
		Columns               json.RawMessage
		Letters, Nested, Wide int
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	b := start(t, emulator.Config{})
	const envelope = 15
	for i, c := range cases {
		columns, beside := strings.Trim(string(c.Columns), "[]"), ""
		switch {
		case c.Letters > 0:
			columns = field(strings.Repeat("x", c.Letters), "STRING")
		case c.Nested > 0:
			columns = nested(c.Nested)
		case c.Wide > 0:
			fields := make([]string, c.Wide-envelope)
			for i := range fields {
				fields[i] = field(fmt.Sprint("c", i), "STRING")
			}
			columns = strings.Join(fields, ",")
			for i := range envelope - 1 {
				beside += field(fmt.Sprint("e", i), "STRING") + ","
			}
		}
		table := rest{method: "POST", path: v2 + "/datasets/waybill/tables", body: fmt.Sprintf(
			`{"tableReference": {"tableId": "t%d"}, "schema": {"fields": [%s%s]}}`, i, beside,
			field("payload", "RECORD", `, "fields": [`+columns+`]`))}
		if c.Takes {
			b.ok(table)
		} else {
			b.refused(400, table)
		}
		if t.Failed() {
			t.Fatal(c.Case)
		}
	}
}
