package bigquery_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	emulator "github.com/waybill-data/waybill/sandbox/bigquery"
)

// rest is one call as a client of another language sends it. body is JSON, or any text with a Content-Type of its own.
type rest struct {
	method, path, body string
	header             map[string]string
}

// call returns the status, the headers and the decoded JSON, nil for none.
func (b *bench) call(r rest) (status int, header http.Header, out map[string]any) {
	b.t.Helper()
	var body io.Reader = strings.NewReader(r.body)
	if r.header["Content-Encoding"] == "gzip" {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write([]byte(r.body)); err != nil {
			b.t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			b.t.Fatal(err)
		}
		body = &packed
	}
	url := r.path
	if !strings.HasPrefix(url, "http:") {
		url = "http://" + b.e.Addrs().REST + r.path
	}
	request, err := http.NewRequestWithContext(b.t.Context(), r.method, url, body)
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for key, value := range r.header {
		request.Header.Set(key, value)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{
		Transport: transport, CheckRedirect: func(*http.Request,
			[]*http.Request,
		) error {
			return http.ErrUseLastResponse
		},
	}).Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &out); err != nil {
			b.t.Fatalf("%s %s: %v: %s", r.method, r.path, err, text)
		}
	}
	return response.StatusCode, response.Header, out
}

// ok is call for what must succeed.
func (b *bench) ok(r rest) map[string]any {
	b.t.Helper()
	status, _, out := b.call(r)
	if status/100 != 2 {
		b.t.Fatalf("%s %s: %d %v", r.method, r.path, status, out)
	}
	return out
}

// refused is call for what must fail with a status, and gives the message.
func (b *bench) refused(want int, r rest) string {
	b.t.Helper()
	status, _, out := b.call(r)
	e, _ := out["error"].(map[string]any)
	message, _ := e["message"].(string)
	if status != want || message == "" {
		b.t.Errorf("%s %s: %d %v, want %d", r.method, r.path, status, out, want)
	}
	return message
}

const v2 = "/bigquery/v2/projects/sandbox"

// at walks decoded JSON: a key of an object, or an index of an array, a step.
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := v.(map[string]any)
			v = object[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

// cells are the values of returned rows, as the REST API nests them: {"f":[{"v":…}]} becomes a list.
func cells(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if f, ok := v["f"]; ok {
			return cells(f)
		}
		return cells(v["v"])
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = cells(v[i])
		}
		return out
	}
	return v
}

// cells runs a query as jobs.query does, with parameters in JSON, and gives the cells.
func (b *bench) cells(sql, parameters string) any {
	b.t.Helper()
	text, err := json.Marshal(sql)
	if err != nil {
		b.t.Fatal(err)
	}
	out := b.ok(rest{method: "POST", path: v2 + "/queries", body: fmt.Sprintf(
		`{"query": %s, "useLegacySql": false, "defaultDataset": {"datasetId": "waybill"}, "queryParameters": %s}`, text,
		parameters)})
	return cells(out["rows"])
}

func list(v ...any) []any { return v }

// Python sends int64 fields as JSON numbers, Java booleans and numbers as text; the service takes either.
func TestNumbersOfEitherForm(t *testing.T) {
	b := start(t, emulator.Config{})
	for i, field := range []string{
		`{"name": "n", "type": "NUMERIC", "precision": 10, "scale": 2}`,
		`{"name": "n", "type": "NUMERIC", "precision": "10", "scale": "2"}`,
	} {
		b.ok(rest{method: "POST", path: v2 + "/datasets/waybill/tables", body: fmt.Sprintf(
			`{"tableReference": {"tableId": "t%d"}, "schema": {"fields": [%s]}, "expirationTime": 4102444800000,
			  "timePartitioning": {"type": "DAY", "requirePartitionFilter": "false", "expirationMs": 86400000}}`, i,
			field)})
		got := b.ok(rest{method: "GET", path: fmt.Sprintf("%s/datasets/waybill/tables/t%d", v2, i)})
		want := map[string]any{"name": "n", "type": "NUMERIC", "precision": "10", "scale": "2"}
		if diff := cmp.Diff(want, at(got, "schema", "fields", 0)); diff != "" {
			t.Errorf("field: %s", diff)
		}
		if at(got, "timePartitioning", "expirationMs") != "86400000" || got["expirationTime"] != "4102444800000" {
			t.Errorf("table: %v", got)
		}
		patch := b.ok(rest{
			method: "PATCH", path: fmt.Sprintf("%s/datasets/waybill/tables/t%d", v2, i),
			body: `{"schema": {"fields": [
			{"name": "n", "type": "NUMERIC", "precision": 10, "scale": 2}, {"name": "s", "type": "STRING", "maxLength": 5}]}}`,
		})
		if at(patch, "schema", "fields", 1, "maxLength") != "5" {
			t.Errorf("patched: %v", patch)
		}
	}
	b.refused(400, rest{
		method: "POST", path: v2 + "/datasets/waybill/tables",
		body: `{"tableReference": {"tableId": "x"}, "schema": {"fields": [
		{"name": "n", "type": "NUMERIC", "precision": "ten"}]}}`,
	})
}

