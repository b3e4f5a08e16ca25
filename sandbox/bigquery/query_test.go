package bigquery_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/bigquery"
	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"cloud.google.com/go/civil"
	"github.com/google/go-cmp/cmp"

	emulator "github.com/waybill-data/waybill/sandbox/bigquery"
)

func TestSQL(t *testing.T) {
	b := start(t, emulator.Config{})
	b.createTable()
	b.open(b.createStream(storagepb.WriteStream_COMMITTED)).mustAppend(0, encoded(t, 0, 100))
	type row = []bigquery.Value
	at := time.UnixMicro(1_700_000_000_000_000).UTC()
	for _, c := range []struct {
		sql  string
		want []row
	}{
		{
			"SELECT event_type, COUNT(*) AS n FROM `sandbox.waybill.delivery_events` GROUP BY " +
				"event_type ORDER BY n DESC, event_type",
			[]row{{"A", int64(50)}, {"B", int64(50)}},
		},
		{
			"select delivery.customer.name, delivery.status, kafka_key from waybill.delivery_events where " +
				"kafka_offset = 7",
			[]row{{"Ana", "done", []byte{0, 7}}},
		},
		{
			"SELECT MIN(event_time), MAX(event_time) > TIMESTAMP '2023-11-14', COUNT(DISTINCT " +
				"kafka_partition) FROM delivery_events", []row{{at, true, int64(3)}},
		},
		{
			"SELECT TIMESTAMP_TRUNC(event_time, HOUR) AS h, DATE(event_time), EXTRACT(DAY FROM event_time), " +
				"COUNTIF(delivery.optimized) FROM waybill.delivery_events GROUP BY h, 2, 3",
			[]row{
				{
					time.Date(2023, 11, 14, 22, 0, 0, 0, time.UTC),
					civil.Date{Year: 2023, Month: 11, Day: 14},
					int64(14),
					int64(50),
				},
			},
		},
		{
			"SELECT e.kafka_offset, i.qnt FROM waybill.delivery_events e, UNNEST(e.delivery.items) AS i WHERE " +
				"i.currency IS NULL ORDER BY 1 DESC LIMIT 2",
			[]row{{int64(99), int64(99)}, {int64(98), int64(98)}},
		},
		{
			"SELECT delivery.items[OFFSET(0)].qnt + 1, ARRAY_LENGTH(delivery.items), SAFE_DIVIDE(1, 0), " +
				"IF(kafka_offset > 1, 'x', 'y') FROM waybill.delivery_events LIMIT 1",
			[]row{{int64(3), int64(2), nil, "y"}},
		},
		{
			"SELECT TIMESTAMP_DIFF(MAX(event_time), MIN(event_time), SECOND), " +
				"SUM(delivery.delivery_value_total) FROM waybill.delivery_events", []row{{int64(99), 5000.0}},
		},
		{
			"SELECT x FROM (SELECT kafka_offset AS x, ROW_NUMBER() OVER (PARTITION BY kafka_partition ORDER BY " +
				"kafka_offset) AS n FROM waybill.delivery_events) WHERE n = 2 ORDER BY x",
			[]row{{int64(3)}, {int64(4)}, {int64(5)}},
		},
		{
			"WITH t AS (SELECT kafka_partition AS p FROM waybill.delivery_events) SELECT p, COUNT(*) FROM t " +
				"GROUP BY p HAVING COUNT(*) > 33", []row{{int64(0), int64(34)}},
		},
		{
			"SELECT delivery.items FROM waybill.delivery_events WHERE event_id = @id",
			[]row{{[]bigquery.Value{[]bigquery.Value{int64(2), "EUR"}, []bigquery.Value{int64(5), nil}}}},
		},
		{
			"SELECT APPROX_QUANTILES(kafka_offset, 4) FROM waybill.delivery_events", []row{
				{[]bigquery.Value{int64(0), int64(24), int64(49), int64(74), int64(99)}},
			},
		},
		{
			"SELECT CAST(kafka_offset AS STRING) || '!' FROM waybill.delivery_events WHERE event_time BETWEEN " +
				"'2023-11-14 22:13:21' AND '2023-11-14T22:13:21Z'", []row{{"1!"}},
		},
	} {
		got := b.query(c.sql, bigquery.QueryParameter{Name: "id", Value: "e5"})
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s\n%s", c.sql, diff)
		}
	}
	for sql, says := range map[string]string{
		"DELETE FROM waybill.delivery_events WHERE true":         "SELECT queries only",
		"SELECT nothing FROM waybill.delivery_events":            "Unrecognized name: nothing",
		"SELECT ST_AREA(event_id) FROM waybill.delivery_events":  "does not support function ST_AREA",
		"SELECT delivery.items.qnt FROM waybill.delivery_events": "UNNEST",
		"SELECT 1 FROM waybill.none":                             "none",
		"SELECT event_id FROM waybill.delivery_events QUALIFY 1": "QUALIFY",
		"SELECT 1/0": "division by zero",
		"SELECT event_id FROM waybill.delivery_events WHERE event_id>1": "No matching signature",
	} {
		_, err := b.bq.Query(sql).Read(t.Context())
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", sql, err, says)
		}
	}
}

