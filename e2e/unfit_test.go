package e2e

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/waybill-data/waybill/e2e/stack"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// A version that changes a type comes while records flow. The lane that meets it waits for the operator before its
// first record, and says which schema, why, and what to write; older versions go on, in the other partitions and in
// front of it. What it says is then written: the lane goes on, reading both versions, without a restart and without a
// dead letter, and the table has each record once.
func TestVersionWaitsForTheOperator(t *testing.T) {
	t.Parallel()
	const topic, requested = "claims", `columns: {"size": {type: STRING}, or {skip: true}}`
	w := prepared(t, stack.Config{
		Topics: []string{topic + ":2"},
		Contracts: `  - topic: claims
    format: avro
    framing: confluent
    subject: claims-value
    evolution: additive
    unfit_schema: wait
    table: claims
    types: ["*"]
    event_id: id
`,
	})
	w.upSandbox()
	registry, err := sr.NewClient(sr.URLs("http://" + w.Endpoints.Registry))
	if err != nil {
		t.Fatal(err)
	}
	var id int // of the schema registered last
	register := func(size string) []byte {
		t.Helper()
		made, err := registry.CreateSchema(w.ctx, "claims-value", sr.Schema{Schema: `{"type":"record","name":"Claim",` +
			`"fields":[{"name":"id","type":"long"},{"name":"size","type":"` + size + `"}]}`})
		if err != nil {
			t.Fatal(err)
		}
		id = made.ID
		return binary.BigEndian.AppendUint32([]byte{0}, uint32(made.ID))
	}
	older := append(register("long"), 2, 14) // id 1, size 7
	w.upServices()
	client := w.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	send := func(partition int32, value []byte) {
		t.Helper()
		r := &kgo.Record{Topic: topic, Partition: partition, Value: value}
		if err := client.ProduceSync(w.ctx, r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	send(0, older)
	send(1, older)
	w.committed(topic, 2)

	newer := append(register("string"), 4, 10, 'l', 'a', 'r', 'g', 'e') // id 2
	send(0, older)
	send(0, newer) // offset 2
	send(0, older)
	for range 3 {
		send(1, older)
	}
	w.committed(topic, 2+4) // all of one partition, and what is in front of the new version in the other
	var waits string
	w.until("the lane waits for the operator", func() error {
		lanes, err := w.Ingests[0].Lanes(w.ctx)
		if err != nil {
			return err
		}
		for _, l := range lanes {
			if l.Topic == topic && l.Partition == 0 && strings.HasPrefix(l.WaitingFor, "the operator: ") {
				waits = l.WaitingFor
				return nil
			}
		}
		return fmt.Errorf("lanes: %+v", lanes)
	})
	for _, want := range []string{
		fmt.Sprintf("schema id %d does not fit the contract claims-value", id),
		"payload.size: the contract has long, it has string", requested,
	} {
		if !strings.Contains(waits, want) {
			t.Errorf("it waits for %s; want %q", waits, want)
		}
	}
	if _, out := w.at(w.Ingests[0], "explain", topic+"/0/2"); !strings.Contains(out, "the operator: schema id") {
		t.Errorf("explain says: %s", out)
	}

	// The column that the message names, under a name of its own: the table's size is an INTEGER.
	w.replaced(w.Ingests[0].Config, "    event_id: id\n",
		"    event_id: id\n    columns: {size: {name: size_text, type: STRING}}\n")
	var said adminv1.ReloadContractsResponse
	w.acts(&said, w.Ingests[0], "reload", "--reason", "sizes are words now")
	if !said.GetResult().GetChanged() {
		t.Errorf("loaded again: %v", &said)
	}
	w.committed(topic, 8)
	send(1, newer)
	w.committed(topic, 9)
	for place, times := range w.offsets("claims") {
		if times != 1 {
			t.Errorf("offset %v is there %d times", place, times)
		}
	}
	for query, want := range map[string]string{
		"COUNT(*)":                               "9",
		"COUNTIF(c.payload.size = 7)":            "6",
		"COUNTIF(c.payload.size_text = '7')":     "1",
		"COUNTIF(c.payload.size_text = 'large')": "2",
	} {
		if got := w.value("SELECT CAST(" + query + " AS STRING) FROM waybill.claims AS c"); got != want {
			t.Errorf("%s is %s, want %s", query, got, want)
		}
	}
	if letters, err := w.log.Produced(w.ctx, topic+stack.DeadLetters); err != nil || letters != 0 {
		t.Errorf("%d dead letters, %v", letters, err)
	}
}
