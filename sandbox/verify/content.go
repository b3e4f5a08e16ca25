package verify

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"
	"github.com/twmb/franz-go/pkg/kgo"
)

// readers is how many rows of the sample are fetched at a time.
const readers = 8

// content compares the records of the sample with their rows.
func (c *comparison) content(ctx context.Context, tables *tables) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan *kgo.Record)
	var mu sync.Mutex // guards c.report
	var workers sync.WaitGroup
	for range readers {
		workers.Go(func() {
			for record := range work {
				differences, err := c.differences(ctx, tables, record)
				if err != nil {
					cancel(err)
					continue
				}
				mu.Lock()
				c.report.Sampled++
				if len(differences) > 0 {
					c.report.Different++
					c.off(Different, record.Partition, record.Offset, summary(differences))
				}
				mu.Unlock()
			}
		})
	}
	for _, record := range c.sample {
		if ctx.Err() != nil {
			break
		}
		work <- record
	}
	close(work)
	workers.Wait()
	return context.Cause(ctx)
}

func summary(differences []string) string {
	const shown = 3
	if more := len(differences) - shown; more > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(differences[:shown], "; "), more)
	}
	return strings.Join(differences, "; ")
}

// differences lists where the row of a record says something else than the record.
func (c *comparison) differences(ctx context.Context, tables *tables, record *kgo.Record) ([]string, error) {
	var row map[string]any
	err := errAbsent
	for _, table := range c.topic.Tables {
		if row, err = tables.row(ctx, table, record.Topic, record.Partition, record.Offset); !errors.Is(err,
			errAbsent) {
			break
		}
	}
	if errors.Is(err, errAbsent) {
		return []string{"the row was listed, and cannot be fetched"}, nil
	}
	if err != nil {
		return nil, err
	}
	columns := fromKafka(record)
	if c.decode != nil {
		payload, err := c.decode(typeOf(record), record.Value)
		if err != nil {
			return []string{fmt.Sprintf("there is a row of a record that cannot be decoded: %v", err)}, nil
		}
		columns = append(columns, c.fromPayload(record, payload)...)
	}
	var d differ
	for _, column := range columns {
		d.value(column.name, column.want, row[column.name])
	}
	if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(row["ingest_time"])); err != nil {
		d.add("ingest_time", "a time", row["ingest_time"])
	}
	return d.found, nil
}

// decodeAvro reads schemaless Avro, or an object container file with one value.
func decodeAvro(schema *avro.Schema, value []byte) (map[string]any, error) {
	var payload map[string]any
	if bytes.HasPrefix(value, []byte("Obj\x01")) {
		reader, err := ocf.NewReader(bytes.NewReader(value))
		if err != nil {
			return nil, fmt.Errorf("object container: %w", err)
		}
		if err := reader.Decode(&payload); err != nil {
			return nil, fmt.Errorf("object container: %w", err)
		}
		return payload, reader.Close()
	}
	rest, err := schema.Decode(value, &payload)
	if err != nil {
		return nil, fmt.Errorf("avro: %w", err)
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("avro: %d bytes left over", len(rest))
	}
	return payload, nil
}

type column struct {
	name string
	want any
}

// fromKafka is what the columns must hold that come from the record around its payload.
func fromKafka(record *kgo.Record) []column {
	itemType := typeOf(record)
	headers := make([]any, len(record.Headers))
	for i, h := range record.Headers {
		headers[i] = map[string]any{"key": h.Key, "value": nullable(h.Value)}
	}
	return []column{
		{"event_type", itemType[strings.LastIndexByte(itemType, '.')+1:]},
		{"item_type", itemType},
		{"kafka_topic", record.Topic},
		{"kafka_partition", record.Partition},
		{"kafka_offset", record.Offset},
		{"kafka_timestamp", record.Timestamp},
		{"kafka_key", nullable(record.Key)},
		{"kafka_headers", headers},
	}
}

