package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// broker is a cluster with a topic, and a folder with a configuration.
type broker struct {
	t       *testing.T
	cluster *kfake.Cluster
	client  *kgo.Client
	config  string
	dir     string
}

func newBroker(t *testing.T, topic string, partitions int32, registry, more string) *broker {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	b := &broker{t: t, cluster: cluster, client: client, dir: t.TempDir()}
	b.config = filepath.Join(b.dir, "ingest.yaml")
	text := fmt.Sprintf("kafka: {brokers: '%s', group: g}\nwriter: {endpoints: '127.0.0.1:1'}\n%s\n",
		strings.Join(cluster.ListenAddrs(), ","), more)
	if registry != "" {
		text += "registry: {urls: '" + registry + "'}\n"
	}
	b.file("ingest.yaml", text)
	return b
}

func (b *broker) file(name, text string) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *broker) send(topic string, partition int32, itemType string, value []byte) {
	b.t.Helper()
	r := &kgo.Record{Topic: topic, Partition: partition, Value: value}
	if itemType != "" {
		r.Headers = []kgo.RecordHeader{{Key: "item_type_name", Value: []byte(itemType)}}
	}
	if err := b.client.ProduceSync(b.t.Context(), r).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

// untouched says that the commands joined no group and committed nothing.
func (b *broker) untouched() {
	b.t.Helper()
	groups, err := kadm.NewClient(b.client).ListGroups(b.t.Context())
	if err != nil || len(groups) > 0 {
		b.t.Errorf("groups %v, %v", groups.Groups(), err)
	}
}

const liveContracts = `
contracts:
  - {topic: orders, format: json, schema: order.json, table: orders, types: [a.Order], ignore: [a.Ping]}
  - {topic: orders, format: raw, as: string, table: notes, types: [a.Note]}
`

const orderSchema = `{"type": "object", "properties": {"id": {"type": "string"}, "at": {"type": "string", "format": "date-time"},
	"lines": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "number"}}}}}}`

// What would become of a topic's records is counted by table and by reason, each reason with the place of its first
// record and reported once whatever the values in it.
func TestContractsTestOfATopic(t *testing.T) {
	b := newBroker(t, "orders", 3, "", liveContracts)
	b.file("order.json", orderSchema)
	for i := range 5 {
		b.send("orders", int32(i%3), "a.Order", fmt.Appendf(nil, `{"id": "%d", "at": "2026-01-02T03:04:05Z"}`, i))
	}
	b.send("orders", 1, "a.Note", []byte("note"))
	for i := range 3 {
		lines := strings.Repeat(`{"price": 1}, `, i)
		b.send("orders", 2, "a.Order", fmt.Appendf(nil, `{"lines": [%s{"price": "%d"}]}`, lines, i))
	}
	b.send("orders", 0, "a.Other", []byte("{}"))
	b.send("orders", 0, "", []byte("{}"))
	b.send("orders", 0, "a.Ping", []byte("{}"))
	b.send("orders", 0, "a.Order", nil)

	code, out, errs := commandLine(t, "contracts", "test", "-c", b.config, "--topic", "orders")
	want := `orders: all 13 records of 3 partitions

rows
  rows  bytes  null payload  table   contract  type
     5    BBB             0  orders  order     a.Order
     1    BBB             0  notes   notes     a.Note

dead letters
  letters  first at  reason        contract  type     field                   error
        3       2/1  undecodable   order     a.Order  payload.lines[0].price  EEE
        1       0/2  unknown_type  -         a.Other  -                       header item_type_name is "a.Other", which no contract of the topic takes
        1       0/3  unknown_type  -         -        -                       header item_type_name is missing

6 rows, 5 dead letters, 1 ignored, 1 tombstone
`
	if got := masked(out); code != 1 || got != want || errs != "" {
		t.Errorf("exit status %d\n%s%s", code, got, errs)
	}

	code, out, _ = commandLine(t, "contracts", "test", "-c", b.config, "--topic", "orders", "-o", "json")
	var line trialLine
	if err := json.Unmarshal([]byte(out), &line); err != nil || code != 1 || line.Rows != 6 || line.Letters != 5 ||
		line.Ignored != 1 ||
		line.Tombstones != 1 || len(line.RowsBy) != 2 || len(line.LettersBy) != 3 || line.LettersBy[0].Letters != 3 ||
		line.LettersBy[0].Partition != 2 || line.LettersBy[0].Offset != 1 || line.Sampled.Records != 13 {
		t.Errorf("exit status %d, %v\n%s", code, err, out)
	}
	b.untouched()
}

// masked hides what the test does not settle: the size of rows, and the decoder's words.
func masked(out string) string {
	lines := strings.Split(out, "\n")
	for i, line := range lines {
		cells := strings.Fields(line)
		if len(cells) == 6 && (cells[3] == "orders" || cells[3] == "notes") {
			lines[i] = strings.Replace(line, strings.Repeat(" ", 4-min(4, len(cells[1])))+cells[1], " BBB", 1)
		}
		if at := strings.Index(line, "price"); at > 0 {
			lines[i] = line[:at+len("price")] + "  EEE"
		}
	}
	return strings.Join(lines, "\n")
}

// A sample is bounded in records and bytes, is of the last records unless the first ones are asked for, and every
// partition has its share.
func TestContractsTestBoundsTheSample(t *testing.T) {
	b := newBroker(t, "notes", 2, "", "contracts: [{topic: notes, format: raw, as: json, table: notes, types: ['*']}]")
	for i := range 40 { // the first ten of each partition are no JSON
		value := "x"
		if i >= 20 {
			value = "1"
		}
		b.send("notes", int32(i%2), "", []byte(value))
	}
	for name, tt := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"all": {nil, 1, []string{"all 40 records of 2 partitions", "20 rows, 20 dead letters"}},
		"last": {
			[]string{"--limit", "20"}, 0, []string{
				"20 records of about 40, the last ones of 2 partitions",
				"20 rows, 0 dead",
			},
		},
		"odd": {[]string{"--limit", "21"}, 1, []string{"21 records", "20 rows, 1 dead letter,"}},
		"first": {
			[]string{"--limit", "4", "--oldest"},
			1,
			[]string{"4 records of about 40, the first ones", "0 rows, 4 dead letters"},
		},
		"bytes":  {[]string{"--bytes", "200"}, 1, []string{"cut short at 200B (--bytes)"}},
		"none":   {[]string{"--limit", "0"}, 2, nil},
		"nobody": {[]string{"--contract", "notes"}, 2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := commandLine(t,
				append([]string{"contracts", "test", "-c", b.config, "--topic", "notes"}, tt.args...)...)
			if code != tt.code {
				t.Errorf("exit status %d", code)
			}
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q", want)
				}
			}
			if t.Failed() {
				t.Logf("%s%s", out, errs)
			}
		})
	}
	for topic, want := range map[string]string{"nope": "no contract is for the topic nope"} {
		if code, _, errs := commandLine(t, "contracts", "test", "-c", b.config, "--topic", topic); code != 1 ||
			!strings.Contains(errs, want) {
			t.Errorf("exit status %d\n%s", code, errs)
		}
	}
	b.untouched()
}
