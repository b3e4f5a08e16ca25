package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/waybill-data/waybill/e2e/stack"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

const (
	notesTopic    = "notes"
	notesContract = `  - topic: notes
    format: json
    schema: %s
    unknown_fields: drop
    table: notes
    types: ["*"]
    evolution: additive
`
	notesSchema = `{"type":"object","required":["id"],"properties":{"id":{"type":"integer"}%s}}`
)

// replaced writes a file with a text in it replaced, and returns what puts it back.
func (w *world) replaced(path, old, text string) (back func()) {
	w.t.Helper()
	was, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(was), old) {
		w.t.Fatalf("%s has no %q: %v", path, old, err)
	}
	write := func(text string) {
		w.t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	write(strings.Replace(string(was), old, text, 1))
	return func() { write(string(was)) }
}

// noter writes notes until it is stopped.
type noter struct {
	*world
	topic  string
	client *kgo.Client
	stop   context.CancelFunc
	done   sync.WaitGroup
	sent   atomic.Int64
}

// writes begins to write notes to a topic.
func (w *world) writes(topic string) *noter {
	n := &noter{world: w, topic: topic, client: w.client(kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))}
	ctx, stop := context.WithCancel(w.ctx)
	n.stop = stop
	n.done.Go(func() {
		for ctx.Err() == nil {
			n.write(10)
			time.Sleep(5 * time.Millisecond)
		}
	})
	return n
}

// write writes notes, all of them before it returns.
func (n *noter) write(count int) {
	records := make([]*kgo.Record, count)
	for i := range records {
		id := n.sent.Add(1)
		records[i] = &kgo.Record{Topic: n.topic, Value: fmt.Appendf(nil, `{"id":%d,"note":"note %d"}`, id, id)}
	}
	if err := n.client.ProduceSync(n.ctx, records...).FirstErr(); err != nil {
		n.t.Errorf("write notes: %v", err)
	}
}

// end stops, and returns how many were written.
func (n *noter) end() int {
	n.stop()
	n.done.Wait()
	return int(n.sent.Load())
}

// Contracts are loaded again by all ingests while records flow: a column that the schema gained is in the table, and
// in every row of a record that came afterwards. What cannot be is refused as a whole with all that is wrong, and
// changes nothing: another routing, files that differ, a file that does not parse, a table that does not fit. Every
// offset is in its table once.
func TestContractsAreLoadedAgain(t *testing.T) {
	t.Parallel()
	schema := filepath.Join(t.TempDir(), "note.json")
	if err := os.WriteFile(schema, fmt.Appendf(nil, notesSchema, ""), 0o600); err != nil {
		t.Fatal(err)
	}
	w := peeredWith(t, stack.Config{
		Topics:    []string{notesTopic + ":4"},
		Contracts: fmt.Sprintf("  - builtin: delivery.v6\n  - builtin: stock.v1\n"+notesContract, schema),
	})
	first, second := w.Ingests[0], w.Ingests[1]
	notes := w.writes(notesTopic)
	w.committed(notesTopic, 100)

	var said adminv1.ReloadContractsResponse
	w.acts(&said, first, "reload")
	if said.GetResult().GetChanged() || !strings.Contains(said.GetResult().GetSummary(), "those in use already") {
		t.Errorf("nothing has changed: %v", &said)
	}
	w.replaced(schema, `"integer"}}`, `"integer"},"note":{"type":"string"}}`)
	w.acts(&said, second, "reload", "--validate")
	if said.GetResult().GetChanged() || len(said.GetChanges()) != 1 || said.GetLanes() != 4 ||
		!slices.Contains(said.GetChanges()[0].GetWhat(), "column payload.note STRING NULLABLE is new") {
		t.Errorf("validated: %v", &said)
	}
	reload := []string{"reload", "--reason", "notes have a note", "--request-id", "one"}
	w.acts(&said, second, reload...)
	if !said.GetResult().GetChanged() || said.GetLanes() != 4 || said.GetWaiting() != 0 {
		t.Errorf("loaded again: %v", &said)
	}
	at := notes.sent.Load() + 1 // what is written from here on has its note
	w.acts(&said, second, reload...)
	if !said.GetResult().GetRepeated() {
		t.Errorf("the same act again: %v", &said)
	}
	w.acts(&said, first, "reload", "--request-id", "two")
	if e := said.GetResult().GetEarlier(); len(e) == 0 || e[0].GetKind() != "operator: reload" ||
		!strings.Contains(e[0].GetText(), "request_id=one") {
		t.Errorf("the other operator's act is not shown: %v", e)
	}

	for name, tt := range map[string]struct {
		path, old, text string
		want            []string
	}{
		"another routing": {
			first.Config, "table: notes", "table: notes_2",
			[]string{"the routing of topic notes is another one", "takes a restart", "Nothing was changed"},
		},
		"a topic less": {
			first.Config, "  - builtin: stock.v1\n", "",
			[]string{"topic " + stack.StockTopic + " has no contract any more", "takes a restart"},
		},
		"files that differ": {
			first.Config, "types: [\"*\"]\n", "types: [\"*\"]\n    cluster_by: [none]\n",
			[]string{"are others than those of", "bring the same files to all ingests"},
		},
		"no YAML": {
			second.Config, "    format: json\n", "    format: jsonn\n",
			[]string{second.GRPC, "jsonn", "Nothing was changed"},
		},
		"a table that does not fit": {
			schema, `{"type":"string"}`, `{"type":"integer"},"more":{"type":"string"}`,
			[]string{"column payload.note: type, the table has STRING, the rows have INTEGER", "Nothing was changed"},
		},
	} {
		back := w.replaced(tt.path, tt.old, tt.text)
		code, out := w.at(first, "reload")
		for _, want := range tt.want {
			if code != 1 || !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
				t.Errorf("%s: status %d, %s; want %q", name, code, out, want)
			}
		}
		back()
	}
	w.acts(&said, second, "reload")
	if said.GetResult().GetChanged() {
		t.Errorf("what was refused has changed something: %v", &said)
	}

	second.Kill() // it comes back with what its files say
	w.notTaken(schema)
	w.restart(second)
	sent := notes.end()
	w.committed(notesTopic, int64(sent))
	once := w.offsets("notes")
	for place, times := range once {
		if times != 1 {
			t.Errorf("offset %v is there %d times", place, times)
		}
	}
	if len(once) != sent {
		t.Errorf("%d of %d notes are in the table", len(once), sent)
	}
	if n := w.value(fmt.Sprintf(`SELECT CAST(COUNT(*) AS STRING) FROM waybill.notes AS n
		WHERE n.payload.id >= %d AND n.payload.note IS NULL`, at)); n != "0" {
		t.Errorf("%s notes that were written after the reload have none", n)
	}
	if n := w.value("SELECT CAST(COUNT(*) AS STRING) FROM waybill.notes AS n WHERE n.payload.note IS NULL"); n == "0" {
		t.Error("notes from before the reload have one: the test proves nothing")
	}
	w.rolledBack(schema, notes)
}

