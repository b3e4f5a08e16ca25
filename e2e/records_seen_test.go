package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// ingest runs a command of ingest with the configuration of the first one; standard output, standard error and the exit
// status.
func (w *world) ingest(args ...string) (out, errs string, code int) {
	w.t.Helper()
	cmd := exec.CommandContext(w.ctx, filepath.Join(bin, "ingest"), append(args, "-c", w.Ingests[0].Config)...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // its status says it
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// peered is a stack of two ingests that know each other.
func peered(t *testing.T) *world {
	t.Helper()
	return peeredWith(t, stack.Config{Contracts: "  - builtin: delivery.v6\n  - builtin: stock.v1\n"})
}

// peeredWith is such a stack with more topics and contracts.
func peeredWith(t *testing.T, config stack.Config) *world {
	t.Helper()
	w := laidOut(t, config)
	w.peer()
	return w
}

// laidOut is such a stack with nothing started yet.
func laidOut(t *testing.T, config stack.Config) *world {
	t.Helper()
	config.Writers, config.Ingests, config.DeliveryPartitions, config.StockPartitions = 2, 2, 4, 2
	w := prepared(t, config)
	w.Config.IngestYAML += fmt.Sprintf("peers: [%s, %s]\n", w.Ingests[0].GRPC, w.Ingests[1].GRPC)
	if err := w.Rejoin(stack.Group); err != nil { // which writes the configurations anew
		t.Fatal(err)
	}
	return w
}

// peer starts it, until both ingests carry lanes.
func (w *world) peer() {
	w.t.Helper()
	w.upSandbox()
	w.upServices()
	w.until("both ingests carry lanes", func() error {
		for _, s := range w.Ingests {
			lanes, err := s.Lanes(w.ctx)
			if err != nil || len(lanes) == 0 {
				return fmt.Errorf("%s: %d lanes, %w", s.Name, len(lanes), err)
			}
		}
		return nil
	})
}

// tapped is a line of `ingest tap -o json`.
type tapped struct {
	Place, Process, Type, Contract, Table, Reason, Error, Field string
	Byte                                                        *int
	Row                                                         map[string]any
	Value                                                       []byte `json:"value_base64"`
}

// A tap shows records of the whole fleet as they pass, those that its filter takes, at each point; what does not parse
// is reported with its place; and each offset can be followed to where it went.
func TestTapAndExplain(t *testing.T) {
	t.Parallel()
	w := peered(t)
	w.produce(stack.DeliveryTopic, 100, events.Config{TruncatedEvery: -1, UnknownTypeEvery: -1})
	w.settled()

	// Records are produced for as long as the tap looks, no faster than they settle.
	tap := func(want int, args ...string) []tapped {
		t.Helper()
		done := make(chan struct{})
		var out, errs string
		var code int
		go func() {
			defer close(done)
			out, errs, code = w.ingest(append([]string{
				"tap", "-o", "json", "--for", "10m", "--limit",
				fmt.Sprint(want),
			}, args...)...)
		}()
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
				w.produce(stack.DeliveryTopic, 200, events.Config{Size: 4000, TruncatedEvery: 10, UnknownTypeEvery: 15})
				w.settled()
			}
		}
		if code != 0 || !strings.Contains(errs, " passed, ") {
			t.Errorf("tap %v: status %d: %s", args, code, errs)
		}
		var all []tapped
		for line := range strings.Lines(out) {
			var one tapped
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			all = append(all, one)
		}
		if len(all) != want {
			t.Fatalf("tap %v: %d records, want %d", args, len(all), want)
		}
		return all
	}
	who := map[string]bool{}
	for _, one := range tap(150, "--table", "delivery_events", "--where",
		"offset % 2 == 0 && payload != null && size(payload) > 0 && type != \"\"") {
		who[one.Process] = true
		if number := one.Row["kafka_offset"].(float64); one.Table != "delivery_events" || int64(number)%2 != 0 {
			t.Errorf("not what was asked for: %+v", one)
		}
	}
	if len(who) != 2 {
		t.Errorf("records of %v alone", who)
	}
	row := tap(1, "--at", "row", "--topic", stack.DeliveryTopic)[0]
	letter := tap(1, "--at", "dead-letter", "--where", `reason == "undecodable"`)[0]
	if letter.Byte == nil || letter.Value == nil || letter.Contract == "" || letter.Error == "" {
		t.Errorf("a dead letter: %+v", letter)
	}
	w.fault(stack.BigQuery, map[string]any{"kind": "row_errors", "every": 7})
	refused := tap(1, "--at", "refused")[0]
	if refused.Reason != "refused" || refused.Row == nil {
		t.Errorf("a refused row: %+v", refused)
	}
	if err := w.ClearFaults(w.ctx, stack.BigQuery, ""); err != nil {
		t.Fatal(err)
	}
	w.settled()
	for _, c := range []struct {
		want string
		args []string
	}{
		{"where: at line 1, column 16", []string{"--where", "payload.total >"}},
		{"undeclared reference to 'paylaod'", []string{"--where", "paylaod.total > 1"}},
		{"did you mean delivery_events?", []string{"--table", "delivery_event"}},
		{"no contract has orders", []string{"--topic", "orders"}},
		{"limit: 1001 is not within 1 and 1000", []string{"--limit", "1001"}},
		{"0 records shown", []string{"--where", "offset < 0", "--for", "1s"}},
		{"is an ingest running there", []string{"--process", "127.0.0.1:1"}},
	} {
		if out, errs, code := w.ingest(append([]string{"tap"}, c.args...)...); code != 1 ||
			!strings.Contains(errs, c.want) {
			t.Errorf("tap %v: status %d, %s%s", c.args, code, out, errs)
		}
	}

	// Where they went.
	explain := func(place string, want int) (said struct {
		Known bool
		Text  string
		Table string
		Batch *struct {
			Rows    int
			Settled string
		}
		Row *struct {
			Stream string
			Offset *int64 `json:"row_offset"`
			Query  string
		}
		Letter *struct{ At, Reason string } `json:"dead_letter"`
	},
	) {
		t.Helper()
		out, errs, code := w.ingest("explain", place, "-o", "json")
		if code != want {
			t.Fatalf("explain %s: status %d: %s%s", place, code, out, errs)
		}
		if want == 0 {
			if err := json.Unmarshal([]byte(out), &said); err != nil {
				t.Fatalf("%s: %v", out, err)
			}
		}
		return said
	}
	if said := explain(letter.Place, 0); said.Letter == nil || said.Letter.Reason != "undecodable" {
		t.Errorf("of a dead letter: %+v", said)
	}
	if said := explain(refused.Place, 0); said.Letter == nil || said.Letter.Reason != "refused" {
		t.Errorf("of a refused row: %+v", said)
	}
	if said := explain(row.Place, 0); said.Row == nil || !strings.Contains(said.Row.Query, "kafka_offset = ") {
		t.Errorf("of a row: %+v", said)
	}
	// The offsets of the rows in their write stream are those that BigQuery gave them.
	w.produce(stack.DeliveryTopic, 200, events.Config{TruncatedEvery: 6, UnknownTypeEvery: -1})
	w.settled()
	ends, err := w.log.Ends(w.ctx, stack.DeliveryTopic)
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]stack.Place{}
	if err := w.EachPlace(w.ctx, "delivery_events", func(p stack.Place) {
		places[fmt.Sprintf("%s/%d/%d", p.Topic, p.Partition, p.Offset)] = p
	}); err != nil {
		t.Fatal(err)
	}
	exact := 0
	for partition, end := range ends {
		for offset := max(0, end-4); offset < end; offset++ {
			place := fmt.Sprintf("%s/%d/%d", stack.DeliveryTopic, partition, offset)
			said := explain(place, 0)
			if said.Letter != nil {
				continue
			}
			if said.Batch == nil || said.Batch.Settled == "" || said.Row == nil {
				t.Errorf("%s: %+v", place, said)
				continue
			}
			if said.Row.Offset == nil { // its lane has moved since, and nobody remembers
				continue
			}
			exact++
			if is := places[place]; *said.Row.Offset != is.Row || !strings.HasSuffix(said.Row.Stream, is.Stream) {
				t.Errorf("%s is row %d of %s, not %d of %s", place, is.Row, is.Stream, *said.Row.Offset,
					said.Row.Stream)
			}
			if exact == 1 {
				if rows := w.sql(said.Row.Query); len(rows) != 1 {
					t.Errorf("%s finds %d rows", said.Row.Query, len(rows))
				}
			}
		}
	}
	if exact < 4 {
		t.Errorf("%d rows were followed to their place in the write stream", exact)
	}
	for place, want := range map[string]struct {
		code int
		says string
	}{
		stack.DeliveryTopic + "/99/1":       {1, "the topic has 4"},
		stack.DeliveryTopic + "/0/99999999": {1, "there is no such record yet"},
		"delivery_events_v6_topics/0/1":     {1, "did you mean delivery_events_v6_topic?"},
		"orders":                            {2, "topic/partition/offset"},
	} {
		if out, errs, code := w.ingest("explain", place); code != want.code || !strings.Contains(out+errs, want.says) {
			t.Errorf("explain %s: status %d, %s%s", place, code, out, errs)
		}
	}
}
