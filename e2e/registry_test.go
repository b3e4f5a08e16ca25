package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/events/schemas"
	"github.com/waybill-data/waybill/sandbox/produce"
)

const parcels = stack.Parcels

// The schema of a topic grows twice under load, old and new producers side by side, while a process of either kind is
// killed and the registry is away for a while: every record is in the table once, with what its own schema has, and
// null where that has nothing.
func TestSchemaGrowsUnderLoad(t *testing.T) {
	t.Parallel()
	w := prepared(t, stack.Config{Contracts: parcels, Ingests: 2, Writers: 2})
	w.upSandbox()
	p := &parcelLoad{world: w, versions: map[uint64]int{}}
	w.fault("bigquery", map[string]any{"kind": "schema_delay", "delay": "700ms"})
	p.sender(1, 1000)()
	w.upServices()
	w.committed(events.ParcelTopic, 500)

	// Each version comes while those before it go on.
	for newest := 2; newest <= len(schemas.Parcels); newest++ {
		var producers sync.WaitGroup
		for version := 1; version <= newest; version++ {
			producers.Go(p.sender(version, 1500))
		}
		p.produced(int64(p.next) - 1000) // and with that, the producers have registered their schemas
		if newest == len(schemas.Parcels) {
			w.fault("registry", map[string]any{"status": 503, "count": 12})
			w.Ingests[0].Kill()
			w.Writers[0].Kill()
			w.restart(w.Writers[0])
			w.restart(w.Ingests[0])
		}
		producers.Wait()
	}
	w.sent[events.ParcelTopic] = int64(p.next)
	w.settled()

	rows := w.sql(`SELECT kafka_partition, kafka_offset, event_id, payload.weight_grams AS weight_grams,
		payload.place.city AS city,
		payload.place.postcode AS postcode, payload.fragile AS fragile, payload.service AS service,
		payload.labels AS labels FROM parcels`)
	if len(rows) != int(p.next) {
		t.Errorf("%d rows of %d parcels", len(rows), p.next)
	}
	places := map[string]bool{}
	want := p.expected()
	for _, row := range rows {
		place := fmt.Sprint(row["kafka_partition"], "/", row["kafka_offset"])
		if places[place] {
			t.Errorf("offset %s is there twice", place)
		}
		places[place] = true
		id, _ := row["event_id"].(string)
		delete(row, "kafka_partition")
		delete(row, "kafka_offset")
		if diff := cmp.Diff(want[id], row); diff != "" {
			index, _ := events.ParcelIndex(id)
			t.Errorf("parcel %s of version %d (-sent +row):\n%s", id, p.versions[index], diff)
		}
		delete(want, id)
		if t.Failed() {
			return
		}
	}
	if len(want) > 0 {
		t.Errorf("%d parcels are missing", len(want))
	}
	letters, err := w.log.Produced(w.ctx, events.ParcelTopic+stack.DeadLetters)
	if err != nil || letters != 0 {
		t.Errorf("%d dead letters, %v", letters, err)
	}
	for _, s := range w.Ingests {
		if n := w.metric(s, "waybill_ingest_contract_versions"); n < 1 {
			t.Errorf("%s has %v versions", s.Name, n)
		}
	}
	if n := w.metric(w.Ingests[1], "waybill_ingest_contract_versions"); n != 3 {
		t.Errorf("the ingest that was not killed has %v versions, want 3", n)
	}
}

// parcelLoad sends parcels and remembers with which version each was written.
type parcelLoad struct {
	*world
	next     uint64
	versions map[uint64]int
}

// sender takes the next parcels, and sends them when it is called.
func (p *parcelLoad) sender(version int, n int64) func() {
	first := p.next
	p.next += uint64(n)
	for i := range uint64(n) {
		p.versions[first+i] = version
	}
	return func() {
		if _, err := produce.Run(p.ctx, produce.Config{
			Seeds: p.Seeds(), Topic: events.ParcelTopic, Partitions: 4, Events: n, First: first, Rate: 1000,
			Registry: "http://" + p.Endpoints.Registry, SchemaVersion: version,
		}); err != nil {
			p.t.Errorf("produce version %d: %v", version, err)
		}
	}
}

// produced waits until the topic holds so many records.
func (p *parcelLoad) produced(n int64) {
	p.t.Helper()
	p.until("more is produced", func() error {
		produced, err := p.log.Produced(p.ctx, events.ParcelTopic)
		if err == nil && produced < n {
			err = fmt.Errorf("%d of %d", produced, n)
		}
		return err
	})
}

