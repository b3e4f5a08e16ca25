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

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"google.golang.org/protobuf/encoding/protowire"
)

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
		b.send("orders", int32(i%2), "shop.OrderPlaced",
			fmt.Appendf(nil, `{"id": "o%d", "created_at": "2026-01-02T03:04:05.%03dZ",
			"@date": "2026-01-02T03:04:05Z", "day": "2026-01-%02d", "total": %d.5, "count": %d, "huge": 1844674407370955161%d, "odd": %s, "lines": [{"sku": "a", "price": %d}],
			"matrix": [[1], [2, 3]], "tags": ["a", null], "empty": [], "nothing": null, "by-name": 1, "ID": 2, "a.b": 3,
			"names": {"k%d": 1, "l%d": 2}%s}`, i, i, i%28+1, i, i, i%10, odd, i, i, i, more))
		b.send("orders", int32(i%2), "shop.OrderPaid", fmt.Appendf(nil, `{"id": "o%d", "when": "2026-01-02T03:04:05"}`,
			i))
	}
	b.send("orders", 0, "shop.OrderPaid", []byte(`{"id": 7}`))
	b.send("orders", 1, "shop.OrderPaid", nil)
	b.file("nowhere/empty.txt", "") // a folder without a contract is no reason not to begin
	b.file("ingest.yaml", strings.Replace(readFile(t, b.config), "contracts_dir: nowhere", "", 1))
	out := b.infer("orders", 81)
	for _, want := range []string{
		"orders: all 82 records of 2 partitions",
		"       41       2  json    orders_order_paid    shop.OrderPaid",
		"       40      20  json    orders_order_placed  shop.OrderPlaced",
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
		"by-name           -       -  40  INTEGER                      whole number (called by_name)\n",
		"ID                -       -  40  INTEGER                      whole number (called ID_2)\n",
		"a.b               -       -  40  -                            whole number (in _extra: its name is not " +
			"made of",
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
		"types: [shop.OrderPlaced]", "table: orders_order_placed", "schema: orders.order_placed.json",
		"unknown_fields: keep", "    huge: {type: NUMERIC}", "    by-name: {name: by_name}",
		"# event_time: {field: created_at}", `# event_time: {field: "@date"}`, "# event_id: id",
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

// A topic may have a name of 249 characters, and types names that are longer still: the files and the tables that are
// called after them are within what file systems and BigQuery take, and apart from each other.
func TestContractsInferOfLongNames(t *testing.T) {
	for _, topic := range []string{strings.Repeat("t", 240) + ".v1.order", "_" + strings.Repeat(".-", 124)} {
		b := newBroker(t, topic, 1, "", "contracts_dir: contracts.d")
		b.file("contracts.d/none.yaml", "topic: none\nformat: raw\ntable: none\ntypes: ['*']\n")
		long := "shop." + strings.Repeat("OrderPlaced", 100)
		for i, itemType := range []string{"shop.Order", long + "1", long + "2"} {
			b.send(topic, 0, itemType, fmt.Appendf(nil, `{"id": "%d"}`, i))
		}
		b.infer(topic, 3)
		files, err := os.ReadDir(filepath.Join(b.dir, "contracts.d"))
		if err != nil || len(files) != 5 {
			t.Errorf("%v, %v", files, err)
		}
		code, out, errs := commandLine(t, "contracts", "list", "-c", b.config, "-o", "json")
		if tables := strings.Count(out, `"table":`); code != 0 || tables != 4 {
			t.Errorf("exit status %d, %d tables\n%s%s", code, tables, out, errs)
		}
	}
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