// All of Java's requests are compressed, and its patches are POSTs that say PATCH in a header.
func TestRequestsOfJava(t *testing.T) {
	b := start(t, emulator.Config{})
	packed := map[string]string{"Content-Encoding": "gzip"}
	b.ok(rest{
		method: "POST", path: v2 + "/datasets", body: `{"datasetReference": {"datasetId": "packed"}}`, header: packed,
	})
	b.ok(rest{method: "GET", path: v2 + "/datasets/packed"})
	out := b.ok(rest{
		method: "POST", path: v2 + "/queries", body: `{"query": "SELECT 1 + 1", "useLegacySql": false}`, header: packed,
	})
	if diff := cmp.Diff(any(list(list("2"))), cells(out["rows"])); diff != "" {
		t.Error(diff)
	}
	b.refused(400, rest{
		method: "POST", path: v2 + "/datasets", body: "{}", header: map[string]string{"Content-Encoding": "br"},
	})
	b.ok(rest{
		method: "POST", path: v2 + "/datasets/packed", body: `{"description": "d"}`,
		header: map[string]string{"X-HTTP-Method-Override": "PATCH"},
	})
	if got := b.ok(rest{method: "GET", path: v2 + "/datasets/packed"}); got["description"] != "d" {
		t.Errorf("patched: %v", got)
	}
}

// selectedFields chooses columns and fields of RECORDs, in the table's order.
func TestSelectedFields(t *testing.T) {
	b := start(t, emulator.Config{})
	b.ok(rest{
		method: "POST", path: v2 + "/datasets/waybill/tables",
		body: `{"tableReference": {"tableId": "t"}, "schema": {"fields": [
		{"name": "a", "type": "STRING"}, {"name": "b", "type": "STRING"},
		{"name": "r", "type": "RECORD", "fields": [{"name": "x", "type": "INTEGER"}, {"name": "y", "type": "STRING"}]},
		{"name": "l", "type": "RECORD", "mode": "REPEATED", "fields": [
			{"name": "x", "type": "INTEGER"}, {"name": "y", "type": "STRING"}]}]}}`,
	})
	b.ok(rest{method: "POST", path: v2 + "/datasets/waybill/tables/t/insertAll", body: `{"rows": [{"json":
		{"a": "1", "b": "2", "r": {"x": 3, "y": "4"}, "l": [{"x": 5, "y": "6"}, {"x": 7, "y": "8"}]}},
		{"json": {"b": "9"}}]}`})
	for selected, want := range map[string]any{
		"b":         list(list("2"), list("9")),
		"B,a":       list(list("1", "2"), list(nil, "9")),
		"b,r.y":     list(list("2", list("4")), list("9", nil)),
		"l.y,r":     list(list(list("3", "4"), list(list("6"), list("8"))), list(nil, []any{})),
		"r.x,r.y,a": list(list("1", list("3", "4")), list(nil, nil)),
	} {
		out := b.ok(rest{method: "GET", path: v2 + "/datasets/waybill/tables/t/data?selectedFields=" + selected})
		if diff := cmp.Diff(want, cells(out["rows"])); diff != "" {
			t.Errorf("%s: %s", selected, diff)
		}
	}
	for _, unknown := range []string{"c", "r.z", "a.x"} {
		b.refused(400, rest{method: "GET", path: v2 + "/datasets/waybill/tables/t/data?selectedFields=" + unknown})
	}
}