func TestPaging(t *testing.T) {
	b := start(t, emulator.Config{})
	b.createTable()
	a := b.open(b.createStream(storagepb.WriteStream_COMMITTED))
	for i := int64(0); i < 1000; i += 50 {
		a.mustAppend(i, encoded(t, i, i+50))
	}
	q, err := b.bq.Query("SELECT kafka_offset FROM waybill.delivery_events ORDER BY 1").Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	it, err := q.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table := b.bq.Dataset(dataset).Table("delivery_events").Read(t.Context())
	for name, it := range map[string]*bigquery.RowIterator{"query": it, "table": table} {
		it.PageInfo().MaxSize = 77
		rows := all(t, it)
		column := 0
		if name == "table" {
			column = 5
		}
		if len(rows) != 1000 || it.TotalRows != 1000 {
			t.Fatalf("%s: %d rows of %d", name, len(rows), it.TotalRows)
		}
		for i, r := range rows {
			if r[column] != int64(i) {
				t.Fatalf("%s: row %d is %v", name, i, r)
			}
		}
	}
}

func TestInsertAllTypes(t *testing.T) {
	b := start(t, emulator.Config{})
	schema := bigquery.Schema{
		{Name: "s", Type: bigquery.StringFieldType, Required: true},
		{Name: "n", Type: bigquery.NumericFieldType},
		{Name: "d", Type: bigquery.DateFieldType},
		{Name: "ts", Type: bigquery.TimestampFieldType},
		{Name: "dt", Type: bigquery.DateTimeFieldType},
		{Name: "tm", Type: bigquery.TimeFieldType},
		{Name: "b", Type: bigquery.BytesFieldType},
		{Name: "f", Type: bigquery.FloatFieldType},
		{Name: "i", Type: bigquery.IntegerFieldType, Repeated: true},
		{
			Name: "r", Type: bigquery.RecordFieldType,
			Schema: bigquery.Schema{{Name: "ok", Type: bigquery.BooleanFieldType}},
		},
	}
	table := b.bq.Dataset(dataset).Table("types")
	if err := table.Create(t.Context(), &bigquery.TableMetadata{Schema: schema}); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2024, 2, 29, 12, 30, 0, 123456000, time.UTC)
	save := func(s any) error {
		return table.Inserter().Put(t.Context(), &bigquery.ValuesSaver{Schema: schema, Row: []bigquery.Value{
			s, big.NewRat(2469, 200), civil.DateOf(at), at, civil.DateTimeOf(at), civil.TimeOf(at),
			[]byte{1, 2},
			2.5,
			[]bigquery.Value{1, 2},
			[]bigquery.Value{true},
		}})
	}
	if err := save("x"); err != nil {
		t.Fatal(err)
	}
	if err := save(nil); err == nil || !strings.Contains(err.Error(), "required field is missing") &&
		!strings.Contains(fmt.Sprintf("%+v", err), "insertion failed") {
		t.Fatalf("a row without a REQUIRED value: %v", err)
	}
	got := all(t, table.Read(t.Context()))
	if len(got) != 1 {
		t.Fatalf("%d rows", len(got))
	}
	r := got[0]
	if fmt.Sprint(r[1]) != "2469/200" || r[2] != civil.DateOf(at) || !r[3].(time.Time).Equal(at) ||
		r[4] != civil.DateTimeOf(at) || r[5] != civil.TimeOf(at) || r[7] != 2.5 {
		t.Fatalf("got %v", r)
	}
	sql := b.query("SELECT * FROM waybill.types WHERE n > 12 AND d = '2024-02-29' AND r.ok")
	if diff := cmp.Diff(fmt.Sprint(r), fmt.Sprint(sql[0])); diff != "" {
		t.Fatal(diff)
	}

	for name, change := range map[string]struct {
		to bigquery.Schema
		ok bool
	}{
		"a column more": {
			append(slices.Clip(schema), &bigquery.FieldSchema{Name: "new", Type: bigquery.StringFieldType}), true,
		},
		"a column less": {schema[:3], false},
		"another REQUIRED": {
			append(slices.Clip(schema), &bigquery.FieldSchema{
				Name: "must", Type: bigquery.StringFieldType,
				Required: true,
			}),
			false,
		},
		"another type": {
			append(bigquery.Schema{{Name: "s", Type: bigquery.IntegerFieldType, Required: true}}, schema[1:]...), false,
		},
	} {
		_, err := table.Update(t.Context(), bigquery.TableMetadataToUpdate{Schema: change.to}, "")
		if (err == nil) != change.ok {
			t.Errorf("%s: %v", name, err)
		}
		if change.ok {
			schema = change.to
		}
		if err == nil {
			schema = change.to
		}
	}
	if m, err := table.Metadata(t.Context()); err != nil || m.NumRows != 1 {
		t.Fatal(m, err)
	}
	if p, err := table.IAM().TestPermissions(t.Context(), []string{"bigquery.tables.updateData"}); err != nil ||
		len(p) != 1 {
		t.Fatal(p, err)
	}
}

