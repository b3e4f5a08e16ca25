package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// replays begins a replay of the delivery topic, with the configuration of the first ingest.
func (w *world) replays(args ...string) *exec.Cmd {
	args = append([]string{"replay", "--topic", stack.DeliveryTopic, "-c", w.Ingests[0].Config, "-o", "json"}, args...)
	return exec.CommandContext(w.ctx, filepath.Join(bin, "ingest"), args...)
}

// replayed runs a replay to its end, and returns its exit status and what it prints.
func (w *world) replayed(args ...string) (int, string) {
	w.t.Helper()
	cmd := w.replays(args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // its status says it
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return code, out.String() + errs.String()
	}
	return 0, out.String()
}

// reported is what a replay prints.
type reported struct {
	Tables map[string]string
	Ranges map[string]struct{ From, To int64 }
	Now    *struct {
		Offsets, Total int64
		BadRecords     map[string]int `json:"bad_records"`
		Done           bool
	}
}

// once compares the offsets of a table with those of ranges of the delivery topic, of which those of another table are
// rows: each is there once, and nothing else is.
func (w *world) once(table, like string, in func(partition, offset int64) bool) (rows int) {
	w.t.Helper()
	want := map[[2]int64]int{}
	for place := range w.offsets(like) {
		if in(place[0], place[1]) {
			want[place] = 1
		}
	}
	got := w.offsets(table)
	for place, times := range got {
		if want[place] != 1 || times != 1 {
			w.t.Errorf("%s: offset %v is there %d times, want %d", table, place, times, want[place])
		}
	}
	for place := range want {
		if got[place] == 0 {
			w.t.Errorf("%s: offset %v is missing", table, place)
		}
	}
	return len(got)
}

// A topic is replayed into a shadow table beside live traffic: killed halfway, again and again, it goes on each time,
// ends by itself, and has every offset of its range once; so has one of some partitions between offsets at a rate,
// and one that two processes share. Live traffic has lost and repeated nothing. What cannot be is refused, and
// changes nothing.
func TestReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{DeliveryPartitions: 4, StockPartitions: 1, Writers: 2})
	w.produce(stack.DeliveryTopic, 8000, events.Config{TruncatedEvery: 100, UnknownTypeEvery: -1})
	w.settled()

	var plan reported
	code, out := w.replayed("--name", "all", "--into", "shadow", "--validate")
	if err := json.Unmarshal([]byte(out), &plan); code != 0 || err != nil || len(plan.Ranges) != 4 {
		t.Fatalf("validated: status %d, %v: %s", code, err, out)
	}
	ends := map[int64]int64{}
	for p, of := range plan.Ranges {
		n, err := strconv.ParseInt(p, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		ends[n] = of.To
	}
	// It dies three times while rows go out, and others come meanwhile.
	args := []string{"--name", "all", "--into", "shadow", "--rate", "2MiB"}
	for range 3 {
		before := len(w.shadow("shadow"))
		cmd := w.replays(args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.until("rows are replayed", func() error {
			if n := len(w.shadow("shadow")); n < before+200 {
				return fmt.Errorf("%d rows, and %d before", n, before)
			}
			return nil
		})
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		w.produce(stack.DeliveryTopic, 500, events.Config{TruncatedEvery: 100, UnknownTypeEvery: -1})
	}
	if code, out := w.replayed("--name", "all", "--into", "other"); code != 1 || !strings.Contains(out, "goes into") {
		t.Errorf("into another table: status %d, %s", code, out)
	}
	code, out = w.replayed("--name", "all", "--into", "shadow")
	if err := json.Unmarshal([]byte(out), &plan); code != 0 || err != nil || plan.Now == nil || !plan.Now.Done {
		t.Fatalf("status %d, %v: %s", code, err, out)
	}
	if n := plan.Now.BadRecords["undecodable"]; n > 80 {
		t.Errorf("%d records became no row in the last process, and 80 there are", n)
	}
	w.settled()
	if n := w.once("shadow", "delivery_events", func(p, o int64) bool { return o < ends[p] }); n < 7000 {
		t.Errorf("%d rows are replayed, of 8000 records", n)
	}
	code, out = w.replayed("--name", "all", "--into", "shadow")
	if code != 0 || !strings.Contains(out, `"done": true`) {
		t.Errorf("once more: status %d, %s", code, out)
	}

	// Two processes share partitions, between two offsets.
	some := []string{"--name", "some", "--suffix", "_some", "--partition", "1,3", "--from", "@100", "--to", "@1500"}
	first, second := w.replays(some...), w.replays(some...)
	for _, cmd := range []*exec.Cmd{first, second} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, cmd := range []*exec.Cmd{first, second} {
		if err := cmd.Wait(); err != nil {
			t.Errorf("one of two: %v", err)
		}
	}
	w.once("delivery_events_some", "delivery_events", func(p, o int64) bool { return p%2 == 1 && o >= 100 && o < 1500 })

	code, out = w.replayed("--name", "none", "--into", "shadow_2", "--from",
		time.Now().Add(time.Hour).Format(time.RFC3339))
	if code != 1 || !strings.Contains(out, "has no record from") {
		t.Errorf("from a time to come: status %d, %s", code, out)
	}
	if w.bigQuery("POST", "datasets/"+stack.Dataset+"/tables", fmt.Sprintf(
		`{"tableReference":{"projectId":%q,"datasetId":%q,"tableId":"narrow"},"schema":{"fields":[
		{"name":"event_id","type":"INTEGER"},{"name":"kafka_offset","type":"STRING"}]}}`, stack.Project,
		stack.Dataset)) != 200 {
		t.Fatal("no table is made")
	}
	for _, refused := range [][]string{
		{"column event_id: type, the table has INTEGER, the rows have STRING", "--into", "narrow"},
		{"column kafka_offset: type, the table has STRING, the rows have INTEGER", "--into", "narrow"},
		{"column event_time: missing", "--into", "narrow"},
		{"which contract delivery.v6 feeds", "--into", "delivery_events"},
		{"has no partition 9; it has 0 to", "--into", "x", "--partition", "9"},
		{`the nearest is "delivery_events"`, "--into", "delivery_event=x", "--suffix=x"},
		{"is no name", "--into", "x", "--name", "a/b"},
	} {
		want, args := refused[0], refused[1:]
		code, out := w.replayed(append([]string{"--name", "refused"}, args...)...)
		if code != 1 || !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("ingest replay %v: status %d, %s; want %q", args, code, out, want)
		}
	}
	w.verified()
}

// shadow is offsets of a table, which need not be there yet.
func (w *world) shadow(table string) map[[2]int64]int {
	times := map[[2]int64]int{}
	_ = w.EachPlace(w.ctx, table, func(p stack.Place) { times[[2]int64{int64(p.Partition), p.Offset}]++ })
	return times
}
