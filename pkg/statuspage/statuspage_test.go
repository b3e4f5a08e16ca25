package statuspage

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/pkg/events"
	"github.com/waybill-data/waybill/pkg/fleetview"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a process with so many tables and lanes, some of each in trouble, whose names want escaping.
type fake struct{ tables, lanes int }

const hostile = `<script>alert("x")</script>`

func (f fake) Tables() []*adminv1.Table {
	var out []*adminv1.Table
	for i := range f.tables {
		t := &adminv1.Table{
			Name: fmt.Sprintf("warehouse.orders_%03d", i), State: adminv1.State_STATE_FRESH, Reason: "is fresh",
			CompleteThrough: timestamppb.Now(), Goal: durationpb.New(time.Minute),
			Stale: durationpb.New(10 * time.Minute), Cause: "append", Since: timestamppb.Now(), RowsPerSecond: 12345.6,
			BytesPerSecond: 7.5e6, DeadLetters: uint64(i % 3),
			Shares: []*adminv1.Share{
				{Cause: "append", Minute: 0.6, Quarter: 0.5},
				{Cause: "decode", Minute: 0.4, Quarter: 0.3},
				{Cause: "idle", Quarter: 0.2},
			},
			Lanes: map[string]int32{"open": 9, "stalled": 1}, Topics: []string{"orders"},
		}
		switch i {
		case 3:
			t.State, t.BehindRecords, t.Behind = adminv1.State_STATE_STALE, 4_200_000, durationpb.New(722*time.Second)
			t.Cause = "quota"
			t.Reason = "is 12m 02s behind: BigQuery's quota, or an outage, since 14:02:11 UTC (" + hostile + ")"
			t.Shares = []*adminv1.Share{
				{Cause: "quota", Minute: 0.97, Quarter: 0.81}, {Cause: "append", Minute: 0.03, Quarter: 0.19},
			}
		case 5:
			t.State, t.BehindRecords, t.Behind = adminv1.State_STATE_LATE, 3120, durationpb.New(95*time.Second)
			t.Reason = "is 1m 35s behind: the processor, which decodes as fast as it can, since 14:10:40 UTC"
		case 7:
			t.State = adminv1.State_STATE_RECOVERED
		}
		out = append(out, t)
	}
	return out
}

func (f fake) Lanes(topic string, partition *int32, table string) []*adminv1.Lane {
	var out []*adminv1.Lane
	for i := range f.lanes {
		l := &adminv1.Lane{
			Topic: "orders", Partition: int32(i), Ingest: "ingest-1", Writer: "writer-2", State: "open",
			Since: timestamppb.Now(), Cause: "append", CauseSince: timestamppb.Now(), Position: 123456789,
			BehindRecords: int64(i),
			Behind:        durationpb.New(time.Duration(i) * time.Second), WindowBatches: 7, WindowBytes: 7 << 20,
			Rows: 1e6, Shares: []*adminv1.Share{
				{Cause: "append", Minute: 0.6, Quarter: 0.5}, {Cause: "decode", Minute: 0.4, Quarter: 0.5},
			},
			Tables: []string{"warehouse.orders_003"},
			Checkpoint: &adminv1.Checkpoint{Position: 123456789, End: 123457789, Streams: []*adminv1.Stream{{
				Table: "p.warehouse.orders_003", Rows: 1234, Drop: 5,
				Stream: "projects/p/datasets/warehouse/tables/orders_003/streams/Cic2",
			}}},
		}
		if i == 4 {
			l.State, l.Cause, l.LastError = "refused", "refused", "grant READ on the topic to this principal "+hostile
		}
		if (topic == "" || topic == l.GetTopic()) && (partition == nil || *partition == l.GetPartition()) {
			out = append(out, l)
		}
	}
	return out
}