// Parameters of all kinds, as Python and Java write them; a number need not be text, and null is not the empty text.
func TestQueryParameters(t *testing.T) {
	b := start(t, emulator.Config{})
	const one = `"parameterType": {"type": "INT64"}, "parameterValue"`
	for _, c := range []struct {
		sql, parameters string
		want            any
	}{
		{"SELECT @n + 1", `[{"name": "n", ` + one + `: {"value": "41"}}]`, list(list("42"))},
		{"SELECT @n + 1", `[{"name": "n", ` + one + `: {"value": 41}}]`, list(list("42"))},
		{
			"SELECT @`n`, @`select`",
			`[{"name": "n", ` + one + `: {"value": 1}}, {"name": "select", ` + one + `: {"value": 2}}]`,
			list(list("1", "2")),
		},
		{"SELECT ? - ?", `[{` + one + `: {"value": 5}}, {` + one + `: {"value": 3}}]`, list(list("2"))},
		{
			"SELECT @s IS NULL, @e = '', @m IS NULL",
			`[{"name": "s", "parameterType": {"type": "STRING"}, "parameterValue": {"value": null}},
			  {"name": "e", "parameterType": {"type": "STRING"}, "parameterValue": {"value": ""}},
			  {"name": "m", "parameterType": {"type": "STRING"}}]`,
			list(list("true", "true", "true")),
		},
		{
			"SELECT @b", `[{"name": "b", "parameterType": {"type": "BOOL"}, "parameterValue": {"value": true}}]`,
			list(list("true")),
		},
		{
			"SELECT x FROM UNNEST(@xs) AS x WITH OFFSET AS o ORDER BY o DESC",
			`[{"name": "xs", "parameterType": {"type": "ARRAY", "arrayType": {"type": "STRING"}},
			   "parameterValue": {"arrayValues": [{"value": "a'"}, {"value": "b\""}]}}]`, list(list(`b"`), list("a'")),
		},
		{
			"SELECT 2 IN UNNEST(@xs), ARRAY_LENGTH(@none), @xs",
			`[{"name": "xs", "parameterType": {"type": "ARRAY", "arrayType": {"type": "INT64"}},
			  "parameterValue": {"arrayValues": [{"value": "1"}, {"value": 2}]}},
			  {"name": "none", "parameterType": {"type": "ARRAY", "arrayType": {"type": "DATE"}}, "parameterValue": {}}]`,
			list(list("true", "0", list("1", "2"))),
		},
		{
			"SELECT @p.x + @p.in.y, @p.at, @p",
			`[{"name": "p", "parameterType": {"type": "STRUCT", "structTypes": [
			   {"name": "x", "type": {"type": "INT64"}}, {"name": "at", "type": {"type": "DATE"}},
			    {"name": "in", "type": {"type": "STRUCT", "structTypes": [{"name": "y", "type": {"type": "FLOAT64"}}]}}]},
			   "parameterValue": {"structValues": {"x": {"value": 1}, "at": {"value": "2024-1-2"},
			     "in": {"structValues": {"y": {"value": "0.5"}}}}}}]`,
			list(list("1.5", "2024-01-02", list("1", "2024-01-02", list("0.5")))),
		},
	} {
		if diff := cmp.Diff(c.want, b.cells(c.sql, c.parameters)); diff != "" {
			t.Errorf("%s: %s", c.sql, diff)
		}
	}
	for _, bad := range []string{
		`[{"name": "n", "parameterType": {"type": "INT64"}, "parameterValue": {"value": "x"}}]`,
		`[{"name": "n", "parameterType": {"type": "INTERVAL"}, "parameterValue": {"value": "1"}}]`,
		`[{"name": "n", "parameterType": {"type": "FLOAT64"}, "parameterValue": {"value": "NaN"}}]`, `[{"name": "n"}]`,
	} {
		b.refused(400, rest{
			method: "POST", path: v2 + "/queries",
			body: `{"query": "SELECT @n", "useLegacySql": false, "queryParameters": ` + bad + `}`,
		})
	}
}

// Datasets are patched, replaced, and guarded by their etag.
func TestDatasetsChange(t *testing.T) {
	b := start(t, emulator.Config{})
	path := v2 + "/datasets/waybill"
	b.ok(rest{
		method: "PATCH", path: path,
		body: `{"description": "d", "labels": {"a": "1", "b": "2"}, "defaultTableExpirationMs": 3600000, "location": "EU"}`,
	})
	got := b.ok(rest{method: "PATCH", path: path, body: `{"labels": {"a": null, "c": "3"}}`})
	if diff := cmp.Diff(map[string]any{"b": "2", "c": "3"}, got["labels"]); diff != "" || got["description"] != "d" ||
		got["location"] != "US" {
		t.Errorf("patched: %v", got)
	}
	b.refused(412, rest{method: "PATCH", path: path, body: `{}`, header: map[string]string{"If-Match": "other"}})
	got = b.ok(rest{method: "PUT", path: path, body: `{"friendlyName": "f"}`})
	if got["description"] != nil || got["friendlyName"] != "f" ||
		at(got, "datasetReference", "datasetId") != "waybill" {
		t.Errorf("replaced: %v", got)
	}
	b.refused(404, rest{method: "PATCH", path: v2 + "/datasets/none", body: `{}`})
}

// Lists come in pages of maxResults.
func TestListsInPages(t *testing.T) {
	b := start(t, emulator.Config{})
	for i := range 5 {
		b.cells(fmt.Sprintf("SELECT %d", i), "[]")
		b.ok(rest{
			method: "POST", path: v2 + "/datasets/waybill/tables",
			body: fmt.Sprintf(`{"tableReference": {"tableId": "t%d"}}`, i),
		})
		b.ok(rest{
			method: "POST", path: v2 + "/datasets",
			body: fmt.Sprintf(`{"datasetReference": {"datasetId": "d%d"}}`, i),
		})
	}
	for path, key := range map[string]string{
		"/jobs": "jobs", "/datasets/waybill/tables": "tables", "/datasets": "datasets",
	} {
		seen, token := map[any]bool{}, ""
		for pages := 1; ; pages++ {
			out := b.ok(rest{method: "GET", path: v2 + path + "?maxResults=2&pageToken=" + token})
			some, _ := out[key].([]any)
			for _, one := range some {
				seen[at(one, "id")] = true
			}
			if len(some) > 2 || pages > 3 {
				t.Fatalf("%s: page %d has %d", path, pages, len(some))
			}
			if token, _ = out["nextPageToken"].(string); token == "" {
				break
			}
		}
		if len(seen) < 5 {
			t.Errorf("%s: %d in all pages", path, len(seen))
		}
	}
	if out := b.ok(rest{method: "GET", path: v2 + "/jobs?stateFilter=running"}); out["jobs"] != nil {
		t.Errorf("running: %v", out["jobs"])
	}
}
