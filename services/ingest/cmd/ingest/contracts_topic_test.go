package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"google.golang.org/protobuf/encoding/protowire"
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
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
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
// record and told once whatever the values in it.
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
			[]string{"--limit", "20"}, 0, []string{"20 records of about 40, the last ones of 2 partitions", "20 rows, 0 dead"},
		},
		"odd": {[]string{"--limit", "21"}, 1, []string{"21 records", "20 rows, 1 dead letter,"}},
		"first": {
			[]string{"--limit", "4", "--oldest"}, 1, []string{"4 records of about 40, the first ones", "0 rows, 4 dead letters"},
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

// infer runs `contracts infer`, and tries what it wrote on the same topic.
func (b *broker) infer(topic string, rows int) (out string) {
	b.t.Helper()
	code, out, errs := commandLine(b.t, "contracts", "infer", "-c", b.config, topic)
	if code != 0 || errs != "" {
		b.t.Fatalf("exit status %d\n%s%s", code, out, errs)
	}
	entries := filepath.Join(b.dir, "contracts.d", topic+".yaml")
	code, tried, errs := commandLine(b.t, "contracts", "test", "-c", b.config, "--topic", topic, "--entries", entries)
	if code != 0 || !strings.Contains(tried, plural(rows, "row", "rows")+", 0 dead letters") {
		text, _ := os.ReadFile(entries)
		b.t.Fatalf("exit status %d\n%s%s\n%s%s", code, tried, errs, out, text)
	}
	b.untouched()
	return out
}

// Of JSON without a schema the fields are told with their kinds and how often they are null or absent. Kinds that clash
// become JSON, and what is inferred takes all the records that it comes of.
func TestContractsInferJSON(t *testing.T) {
	b := newBroker(t, "orders", 2, "", "contracts_dir: nowhere")
	for i := range 40 {
		odd := "null"
		if i%2 == 1 {
			odd = `"text"`
		}
		if i%4 == 3 {
			odd = fmt.Sprintf(`{"n": %d}`, i)
		}
		more := ""
		if i%10 == 0 {
			more = `, "seldom": true`
		}
		b.send("orders", int32(i%2), "shop.OrderPlaced", fmt.Appendf(nil, `{"id": "o%d", "created_at": "2026-01-02T03:04:05.%03dZ",
			"day": "2026-01-%02d", "total": %d.5, "count": %d, "huge": 1844674407370955161%d, "odd": %s, "lines": [{"sku": "a", "price": %d}],
			"matrix": [[1], [2, 3]], "tags": ["a", null], "empty": [], "nothing": null, "by-name": 1, "ID": 2,
			"names": {"k%d": 1, "l%d": 2}%s}`, i, i, i%28+1, i, i, i%10, odd, i, i, i, more))
		b.send("orders", int32(i%2), "shop.OrderPaid", fmt.Appendf(nil, `{"id": "o%d", "when": "2026-01-02T03:04:05"}`, i))
	}
	b.send("orders", 0, "shop.OrderPaid", []byte(`{"id": 7}`))
	b.send("orders", 1, "shop.OrderPaid", nil)
	b.file("nowhere/empty.txt", "") // a folder without a contract is no reason not to begin
	b.file("ingest.yaml", strings.Replace(readFile(t, b.config), "contracts_dir: nowhere", "", 1))
	out := b.infer("orders", 81)
	for _, want := range []string{
		"orders: all 82 records of 2 partitions",
		"       41       2  json    orders_order_paid    shop.OrderPaid",
		"       40      18  json    orders_order_placed  shop.OrderPlaced",
		"        1       -  -       -                    null values",
		"id                -       -  40  STRING                       text\n",
		"created_at        -       -  40  TIMESTAMP                    text\n",
		"day               -       -  40  DATE                         text\n",
		"total             -       -  40  FLOAT                        number\n",
		"count             -       -  40  INTEGER                      whole number\n",
		"huge              -       -  40  NUMERIC                      huge whole number (beyond 64 bits)\n",
		"odd             50%       -  40  JSON                         CLASH: 10 object, 10 text\n",
		"lines[]           -       -  40  REPEATED RECORD              array\n",
		"lines[].price     -       -  40  INTEGER                      whole number\n",
		"matrix[][]        -       -  40  REPEATED INTEGER             array\n",
		"nothing        100%       -  40  JSON                         no value but null was seen\n",
		"by-name           -       -  40  -                            whole number (in _extra: its name is not made of",
		"ID                -       -  40  -                            whole number (in _extra: another field has this name",
		"names             -       -  40  REPEATED RECORD(key, value)  object (a map: 80 keys)\n",
		"seldom            -     90%  40  BOOL                         boolean\n",
		"id        -       -  41  JSON    CLASH: 40 text, 1 whole number\n",
		"when      -      2%  41  STRING  text\n",
		"of these records: 81 rows, 0 dead letters, 1 tombstone",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q", want)
		}
	}
	contracts := readFile(t, filepath.Join(b.dir, "contracts.d", "orders.yaml"))
	for _, want := range []string{
		"types: [shop.OrderPlaced]", "table: orders_order_placed", "schema: orders.order_placed.json", "unknown_fields: keep",
		"    huge: {type: NUMERIC}", "# event_time: {field: created_at}", "# event_id: id",
	} {
		if !strings.Contains(contracts, want) {
			t.Errorf("no %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%s\n%s", out, contracts)
	}
	// What is there is not overwritten unless that is asked for, nor is any other file written then.
	args := []string{"contracts", "infer", "-c", b.config, "orders"}
	if err := os.Remove(filepath.Join(b.dir, "contracts.d", "orders.order_paid.json")); err != nil {
		t.Fatal(err)
	}
	code, _, errs := commandLine(t, args...)
	if code != 1 || !strings.Contains(errs, "orders.yaml is there already, and nothing was written") {
		t.Errorf("exit status %d\n%s", code, errs)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "contracts.d", "orders.order_paid.json")); err == nil {
		t.Error("a file was written beside one that was there")
	}
	if code, out, errs := commandLine(t, append(args, "--force")...); code != 0 {
		t.Errorf("exit status %d\n%s%s", code, out, errs)
	}
	code, out, errs = commandLine(t, append(args, "--one-table", "--dry-run", "-o", "json")...)
	var line inferenceLine
	if err := json.Unmarshal([]byte(out), &line); err != nil || code != 0 || len(line.Types) != 1 ||
		line.Types[0].Records != 81 || line.Trial.Rows != 81 ||
		line.Tombstones != 1 || len(line.Files) != 2 {
		t.Errorf("exit status %d, %v\n%s%s", code, err, out, errs)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Of a framed topic the types are those of the registry's schemas, and the contract reads their subject.
func TestContractsInferByTheRegistry(t *testing.T) {
	registry := srfake.NewRegistry()
	server := httptest.NewServer(registry.Handler())
	t.Cleanup(server.Close)
	register := func(subject string, s sr.Schema) []byte {
		id, _, err := registry.RegisterSchema(subject, s)
		if err != nil {
			t.Fatal(err)
		}
		return binary.BigEndian.AppendUint32([]byte{0}, uint32(id))
	}
	avro := func(fields string) sr.Schema {
		return sr.Schema{Schema: `{"type":"record","name":"Paid","namespace":"shop","fields":[{"name":"id","type":"string"}` +
			fields + `]}`}
	}

	b := newBroker(t, "paid", 1, server.URL, "")
	first := register("paid-value", avro(""))
	second := register("paid-value", avro(`,{"name":"note","type":["null","string"],"default":null}`))
	for i := range 4 {
		b.send("paid", 0, "", append(first[:5:5], "\x02a"...))
		b.send("paid", 0, "", append(second[:5:5], []string{"\x02a\x00", "\x02a\x02\x02b"}[i%2]...))
	}
	out := b.infer("paid", 8)
	for _, want := range []string{
		"        8       2  avro, subject paid-value, ids 1 2  paid   shop.Paid",
		"id        -       -   8  STRING",
		"note    75%       -   8  STRING",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}

	b = newBroker(t, "sold", 1, server.URL, "")
	proto := register("sold-value", sr.Schema{Type: sr.TypeProtobuf, Schema: `syntax = "proto3"; package shop;
		message Other {} message Sold { string id = 1; optional int32 pieces = 2; }`})
	message := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "a")
	for range 3 {
		b.send("sold", 0, "shop.Sold", append(append(proto[:5:5], 2, 2), message...)) // the file's second message
	}
	out = b.infer("sold", 3)
	for _, want := range []string{
		"protobuf, subject sold-value, id 3  sold   shop.Sold", "pieces  100%       -   3  INTEGER",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}

	// Several types without a header are told by their schemas, whatever subjects these are of.
	b = newBroker(t, "moves", 1, server.URL, "")
	event := func(name string) sr.Schema {
		return sr.Schema{Schema: `{"type":"record","name":"` + name +
			`","namespace":"yard","fields":[{"name":"id","type":"string"}]}`}
	}
	in, exit := register("moves-yard.In", event("In")), register("moves-yard.Out", event("Out"))
	both := register("moves-value", sr.Schema{Schema: `["null",` + event("Wait").Schema + `,` + event("Stop").Schema +
		`]`})
	for range 2 {
		b.send("moves", 0, "", append(in[:5:5], "\x02a"...))
		b.send("moves", 0, "", append(exit[:5:5], "\x02a"...))
		b.send("moves", 0, "", append(both[:5:5], "\x02\x02a"...))
		b.send("moves", 0, "", append(both[:5:5], "\x04\x02a"...))
		b.send("moves", 0, "", append(both[:5:5], "\x00"...))
	}
	out = b.infer("moves", 8)
	for _, want := range []string{
		"subject moves-yard.In, id", "moves_in    yard.In", "moves_out   yard.Out", "moves_wait  yard.Wait",
		"moves_stop  yard.Stop", "subject moves-value, id",
		"null values: the contract ignores them", "8 rows, 0 dead letters, 2 tombstones",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}

	// Without the registry they are bytes, and that is said.
	blind := newBroker(t, "paid", 1, "", "")
	blind.send("paid", 0, "", append(first[:5:5], "\x02a"...))
	if out := blind.infer("paid", 1); !strings.Contains(out, "say registry.urls and try again") ||
		!strings.Contains(out, "raw: bytes") {
		t.Errorf("got\n%s", out)
	}
}