func (fake) Process() *adminv1.Process {
	return &adminv1.Process{
		Name: "ingest-1", Service: "ingest", Version: "v1", Address: "10.0.0.7:7080", Started: timestamppb.Now(),
		Lanes:          10,
		BytesPerSecond: 5e7, Processor: 0.4, BudgetUsed: 1 << 28, BudgetSize: 1 << 30, Saturation: 0.41,
		SaturationCause: "processor", Home: "group loader", Streams: 7, TroubledTables: map[string]int32{"quota": 2},
	}
}

func (fake) Plan() *adminv1.Plan {
	return &adminv1.Plan{
		Ingest: "ingest-1",
		Writers: []*adminv1.PlannedWriter{
			{Writer: "writer-1", State: "serving", Lanes: 5, Share: 0.5, Fair: 0.5, Address: "10.0.0.1:7070"},
			{
				Writer: "writer-2", State: "away", Why: "connection refused", Lanes: 5, Share: 0.5,
				Address: "10.0.0.2:7070",
			},
		},
		Moves: []*adminv1.Move{{
			Time: timestamppb.Now(), Topic: "orders", Partition: 3, From: "writer-2", To: "writer-1",
			Reason: "writer-2 drains",
		}},
	}
}

func (fake) DeadLetters() []*adminv1.DeadLetterCount {
	at := int32(100)
	var out []*adminv1.DeadLetterCount
	for i := range 400 {
		out = append(out, &adminv1.DeadLetterCount{
			Topic: "orders", Reason: "undecodable", Count: 12, Hour: 2, Contract: "orders.v1", Type: "order.Placed",
			Field: fmt.Sprintf("items[].total_%d", i), First: timestamppb.Now(), Last: timestamppb.Now(),
			Sample: &adminv1.LetterSample{
				Partition: 3, Offset: 125, Error: "no number " + hostile, Excerpt: bytes.Repeat([]byte("<b>&"), 16),
				ExcerptAt: 68, Byte: &at, ValueBytes: 200,
			},
		})
	}
	return out
}

func (fake) History(string) []*adminv1.StateInterval {
	now := time.Now()
	return []*adminv1.StateInterval{
		{
			From: timestamppb.New(now.Add(-30 * time.Hour)), Until: timestamppb.New(now.Add(-2 * time.Hour)),
			State: adminv1.State_STATE_FRESH,
		},
		{
			From: timestamppb.New(now.Add(-2 * time.Hour)), Until: timestamppb.New(now.Add(time.Hour)),
			State: adminv1.State_STATE_STALE, Cause: "quota",
		},
	}
}

func (f fake) Contracts(table string) (all []*adminv1.LoadedContract, unknown []*adminv1.UnknownType) {
	for i := range f.tables {
		c := &adminv1.LoadedContract{
			Name: fmt.Sprintf("orders_%03d.v1", i), Topic: "orders", Table: fmt.Sprintf("warehouse.orders_%03d", i),
			Format: "avro, confluent", Version: "6", Grown: 3, Fingerprint: "00c0ffee", Subject: "orders-value",
			Evolution: "additive", Types: []string{"order.*"}, Schemas: []uint32{1, 7, 12},
		}
		if table != "" && table != c.GetTable() {
			continue
		}
		for j := 0; table != "" && j < 500; j++ {
			c.Columns = append(c.Columns, &adminv1.Column{
				Name: fmt.Sprintf("payload.column_%03d", j), Type: "STRING", Mode: "NULLABLE",
			})
		}
		all = append(all, c)
	}
	return all, []*adminv1.UnknownType{{Topic: "orders", Type: "order.Lost" + hostile, Count: 3}}
}

func (fake) Drift(context.Context, string) (*adminv1.GetDriftResponse, error) {
	return &adminv1.GetDriftResponse{Differences: []string{"payload.total: narrower, " + hostile}}, nil
}

