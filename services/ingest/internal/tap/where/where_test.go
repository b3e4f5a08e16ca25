package where

import (
	"strings"
	"testing"
	"time"
)

var order = Seen{
	Topic: "orders", Partition: 3, Offset: 125, Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Key: []byte("k-1"),
	Headers: map[string]string{"item_type_name": "order.Placed"}, Size: 321, Type: "order.Placed",
	Contract: "orders.v1",
	Table:    "orders",
	Row: []byte(`{"event_id": "e", "kafka_offset": 125, "order": {"total": 140.5, "items": [{"n": 2}, {"n": 5}],
		"id": 9007199254740993, "note": null}}`),
	Payload: "order",
}

func TestFiltersThatTakeAndDoNot(t *testing.T) {
	for text, want := range map[string]bool{
		"":                    true,
		"payload.total > 100": true,
		"payload.total > 141": false,
		`type.startsWith("order.") && topic == "orders"`:  true,
		"payload.items.exists(i, i.n == 5)":               true,
		"payload.id == 9007199254740993":                  true,
		"payload.note == null":                            true,
		"row.kafka_offset == 125 && partition in [1, 3]":  true,
		`time > timestamp("2026-03-01T00:00:00Z")`:        true,
		`headers["item_type_name"] == "order.Placed"`:     true,
		"has(payload.discount) && payload.discount > 0.0": false,
		`key == "k-1" && size > 300`:                      true,
		`reason == "undecodable"`:                         false,
	} {
		f, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := f.Takes(&order); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
}

// What does not parse says where, and what a filter cannot tell of a record it says.
func TestFiltersThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"payload.total >":                            "at line 1, column 16",
		"payload.total > 100 &&\n  paylaod.x == 1":   "at line 2, column 3: undeclared reference to 'paylaod'",
		"offset + 1":                                 "true or false",
		"size == \"big\"":                            "at line 1, column 6",
		strings.Repeat("payload.total > 1 || ", 400): "the most",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"payload.price > 1": "no such key: price",
		"payload":           "neither true nor false",
		"payload.items.all(a, payload.items.all(b, [1,2,3].map(x, x).size() == " +
			"[1,2,3,4,5,6,7,8,9].map(x, [1,2,3,4,5,6,7,8,9].map(y, [1,2,3,4,5,6,7,8,9].map(z, " +
			"[1,2,3,4,5,6,7,8,9].map(w, w + x))))[0].size() - 6))": "cost limit",
	} {
		f, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := f.Takes(&order); got || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, %v, want %s", text, got, err, want)
		}
	}
	if f, err := Parse("payload.total > 100"); err != nil {
		t.Error(err)
	} else if got, err := f.Takes(&Seen{}); got || err == nil {
		t.Errorf("of a record that is no row: %v, %v", got, err)
	}
}