func TestAdmin(t *testing.T) {
	b := start(t, emulator.Config{})
	b.createTable()
	a := b.open(b.createStream(storagepb.WriteStream_COMMITTED))
	a.mustAppend(0, encoded(t, 0, 30))
	a.mustAppend(30, encoded(t, 30, 60))
	admin := httptest.NewServer(b.e.Admin())
	t.Cleanup(admin.Close)
	fetch := func(method, path, content string) (int, []byte) {
		t.Helper()
		request, err := http.NewRequest(method, admin.URL+path, strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		out, err := admin.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Body.Close()
		body, err := io.ReadAll(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		return out.StatusCode, body
	}
	get := func(path string) (int, []byte) { t.Helper(); return fetch(http.MethodGet, path, "") }
	post := func(fault string) (int, []byte) { t.Helper(); return fetch(http.MethodPost, "/bigquery/faults", fault) }
	_, body := get("/bigquery/rows?table=waybill.delivery_events")
	lines := bufio.NewScanner(bytes.NewReader(body))
	n := int64(0)
	for ; lines.Scan(); n++ {
		var p struct {
			Topic, Stream          string
			Partition, Offset, Row int64
		}
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil || p.Topic != "deliveries" || p.Offset != n ||
			p.Row != n ||
			p.Partition != n%3 || p.Stream == "" {
			t.Fatalf("line %d: %s %v", n, lines.Bytes(), err)
		}
	}
	if n != 60 {
		t.Fatalf("%d lines", n)
	}
	var r map[string]any
	_, body = get("/bigquery/row?table=waybill.delivery_events&topic=deliveries&partition=2&offset=35")
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatal(err)
	}
	if r["event_id"] != "e35" || r["event_time"] != "2023-11-14T22:13:55.000000Z" || r["kafka_key"] != "ACM=" ||
		r["delivery"].(map[string]any)["status"] != "done" {
		t.Fatal(r)
	}
	const row = "/bigquery/row?table=waybill.delivery_events&topic=deliveries"
	if got, _ := get(row + "&partition=1&offset=35"); got != http.StatusNotFound {
		t.Fatal(got)
	}
	a.mustAppend(60, encoded(t, 60, 61))
	if got, _ := get(row + "&partition=0&offset=60"); got != http.StatusOK {
		t.Fatal(got)
	}
	var stats emulator.Stats
	_, body = get("/bigquery/stats")
	if err := json.Unmarshal(body, &stats); err != nil || stats.Rows != 61 || stats.Tables[0].Rows != 61 {
		t.Fatal(stats, err)
	}
	if got, body := post(`{"kind":"latency","delay":"5ms","count":2}`); got != http.StatusOK ||
		len(b.e.Faults().List()) != 1 {
		t.Fatalf("%d %s", got, body)
	}
	if got, body := post(`{"kind":"latencyy"}`); got != http.StatusBadRequest {
		t.Fatalf("%d %s", got, body)
	}
}
