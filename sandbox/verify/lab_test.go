package verify_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/events/schemas"
	"github.com/waybill-data/waybill/sandbox/kafka"
	"github.com/waybill-data/waybill/sandbox/sandboxtest"
	"github.com/waybill-data/waybill/sandbox/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	topic = events.DeliveryTopic
	count = 60
)

// Made once: both take a while.
var (
	generator = events.New(events.Config{Size: 4000, ContainerEvery: 10, TruncatedEvery: 20, UnknownTypeEvery: 20})
	schema    = avro.MustParse(schemas.DeliveryEventV6)
)

// lab is a Kafka with events, and rows in the place of a BigQuery: all as they should be, until a test breaks it.
type lab struct {
	t       *testing.T
	ctx     context.Context
	cluster *kafka.Cluster
	client  *kgo.Client
	rows    []*row
	letters []*kgo.Record
	records []*kgo.Record
}

type row struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Stream    string `json:"stream"`
	Row       int    `json:"row"`
	content   map[string]any
}

func newLab(t *testing.T) *lab {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	t.Cleanup(cancel)
	cluster := sandboxtest.Kafka(t, kafka.Config{Topics: []kafka.Topic{{Name: topic, Partitions: 3}}})
	client := sandboxtest.Client(t, cluster)
	return &lab{t: t, ctx: ctx, cluster: cluster, client: client}
}

// fill produces events and does what the pipeline should do with them.
func (l *lab) fill() *lab {
	l.t.Helper()
	kinds := make([]events.Kind, count)
	for i := range uint64(count) {
		event := generator.Delivery(nil, i)
		record := &kgo.Record{Topic: topic, Key: event.Key, Value: event.Value}
		for _, h := range event.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
		}
		l.records = append(l.records, record)
		kinds[i] = event.Kind
	}
	l.produce(l.records...)
	for i, record := range l.records {
		if kinds[i] == events.Truncated || kinds[i] == events.UnknownType {
			l.letter(record, nil)
			continue
		}
		l.rows = append(l.rows, &row{
			Topic: topic, Partition: record.Partition, Offset: record.Offset,
			Stream: fmt.Sprintf("streams/s%d", record.Partition), content: rowOf(l.t, record),
		})
	}
	return l
}

func (l *lab) produce(records ...*kgo.Record) {
	l.t.Helper()
	if err := l.client.ProduceSync(l.ctx, records...).FirstErr(); err != nil {
		l.t.Fatal(err)
	}
}

// letter dead-letters a record; changed headers replace the right ones, and "key" and "value" the letter's own.
func (l *lab) letter(record *kgo.Record, changed map[string]string) {
	l.t.Helper()
	pick := func(key, right string) string {
		if other, ok := changed[key]; ok {
			return other
		}
		return right
	}
	letter := &kgo.Record{Topic: topic + ".dead-letter"}
	letter.Key = []byte(pick("key", fmt.Sprintf("%s/%d/%d", topic, record.Partition, record.Offset)))
	letter.Value = []byte(pick("value", string(record.Value)))
	if record.Value == nil {
		letter.Value = nil
	}
	letter.Headers = slices.Clone(record.Headers)
	if record.Key != nil {
		letter.Headers = append(letter.Headers, kgo.RecordHeader{
			Key: "waybill-key", Value: []byte(pick("waybill-key", string(record.Key))),
		})
	}
	if _, ok := changed["header"]; ok {
		letter.Headers[0].Value = []byte(changed["header"])
	}
	for key, right := range map[string]string{
		"waybill-topic": topic, "waybill-partition": fmt.Sprint(record.Partition),
		"waybill-offset": fmt.Sprint(record.Offset),
		"waybill-reason": "undecodable",
	} {
		letter.Headers = append(letter.Headers, kgo.RecordHeader{Key: key, Value: []byte(pick(key, right))})
	}
	l.produce(letter)
	l.letters = append(l.letters, record)
}

// rowOf builds the row's JSON from the record, as BigQuery would show it.
func rowOf(t *testing.T, record *kgo.Record) map[string]any {
	t.Helper()
	var payload map[string]any
	if strings.HasPrefix(string(record.Value), "Obj\x01") {
		reader, err := ocf.NewReader(strings.NewReader(string(record.Value)))
		if err != nil {
			t.Fatal(err)
		}
		if err := reader.Decode(&payload); err != nil {
			t.Fatal(err)
		}
	} else if _, err := schema.Decode(record.Value, &payload); err != nil {
		t.Fatal(err)
	}
	var headers []any
	for _, h := range record.Headers {
		headers = append(headers, map[string]any{"key": h.Key, "value": base64.StdEncoding.EncodeToString(h.Value)})
	}
	itemType := string(record.Headers[0].Value)
	return map[string]any{
		"event_id": payload["id"], "event_type": itemType[strings.LastIndexByte(itemType, '.')+1:],
		"item_type":   itemType,
		"event_time":  micros(time.Unix(0, payload["timestamp"].(int64))),
		"ingest_time": micros(time.Now()), "topic_version": "v6", "kafka_topic": record.Topic,
		"kafka_partition": record.Partition, "kafka_offset": record.Offset,
		"kafka_timestamp": micros(record.Timestamp.Truncate(time.Millisecond)),
		"kafka_key":       base64.StdEncoding.EncodeToString(record.Key), "kafka_headers": headers,
		"delivery": asJSON("", payload),
	}
}

func micros(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000000Z") }

func asJSON(name string, value any) any {
	switch value := value.(type) {
	case map[string]any:
		if slices.Contains([]string{"address_errors", "normalization_errors", "changed_fields"}, name) {
			entries := []any{}
			for k, v := range value {
				entries = append(entries, map[string]any{"key": k, "value": v})
			}
			return entries
		}
		object := map[string]any{}
		for k, v := range value {
			if v != nil {
				object[k] = asJSON(k, v)
			}
		}
		return object
	case []any:
		array := []any{}
		for _, v := range value {
			array = append(array, asJSON("", v))
		}
		return array
	case float32:
		return float64(value) // the column has 64 bits, and shows them
	default:
		return value
	}
}

// ServeHTTP is the sandbox's admin port.
func (l *lab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if query.Get("table") != "waybill.delivery_events" {
		http.Error(w, "no such table", http.StatusNotFound)
		return
	}
	encoder := json.NewEncoder(w)
	switch r.URL.Path {
	case "/bigquery/rows":
		for i, row := range l.rows {
			row.Row = i
			if err := encoder.Encode(row); err != nil {
				l.t.Error(err)
			}
		}
	case "/bigquery/row":
		for _, row := range l.rows {
			if row.Topic == query.Get("topic") && fmt.Sprint(row.Partition) == query.Get("partition") &&
				fmt.Sprint(row.Offset) == query.Get("offset") && row.content != nil {
				if err := encoder.Encode(row.content); err != nil {
					l.t.Error(err)
				}
				return
			}
		}
		http.Error(w, "no such row", http.StatusNotFound)
	}
}

func (l *lab) config() verify.Config {
	server := httptest.NewServer(l)
	l.t.Cleanup(server.Close)
	return verify.Config{
		Seeds: l.cluster.Seeds(), Admin: server.URL, Topics: verify.Builtin("waybill")[:1], Sample: count,
	}
}

func (l *lab) verify(changes ...func(*verify.Config)) verify.Report {
	l.t.Helper()
	config := l.config()
	for _, change := range changes {
		change(&config)
	}
	report, err := verify.Run(l.ctx, config)
	if err != nil {
		l.t.Fatal(err)
	}
	return report
}