// A record that its lane waits for is skipped, with a reason: it is a dead letter, and those behind it are rows. What
// is settled, and what is not there yet, is not skipped.
func TestSkippedRecord(t *testing.T) {
	t.Parallel()
	const topic, good = "tickets", `{"type":"record","name":"Ticket","fields":[{"name":"id","type":"long"}]}`
	file := filepath.Join(t.TempDir(), "ticket.avsc")
	if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	w := peeredWith(t, stack.Config{
		Topics: []string{topic + ":4"},
		Contracts: fmt.Sprintf(`  - builtin: delivery.v6
  - topic: tickets
    format: avro
    framing: confluent
    schema: %s
    unfit_schema: wait
    table: tickets
    types: ["*"]
`, file),
	})
	registry, err := sr.NewClient(sr.URLs("http://" + w.Endpoints.Registry))
	if err != nil {
		t.Fatal(err)
	}
	id := func(subject, schema string) []byte {
		made, err := registry.CreateSchema(w.ctx, subject, sr.Schema{Schema: schema})
		if err != nil {
			t.Fatal(err)
		}
		return binary.BigEndian.AppendUint32([]byte{0}, uint32(made.ID))
	}
	fits, not := id("tickets-value", good), id("others-value", strings.ReplaceAll(good, `"long"`, `"string"`))
	client := w.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	send := func(heads ...[]byte) {
		t.Helper()
		for p := range int32(4) {
			for _, head := range heads {
				r := &kgo.Record{Topic: topic, Partition: p, Value: append(append([]byte{}, head...), 2)}
				if err := client.ProduceSync(w.ctx, r).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	send(fits, fits, not, fits, fits)
	var said adminv1.SkipRecordResponse
	for p := range 4 { // half of them are the other ingest's
		place := fmt.Sprintf("%s/%d/2", topic, p)
		w.until("the lane waits for the operator", func() error {
			if _, out := w.at(w.Ingests[0], "explain", place); !strings.Contains(out, "the operator: schema id") {
				return fmt.Errorf("explain says: %s", out)
			}
			return nil
		})
		skip := []string{"skip", place, "--reason", "its producer is at fault", "--request-id", place}
		w.acts(&said, w.Ingests[0], append(skip, "--validate")...)
		if said.GetResult().GetChanged() || said.GetPosition() > 2 {
			t.Errorf("validated: %v", &said)
		}
		w.acts(&said, w.Ingests[0], skip...)
		if !said.GetSettled() || said.GetBecame() != "letter" {
			t.Errorf("skipped: %v", &said)
		}
		w.acts(&said, w.Ingests[0], skip...)
		if !said.GetResult().GetRepeated() {
			t.Errorf("the same act again: %v", &said)
		}
	}
	w.committed(topic, 20)
	for place, times := range w.offsets("tickets") {
		if place[1] == 2 || times != 1 {
			t.Errorf("offset %v is there %d times", place, times)
		}
	}
	if n := len(w.offsets("tickets")); n != 16 {
		t.Errorf("%d rows, want 16", n)
	}
	if _, out := w.at(w.Ingests[1], "explain", topic+"/3/2"); !strings.Contains(out, "skipped: ") ||
		!strings.Contains(out, "its producer is at fault") {
		t.Errorf("explain: %s", out)
	}
	for want, args := range map[string][]string{
		"is settled already (the position is 5)": {topic + "/1/2"},
		"the partition ends at offset 5":         {topic + "/1/7"},
		"has no partition 9; it has 0 to 3":      {topic + "/9/7"},
		`the nearest is "` + topic + `"`:         {"ticket/1/7"},
	} {
		if code, out := w.at(w.Ingests[0], append(append([]string{"skip"}, args...), "--reason", "x")...); code != 1 ||
			!strings.Contains(out, want) {
			t.Errorf("ingest skip %v: status %d, %s; want %q", args, code, out, want)
		}
	}
	if code, out := w.at(w.Ingests[0], "skip", topic+"/1/7"); code != 2 || !strings.Contains(out, "--reason") {
		t.Errorf("without a reason: status %d, %s", code, out)
	}
}