// replayed are replays of all states; as many as are ever shown.
func replayed() (all []*adminv1.Replay) {
	for i := range 150 {
		r := &adminv1.Replay{
			Name: fmt.Sprintf("fix-%03d", i), State: []string{"running", "stopped", "done", "interrupted"}[i%4],
			Topics: []string{"orders"}, Process: "ingest-1", By: "olga", Reason: hostile, Settled: 500, Total: 1000,
			Tables: map[string]string{"orders": "orders_2"}, Started: timestamppb.Now(),
			Faults: []*adminv1.ReplayFault{{Reason: "undecodable", Count: 3, First: "orders/1/2: " + hostile}},
		}
		if i%5 == 0 {
			r.DeadLetters, r.Topics, r.Tables, r.Total = true, nil, nil, 0
		}
		all = append(all, r)
	}
	return all
}

func viewOf(f fake) *fleetview.View {
	ring := events.New("ingest-1", 0)
	three := int32(4)
	for i := range 300 {
		ring.Add(&adminv1.Event{
			Time: timestamppb.Now(), Level: []string{"info", "warn", "error"}[i%3], Kind: "lane open", Text: "writer=" +
				hostile,
			Topic: "orders", Partition: &three,
		})
	}
	return &fleetview.View{
		Local: f, Events: ring, Self: &adminv1.ProcessResponse{Process: "ingest-1", Instance: "1"},
		Replays: fleetview.Replays{Own: replayed},
	}
}

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

// The fleet is shown with what each process carries, and what keeps its tables; the write streams are those of writers.
func TestFleetScreen(t *testing.T) {
	body := get(t, New(t.Context(), viewOf(fake{tables: 1, lanes: 1})), "/fleet").Body.String()
	for _, want := range []string{
		"2 tables take nothing: quota", `<td class="n" data-l="Streams">–</td>`, "256.0\u00a0MiB of 1.0\u00a0GiB",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in %s", want, body)
		}
	}
}

// Each screen is whole without JavaScript, escapes what lanes and tables say, and is below 300 KB with 100 tables and
// 1,000 lanes.
func TestScreens(t *testing.T) {
	h := New(t.Context(), viewOf(fake{tables: 100, lanes: 1000}))
	for path, want := range map[string]string{
		"/":                                "warehouse.orders_003 is 12m 02s behind: BigQuery",
		"/?filter=orders_07":               "10 fresh",
		"/table?name=warehouse.orders_003": "The 300 that are furthest behind",
		"/lane?topic=orders&partition=4":   "projects/p/datasets/warehouse/tables/orders_003/streams/Cic2",
		"/fleet":                           "writer-2 drains",
		"/events?filter=lane":              "lane open",
		"/letters":                         "<mark>3c</mark>",
		"/contracts":                       "00c0ffee",
		"/runbook":                         `<div id="quota">`,
		"/replays":                         "/act?do=replay&amp;into=orders%3Dorders_2&amp;name=fix-149&amp;topic",
	} {
		w := get(t, h, path)
		body := w.Body.String()
		if w.Code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("GET %s: %d, %q is not in %.2000s", path, w.Code, want, body)
		}
		if len(body) > 300_000 {
			t.Errorf("GET %s: %d bytes", path, len(body))
		}
		if strings.Contains(body, "<script>alert") {
			t.Errorf("GET %s: what a table says is not escaped", path)
		}
		if strings.Contains(body, "ZgotmplZ") || strings.Contains(body, "<nil>") {
			t.Errorf("GET %s: a value that the template refuses", path)
		}
		if path != "/runbook" && !strings.Contains(body, "Reported by ingest-1, of itself alone") {
			t.Errorf("GET %s does not say who responds", path)
		}
		for _, outside := range []string{"http://", "https://", "//cdn"} {
			if strings.Contains(body, outside) {
				t.Errorf("GET %s refers to the outside by %s", path, outside)
			}
		}
	}
}