// expected are the rows by parcel, as Apache Avro's rules read what was sent.
func (p *parcelLoad) expected() map[string]map[string]any {
	generator := events.New(events.Config{})
	var versions []*avro.Schema
	for _, text := range schemas.Parcels {
		versions = append(versions, avro.MustParse(text))
	}
	all := map[string]map[string]any{}
	for index, version := range p.versions {
		var value map[string]any
		if _, err := versions[version-1].Decode(generator.Parcel(nil, index, version, 0).Value[5:],
			&value); err != nil {
			p.t.Fatal(err)
		}
		place := value["place"].(map[string]any)
		row := map[string]any{
			"event_id": value["parcel_id"], "city": place["city"], "postcode": place["postcode"],
			"fragile": value["fragile"], "service": value["service"], "labels": []any{},
		}
		switch grams := value["weight_grams"].(type) {
		case int32:
			row["weight_grams"] = float64(grams)
		case int64:
			row["weight_grams"] = float64(grams)
		}
		if labels, ok := value["labels"].([]any); ok {
			row["labels"] = labels
		}
		all[value["parcel_id"].(string)] = row
	}
	return all
}

// sql asks the sandbox's BigQuery.
func (w *world) sql(query string) []map[string]any {
	w.t.Helper()
	command := exec.CommandContext(w.ctx, filepath.Join(bin, "sandbox"), "query", "--json", "--rows", "1000000",
		"--sandbox", filepath.Join(w.Config.Dir, "sandbox.json"), query)
	out, err := command.Output()
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", query, err, out)
	}
	var rows []map[string]any
	for line := range strings.Lines(string(out)) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			w.t.Fatalf("%s: %v", line, err)
		}
		rows = append(rows, row)
	}
	return rows
}

// contractsTest decodes a framed parcel with `ingest contracts test` and returns what it prints.
func (w *world) contractsTest(value []byte) string {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "parcel.bin")
	if err := os.WriteFile(file, value, 0o600); err != nil {
		w.t.Fatal(err)
	}
	out, err := exec.CommandContext(w.ctx, filepath.Join(bin, "ingest"), "contracts", "test", "--config",
		w.Ingests[0].Config, "--contract", "parcels-value", file).CombinedOutput()
	if err != nil {
		w.t.Errorf("contracts test: %v\n%s", err, out)
	}
	return string(out)
}

// A record whose schema id the registry does not have is a dead letter that says so, holds nobody up, and is not
// replayed while that is so.
func TestSchemaIDIsMissing(t *testing.T) {
	t.Parallel()
	w := prepared(t, stack.Config{Contracts: parcels})
	w.upSandbox()
	p := &parcelLoad{world: w, versions: map[uint64]int{}}
	p.sender(1, 200)()
	client := w.client()
	if err := client.ProduceSync(w.ctx, &kgo.Record{
		Topic: events.ParcelTopic, Value: []byte("\x00\x00\x00\x27\x0fwhat is this"),
		Headers: []kgo.RecordHeader{{Key: events.TypeHeader, Value: []byte("contracts.parcel.ParcelScanned")}},
	}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	p.sender(2, 200)()
	w.upServices()
	w.sent[events.ParcelTopic] = int64(p.next) + 1
	w.settled()
	if rows := w.sql(`SELECT kafka_offset FROM parcels`); len(rows) != int(p.next) {
		t.Errorf("%d rows of %d parcels", len(rows), p.next)
	}
	var reasons []string
	if err := w.log.EachHeaders(w.ctx, events.ParcelTopic+stack.DeadLetters, func(headers map[string]string) error {
		reasons = append(reasons, headers["waybill-error"])
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	// The registry's ids follow those that the sandbox begins with.
	if out := w.contractsTest(events.New(events.Config{}).Parcel(nil, 7, 1, 3).Value); !strings.Contains(out,
		"PCL-000000000007") {
		t.Errorf("contracts test:\n%s", out)
	}
	const reason = "schema id 9999 is not in the registry"
	if len(reasons) != 1 || !strings.Contains(reasons[0], reason) {
		t.Errorf("dead letters %q", reasons)
	}
	out, err := exec.CommandContext(w.ctx, filepath.Join(bin, "ingest"), "dead-letters", "replay", "--all", "--dry-run",
		"--config", w.Ingests[0].Config).CombinedOutput()
	if err == nil || !strings.Contains(string(out), reason) { // it skips the letter, and says so with its status
		t.Errorf("dead-letters replay: %v\n%s", err, out)
	}
}
