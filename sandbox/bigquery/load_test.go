package bigquery_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	emulator "github.com/waybill-data/waybill/sandbox/bigquery"
)

const uploads = "/upload/bigquery/v2/projects/sandbox/jobs"

// multipartBody is a job and its data as Python and Node send them.
func multipartBody(config, data string) rest {
	return rest{
		method: "POST", path: uploads + "?uploadType=multipart", header: map[string]string{
			"Content-Type": "multipart/related; boundary=\"==x==\"",
		},
		body: "--==x==\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n{\"configuration\": " + config +
			"}\r\n" +
			"--==x==\r\ncontent-type: */*\r\n\r\n" + data + "\r\n--==x==--",
	}
}

// load runs a load job, and gives it.
func (b *bench) load(config, data string) map[string]any {
	b.t.Helper()
	out := b.ok(multipartBody(config, data))
	if at(out, "status", "state") != "DONE" {
		b.t.Fatalf("load: %v", out)
	}
	return out
}

func loadInto(table, more string) string {
	return fmt.Sprintf(`{"load": {"sourceFormat": "NEWLINE_DELIMITED_JSON", "destinationTable":
		{"projectId": "sandbox", "datasetId": "waybill", "tableId": %q}%s}}`, table, more)
}

const loadSchema = `, "schema": {"fields": [{"name": "id", "type": "INTEGER"}, {"name": "s", "type": "STRING"}]}`

// A load job's rows become readable together, or none does; the job says why.
func TestLoadJobs(t *testing.T) {
	b := start(t, emulator.Config{})
	count := func() any {
		t.Helper()
		return at(b.cells("SELECT COUNT(*) FROM loaded", "[]"), 0, 0)
	}
	job := b.load(loadInto("loaded", loadSchema+`, "timePartitioning": {"type": "DAY"}`),
		"{\"id\": 1, \"s\": \"a\"}\n\n{\"id\": \"2\"}\r\n{\"s\": null}")
	if at(job, "status", "errorResult") != nil || at(job, "statistics", "load", "outputRows") != "3" || count() != "3" {
		t.Fatalf("job: %v, rows %v", job, count())
	}
	id, _ := at(job, "jobReference", "jobId").(string)
	if got := b.ok(rest{method: "GET", path: v2 + "/jobs/" + id}); at(got, "configuration", "jobType") != "LOAD" {
		t.Errorf("got %v", got)
	}
	if got := b.ok(rest{method: "GET", path: v2 + "/datasets/waybill/tables/loaded"}); at(got, "timePartitioning",
		"type") != "DAY" {
		t.Errorf("created %v", got)
	}

	for name, c := range map[string]struct{ more, data, says string }{
		"a bad value":       {"", "{\"id\": 4}\n{\"id\": \"x\"}\n", "Line 2: id: Cannot convert value to integer"},
		"no JSON":           {"", "{\"id\": 4}\n{", "Line 2"},
		"an unknown field":  {"", `{"id": 4, "z": 1}`, "no such field: z"},
		"too many bad":      {`, "maxBadRecords": 1`, "{\"id\": \"x\"}\n{\"id\": \"y\"}\n{\"id\": 1}", "errors: 2"},
		"a table with rows": {`, "writeDisposition": "WRITE_EMPTY"`, `{"id": 4}`, "Already Exists"},
		"another dataset": {
			`, "destinationTable": {"projectId": "sandbox", "datasetId": "none", "tableId": "t"},
				"createDisposition": "CREATE_NEVER"`,
			`{}`, "Not found",
		},
	} {
		job := b.load(loadInto("loaded", c.more), c.data)
		if message, _ := at(job, "status", "errorResult", "message").(string); !strings.Contains(message, c.says) ||
			count() != "3" {
			t.Errorf("%s: %q, want %q; rows %v", name, message, c.says, count())
		}
	}
	b.load(loadInto("loaded", `, "maxBadRecords": 1, "ignoreUnknownValues": true`),
		"{\"id\": \"x\"}\n{\"id\": 5, \"z\": 1}")
	if count() != "4" {
		t.Errorf("%v rows", count())
	}

	for config, says := range map[string]string{
		loadInto("loaded", `, "writeDisposition": "WRITE_TRUNCATE"`): "does not truncate",
		loadInto("fresh", ""):                                                       "does not detect schemas",
		loadInto("loaded", `, "sourceUris": ["gs://b/o"]`):                          "sourceUris",
		strings.Replace(loadInto("loaded", ""), "NEWLINE_DELIMITED_JSON", "CSV", 1): "it takes NEWLINE_DELIMITED_JSON",
		loadInto("loaded", `, "schemaUpdateOptions": ["ALLOW_FIELD_ADDITION"]`):     "schemaUpdateOptions",
		`{"extract": {}}`: "load jobs only",
	} {
		if got := b.refused(400, multipartBody(config, "{}")); !strings.Contains(got, says) {
			t.Errorf("%q does not say %q", got, says)
		}
	}
}

// A resumable upload comes in pieces, as from Java, Go and, without a size, Python; the response to the last piece has
// the job.
func TestResumableUploads(t *testing.T) {
	b := start(t, emulator.Config{})
	begin := func() string {
		t.Helper()
		status, header, out := b.call(rest{
			method: "POST", path: uploads + "?uploadType=resumable",
			header: map[string]string{"Content-Encoding": "gzip"},
			body:   `{"configuration": ` + loadInto("pieces", loadSchema) + `}`,
		})
		if status != 200 || header.Get("Location") == "" {
			t.Fatalf("begin: %d %v %v", status, header, out)
		}
		return header.Get("Location")
	}
	put := func(to, piece, span string) (int, string, map[string]any) {
		t.Helper()
		status, header, out := b.call(rest{
			method: "PUT", path: to, body: piece, header: map[string]string{"Content-Range": span},
		})
		return status, header.Get("Range"), out
	}
	to := begin()
	for _, c := range []struct {
		piece, span string
		status      int
		has         string
	}{
		{"", "bytes */*", 308, ""},
		{"{\"id\": 1}\n{\"i", "bytes 0-12/*", 308, "bytes=0-12"},
		{"", "bytes */22", 308, "bytes=0-12"},
		{"d\": 2}\n", "bytes 99-105/*", 400, ""},
		{"d\": 2}\n", "what", 400, ""},
	} {
		if status, has, out := put(to, c.piece, c.span); status != c.status || has != c.has {
			t.Errorf("%s: %d %q %v", c.span, status, has, out)
		}
	}
	status, _, job := put(to, "d\": 2}\n\n\n", "bytes 13-21/22")
	if status != 200 || at(job, "statistics", "load", "outputRows") != "2" {
		t.Fatalf("last piece: %d %v", status, job)
	}
	if status, _, _ := put(to, "", "bytes */22"); status != 404 {
		t.Errorf("a piece after the last: %d", status)
	}

	status, header, _ := b.call(rest{
		method: "PUT", path: begin(), body: "{", header: map[string]string{
			"Content-Range": "bytes 0-0/*", "X-GUploader-No-308": "yes",
		},
	})
	if status != 200 || header.Get("X-Http-Status-Code-Override") != "308" {
		t.Errorf("Go's client gets %d %v", status, header)
	}
	got := b.cells("SELECT id FROM pieces ORDER BY id", "[]")
	if diff := cmp.Diff(any(list(list("1"), list("2"))), got); diff != "" {
		t.Error(diff)
	}
}