// What is not there, or says nothing sensible, is shown on the page with a status.
func TestScreensOfWhatIsNotThere(t *testing.T) {
	h := New(t.Context(), viewOf(fake{tables: 1, lanes: 1}))
	for path, want := range map[string]struct {
		code int
		text string
	}{
		"/table?name=nothing":               {http.StatusNotFound, "feeds a table"},
		"/lane?topic=orders":                {http.StatusBadRequest, "a partition"},
		"/lane?topic=orders&partition=x":    {http.StatusBadRequest, "is no number"},
		"/lane?topic=orders&partition=-1":   {http.StatusBadRequest, "is negative"},
		"/lane?topic=orders&partition=99":   {http.StatusNotFound, "nobody that was asked"},
		"/nothing":                          {http.StatusNotFound, "404"},
		"/pages/":                           {http.StatusNotFound, "404"},
		"/etc/passwd":                       {http.StatusNotFound, "404"},
		"/../../etc/passwd":                 {http.StatusTemporaryRedirect, `href="/etc/passwd"`},
		"//evil.example/..":                 {http.StatusTemporaryRedirect, `href="/"`},
		"/%2e%2e/%2e%2e/etc/passwd":         {http.StatusNotFound, "404"},
		"/live?page=/nothing":               {http.StatusNotFound, "no such page"},
		"/live?page=%3A%2F%2F%25zz":         {http.StatusBadRequest, "page:"},
		"/table?name=" + "%3Cscript%3Ex(1)": {http.StatusNotFound, "&lt;script&gt;"},
	} {
		if w := get(t, h, path); w.Code != want.code || !strings.Contains(w.Body.String(), want.text) {
			t.Errorf("GET %s: %d, want %d with %q: %.600s", path, w.Code, want.code, want.text, w.Body)
		}
	}
	empty := get(t, New(t.Context(), viewOf(fake{})), "/")
	if empty.Code != http.StatusOK || !strings.Contains(empty.Body.String(), "No lane feeds a table") {
		t.Errorf("without lanes: %d %s", empty.Code, empty.Body)
	}
}

// changing is a view whose tables change with each question.
type changing struct {
	*fleetview.View
	requested chan struct{}
	n         int
}

func (c *changing) ListTables(ctx context.Context, r *adminv1.ListTablesRequest) (*adminv1.ListTablesResponse, error) {
	c.n++
	select {
	case c.requested <- struct{}{}:
	default:
	}
	response, err := c.View.ListTables(ctx, r)
	if err == nil {
		response = proto.CloneOf(response)
		response.Summary = fmt.Sprintf("asked %d times", c.n)
	}
	return response, err
}

// The page that is watched comes again when it has changed; who asks within a second gets what was made; the watchers
// end with the process.
func TestLiveUpdates(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	view := &changing{View: viewOf(fake{tables: 2}), requested: make(chan struct{}, 8)}
	server := httptest.NewServer(New(ctx, view))
	defer server.Close()
	for range 3 {
		response, err := server.Client().Get(server.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	if view.n != 1 {
		t.Errorf("3 readers at once asked %d times", view.n)
	}
	response, err := server.Client().Get(server.URL + "/live?page=/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("content type %q", kind)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	seen := map[string]bool{}
	for len(seen) < 2 && lines.Scan() {
		if i := strings.Index(lines.Text(), "asked "); i >= 0 {
			seen[lines.Text()[i:i+len("asked 1")]] = true
		}
		if text := lines.Text(); text != "" && !strings.HasPrefix(text, "data: ") {
			t.Errorf("a line that is no data: %q", text)
		}
	}
	if len(seen) != 2 {
		t.Errorf("saw %v", seen)
	}
	end()
	for lines.Scan() { // until the server ends the response
	}
}

// Too many watchers are turned away, and the page works without.
func TestWatchersAreBounded(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	server := httptest.NewServer(New(ctx, viewOf(fake{tables: 1})))
	defer server.Close()
	defer end()
	refused := 0
	for range watchers + 3 {
		response, err := server.Client().Get(server.URL + "/live?page=/")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { response.Body.Close() })
		if response.StatusCode == http.StatusServiceUnavailable {
			refused++
		}
	}
	if refused != 3 {
		t.Errorf("%d were refused, want 3", refused)
	}
}
