package avro_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	deliveryv6 "github.com/waybill-data/waybill/proto/delivery/v6"
	stockv1 "github.com/waybill-data/waybill/proto/stock/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/avro"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

// vector is one golden payload, written by Apache Avro's own encoder, and what it says.
type vector struct {
	Type string          `json:"item_type_name"`
	Avro []byte          `json:"avro_base64"`
	JSON json.RawMessage `json:"json"`
}

func vectors(t testing.TB, name string) []vector {
	t.Helper()
	return decodetest.Read[vector](t, "testdata/"+name)
}

func plan(t testing.TB, avsc string, o decode.Options) *avro.Plan {
	t.Helper()
	schema, err := os.ReadFile("../../contract/schemas/" + avsc)
	if err != nil {
		t.Fatal(err)
	}
	p, err := avro.Compile(schema, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var builtins = []struct {
	schema, vectors string
	options         decode.Options
	message         proto.Message
}{
	{
		"delivery_event_v6.avsc", "delivery_event_v6.jsonl.gz",
		decode.Options{Contract: "delivery.v6", Payload: "delivery", EventID: "id", EventTime: "timestamp"},
		&deliveryv6.Delivery{},
	},
	{
		"physical_stock_updated.avsc", "physical_stock_updated.jsonl.gz",
		decode.Options{Contract: "stock.v1", Payload: "physical_stock", EventTime: "timestamp"},
		&stockv1.PhysicalStock{},
	},
}

func TestGolden(t *testing.T) {
	for _, b := range builtins {
		d := plan(t, b.schema, b.options).NewDecoder()
		for i, v := range vectors(t, b.vectors) {
			row, err := d.Append([]byte("before"), v.Avro)
			if err != nil {
				t.Fatalf("%s %d: %v", b.vectors, i, err)
			}
			row, ok := bytes.CutPrefix(row, []byte("before"))
			if !ok {
				t.Fatal("the bytes before the row are gone")
			}
			m := b.message.ProtoReflect().New().Interface()
			if err := proto.Unmarshal(row, m); err != nil {
				t.Fatalf("%s %d: %v", b.vectors, i, err)
			}
			if differences := compare(m.ProtoReflect(), v.JSON); len(differences) > 0 {
				t.Errorf("%s %d: %v", b.vectors, i, differences)
			}
			canonical, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
			if err != nil || !bytes.Equal(row, canonical) {
				t.Errorf("%s %d: not the bytes of proto.Marshal (%v)", b.vectors, i, err)
			}
			var want struct {
				ID        string
				Timestamp int64
			}
			if err := json.Unmarshal(v.JSON, &want); err != nil {
				t.Fatal(err)
			}
			id, hasID := d.EventID()
			micros, hasTime := d.EventTime()
			if string(id) != want.ID || hasID != (want.ID != "") || !hasTime || micros != want.Timestamp/1000 {
				t.Errorf("%s %d: event %q %v at %d %v", b.vectors, i, id, hasID, micros, hasTime)
			}
		}
	}
}

// compare lists where a message is not what the JSON says, null and zero apart.
func compare(m protoreflect.Message, raw json.RawMessage) (differences []string) {
	var want map[string]json.RawMessage
	if err := json.Unmarshal(raw, &want); err != nil {
		return []string{fmt.Sprintf("%s: %v", m.Descriptor().FullName(), err)}
	}
	fields := m.Descriptor().Fields()
	if fields.Len() != len(want) {
		differences = append(differences, fmt.Sprintf("%s: %d fields, want %d",
			m.Descriptor().FullName(), fields.Len(), len(want)))
	}
	for i := range fields.Len() {
		f := fields.Get(i)
		value, ok := want[string(f.Name())]
		switch null := string(value) == "null"; {
		case !ok:
			differences = append(differences, fmt.Sprintf("%s: not in the vector", f.FullName()))
		case f.IsList() && value[0] == '{':
			differences = append(differences, compareEntries(m.Get(f).List(), value)...)
		case f.IsList():
			differences = append(differences, compareItems(m.Get(f).List(), value)...)
		case m.Has(f) == null:
			differences = append(differences, fmt.Sprintf("%s: present %v, want %s", f.FullName(), m.Has(f), value))
		case null:
		case f.Message() != nil:
			differences = append(differences, compare(m.Get(f).Message(), value)...)
		default:
			if got := fmt.Sprint(m.Get(f).Interface()); got != text(f, value) {
				differences = append(differences, fmt.Sprintf("%s: %s, want %s", f.FullName(), got, value))
			}
		}
	}
	return differences
}

func compareItems(items protoreflect.List, raw json.RawMessage) (differences []string) {
	var want []json.RawMessage
	if err := json.Unmarshal(raw, &want); err != nil || len(want) != items.Len() {
		return []string{fmt.Sprintf("%d items, want %d (%v)", items.Len(), len(want), err)}
	}
	for i, w := range want {
		differences = append(differences, compare(items.Get(i).Message(), w)...)
	}
	return differences
}

func compareEntries(entries protoreflect.List, raw json.RawMessage) (differences []string) {
	var want map[string]string
	if err := json.Unmarshal(raw, &want); err != nil || len(want) != entries.Len() {
		return []string{fmt.Sprintf("%d entries, want %d (%v)", entries.Len(), len(want), err)}
	}
	for i := range entries.Len() {
		e := entries.Get(i).Message()
		f := e.Descriptor().Fields()
		key, value := e.Get(f.ByName("key")).String(), e.Get(f.ByName("value")).String()
		if w, ok := want[key]; !ok || w != value || !e.Has(f.ByName("key")) || !e.Has(f.ByName("value")) {
			differences = append(differences, fmt.Sprintf("entry %q: %q, want %q", key, value, w))
		}
	}
	return differences
}

// text prints a JSON value as fmt prints the field's Go value.
func text(f protoreflect.FieldDescriptor, raw json.RawMessage) string {
	var v any
	switch f.Kind() {
	case protoreflect.StringKind:
		v = new(string)
	case protoreflect.BoolKind:
		v = new(bool)
	case protoreflect.FloatKind:
		v = new(float32)
	case protoreflect.DoubleKind:
		v = new(float64)
	default:
		v = new(int64)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return err.Error()
	}
	switch v := v.(type) {
	case *string:
		return *v
	case *bool:
		return fmt.Sprint(*v)
	case *float32:
		return fmt.Sprint(*v)
	case *float64:
		return fmt.Sprint(*v)
	case *int64:
		return fmt.Sprint(*v)
	}
	return ""
}

func TestNoAllocations(t *testing.T) {
	for _, b := range builtins {
		d := plan(t, b.schema, b.options).NewDecoder()
		all := vectors(t, b.vectors)
		var row []byte
		i := 0
		one := func() {
			var err error
			if row, err = d.Append(row[:0], all[i%len(all)].Avro); err != nil {
				t.Fatal(err)
			}
			i++
		}
		for range all {
			one() // grows what is kept
		}
		if n := testing.AllocsPerRun(len(all)*4, one); n != 0 {
			t.Errorf("%s: %v allocations a row", b.vectors, n)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, c := range builtins {
		b.Run(c.options.Contract, func(b *testing.B) {
			d := plan(b, c.schema, c.options).NewDecoder()
			all := vectors(b, c.vectors)
			total := 0
			for _, v := range all {
				total += len(v.Avro)
			}
			b.SetBytes(int64(total / len(all)))
			b.ReportAllocs()
			var row []byte
			i := 0
			for b.Loop() {
				var err error
				if row, err = d.Append(row[:0], all[i].Avro); err != nil {
					b.Fatal(err)
				}
				if i++; i == len(all) {
					i = 0
				}
			}
		})
	}
}