// fromPayload is what the payload's column must hold, and those that the contract takes out of it.
func (c *comparison) fromPayload(record *kgo.Record, payload any) []column {
	object, _ := payload.(map[string]any)
	id := any(fmt.Sprintf("%s/%d/%d", record.Topic, record.Partition, record.Offset))
	if c.topic.ID != "" {
		id = object[c.topic.ID]
	}
	version := any(c.topic.Version)
	if version == "" {
		version = nil
	}
	return []column{
		{"topic_version", version},
		{"event_id", id},
		{"event_time", c.topic.EventTime.of(object)},
		{c.topic.Payload, payload},
	}
}

// nullable keeps nil bytes apart from empty ones.
func nullable(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// differ walks a decoded Avro value and a row's JSON side by side.
type differ struct{ found []string }

func (d *differ) add(path string, want, got any) {
	if got == nil {
		got = "null"
	}
	if want == nil {
		want = "null"
	}
	d.found = append(d.found, fmt.Sprintf("%s: the record has %s, the row %s", path, brief(want), brief(got)))
}

func brief(v any) string {
	text := fmt.Sprint(v)
	if s, ok := v.(string); ok && s != "null" {
		text = strconv.Quote(s)
	}
	const longest = 60
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return text
}

// value compares one value. Null in the record must be absent from the row, and everything else present; only an
// empty array or map may be absent, since BigQuery has no empty arrays.
func (d *differ) value(path string, want, got any) {
	same := false
	switch want := want.(type) {
	case nil:
		same = got == nil
	case map[string]any:
		d.recordOrMap(path, want, got)
		return
	case []any:
		d.array(path, want, got)
		return
	case bool:
		same = got == want
	case string:
		same = got == want
	case []byte:
		text, ok := got.(string)
		raw, err := base64.StdEncoding.DecodeString(text)
		same = ok && err == nil && bytes.Equal(raw, want)
	case int32:
		same = integer(got, int64(want))
	case int64:
		same = integer(got, want)
	case float32:
		same = float(got, float64(want))
	case float64:
		same = float(got, want)
	case time.Time:
		text, ok := got.(string)
		at, err := time.Parse(time.RFC3339Nano, text)
		same = ok && err == nil && at.UnixMicro() == want.UnixMicro()
	}
	if !same {
		d.add(path, want, got)
	}
}

// recordOrMap compares a record with an object, and a map with an array of key and value: Avro's decoder gives both
// as a map.
func (d *differ) recordOrMap(path string, want map[string]any, got any) {
	switch got := got.(type) {
	case map[string]any:
		for name, value := range want {
			d.value(path+"."+name, value, got[name])
		}
		for name, value := range got {
			if _, known := want[name]; !known && value != nil {
				d.add(path+"."+name, nil, value)
			}
		}
	case []any:
		if len(got) != len(want) {
			d.add(path, fmt.Sprintf("%d entries", len(want)), fmt.Sprintf("%d entries", len(got)))
			return
		}
		for _, one := range got {
			entry, ok := one.(map[string]any)
			key, keyed := entry["key"].(string)
			value, known := want[key]
			if !ok || !keyed || !known {
				d.add(path, want, one)
				return
			}
			d.value(path+"["+strconv.Quote(key)+"]", value, entry["value"])
		}
	default:
		if got != nil || len(want) > 0 {
			d.add(path, want, got)
		}
	}
}

func (d *differ) array(path string, want []any, got any) {
	array, ok := got.([]any)
	if !ok && (got != nil || len(want) > 0) || len(array) != len(want) {
		d.add(path, want, got)
		return
	}
	for i, value := range want {
		d.value(path+"["+strconv.Itoa(i)+"]", value, array[i])
	}
}

// integer and float take a number as JSON writes it, or as BigQuery's REST API does, in a string.
func integer(got any, want int64) bool {
	return slices.Contains([]any{json.Number(strconv.FormatInt(want, 10)), strconv.FormatInt(want, 10)}, got)
}

func float(got any, want float64) bool {
	var text string
	switch got := got.(type) {
	case json.Number:
		text = got.String()
	case string:
		text = got
	default:
		return false
	}
	number, err := strconv.ParseFloat(text, 64)
	return err == nil && (number == want || math.IsNaN(number) && math.IsNaN(want))
}
