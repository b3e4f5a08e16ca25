package send_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/waybill-data/waybill/sandbox/kafka"
	"github.com/waybill-data/waybill/sandbox/registry"
	"github.com/waybill-data/waybill/sandbox/sandboxtest"
	"github.com/waybill-data/waybill/sandbox/send"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The registry's client keeps its idle connections.
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"))
}

// received reads n records and spells them as partition, key, headers, value.
func received(ctx context.Context, t *testing.T, cluster *kafka.Cluster, topic string, n int) (spelled []string,
	values [][]byte,
) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.Seeds()...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for len(spelled) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatal(err)
		}
		for r := range fetches.RecordsAll() {
			value := "null"
			if r.Value != nil {
				value = fmt.Sprintf("%q", r.Value)
			}
			line := fmt.Sprintf("%d %q %s", r.Partition, r.Key, value)
			for _, h := range r.Headers {
				line += fmt.Sprintf(" %s=%s", h.Key, h.Value)
			}
			spelled = append(spelled, line)
			values = append(values, r.Value)
		}
	}
	return spelled, values
}

func TestLines(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cluster := sandboxtest.Kafka(t, kafka.Config{})
	lines := `
# a comment
{"key": "a", "headers": {"item_type_name": "x.Y", "b": "2"}, "value": {"id": 1,  "s": "é"}, "partition": 1}
{"value": "plain text", "partition": 1}
{"value": null, "partition": 1, "timestamp_ms": 1700000000000}
{"value_base64": "AAEC", "partition": 1}
`
	sent, err := send.Run(ctx, send.Config{Seeds: cluster.Seeds(), Topic: "orders", Partitions: 2, Repeat: 2},
		strings.NewReader(lines))
	if err != nil || sent != 8 {
		t.Fatalf("%d sent, %v", sent, err)
	}
	got, _ := received(ctx, t, cluster, "orders", 8)
	once := []string{
		`1 "a" "{\"id\":1,\"s\":\"é\"}" b=2 item_type_name=x.Y`, `1 "" "plain text"`, `1 "" null`,
		`1 "" "\x00\x01\x02"`,
	}
	if diff := cmp.Diff(append(append([]string{}, once...), once...), got); diff != "" {
		t.Error(diff)
	}
}

func TestWrongLines(t *testing.T) {
	for text, says := range map[string]string{
		"\n{":                              "line 2:",
		`{"valeu": 1}`:                     "valeu",
		`{"key": "k"}`:                     "neither value nor value_base64",
		`{"value": 1, "partition": 2}`:     "partition 2 is not one of 2",
		`{"value": 1, "value_base64": ""}`: "exclude each other",
	} {
		sent, err := send.Run(t.Context(), send.Config{Topic: "orders", Partitions: 2}, strings.NewReader(text))
		if sent != 0 || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %d sent, %v; want %q", text, sent, err, says)
		}
	}
}

// A value with a schema is Avro behind the id that the registry gave the schema.
func TestAvro(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cluster := sandboxtest.Kafka(t, kafka.Config{})
	r, err := registry.Start("127.0.0.1:0", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	const schema = `{"type": "record", "name": "View", "fields": [
		{"name": "page", "type": "string"}, {"name": "ms", "type": ["null", "long"], "default": null},
		{"name": "tags", "type": {"type": "array", "items": "string"}, "default": []}]}`
	encode, err := send.Avro(ctx, r.URL(), "views-value", schema)
	if err != nil {
		t.Fatal(err)
	}
	lines := `{"value": {"page": "/a", "ms": 12, "tags": ["x"]}}
{"value": {"page": "/b"}}`
	if _, err := send.Run(ctx, send.Config{Seeds: cluster.Seeds(), Topic: "views", Partitions: 1, Encode: encode},
		strings.NewReader(lines)); err != nil {
		t.Fatal(err)
	}
	_, values := received(ctx, t, cluster, "views", 2)
	want := []map[string]any{
		{"page": "/a", "ms": int64(12), "tags": []any{"x"}}, {"page": "/b", "ms": nil, "tags": []any{}},
	}
	parsed := avro.MustParse(schema)
	for i, value := range values {
		if value[0] != 0 || binary.BigEndian.Uint32(value[1:]) < 3 {
			t.Errorf("the frame is % x", value[:5])
		}
		var got any
		if rest, err := parsed.Decode(value[5:], &got); err != nil || len(rest) > 0 {
			t.Fatalf("%v, %d bytes left", err, len(rest))
		}
		if diff := cmp.Diff(any(want[i]), got); diff != "" {
			t.Error(diff)
		}
	}
	if _, err := encode(json.RawMessage(`{"ms": 1}`)); err == nil || !strings.Contains(err.Error(), "page") {
		t.Errorf("a value without its field page: %v", err)
	}
	if _, err := send.Avro(ctx, r.URL(), "views-value", `{"type": "nothing"}`); err == nil {
		t.Error("a schema that is none was registered")
	}
}
