package contract_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
)

// Protobuf behind a schema id and message indexes: a newer schema makes a new version, other messages of the file are
// refused.
func TestFramedProtobuf(t *testing.T) {
	s := &shelf{}
	file := func(fields string) string {
		return `syntax = "proto3"; package p; message Other { string x = 1; } message Parcel { string id = 1; ` +
			fields +
			` }`
	}
	s.putText("parcels-value", 3, "protobuf", file("int32 grams = 2;"))
	d := open(t, s, func(c *contract.Config) { c.Format, c.Message = "protobuf", "p.Parcel" })
	s.putText("parcels-value", 4, "protobuf", file("reserved 2; optional bool fragile = 5;"))
	s.putText("parcels-value", 5, "protobuf", file("string grams = 2;"))
	old := d.fork()
	const parcel = "\x02\x02" // one index: the second message
	if got, grown := d.take(old, framed(3, parcel+"\x0a\x02ab\x10\x05")); got != "id=ab grams=5" || grown {
		t.Errorf("%q, grown %v", got, grown)
	}
	if _, grown := d.take(old, framed(4, parcel+"\x0a\x02cd\x28\x01")); !grown {
		t.Fatal("a record with a new field does not want a new version")
	}
	now := d.fork()
	for _, v := range []struct {
		id          uint32
		datum, want string
	}{
		{4, parcel + "\x0a\x02cd\x28\x01", "id=cd fragile=1 grams=0"},
		{3, parcel + "\x0a\x02ab\x10\x05", "id=ab grams=5"},
		{3, "\x00\x0a\x02ab", "parcels-value: payload at byte 5: the record is a p.Other, the contract reads a " +
			"p.Parcel"},
		{3, "", "parcels-value: payload at byte 5: the payload ends within the message indexes"},
		{
			5, parcel + "\x0a\x02cd",
			"parcels-value: payload at byte 0: schema id 5: payload.grams: the writer's schema has string, the " +
				"contract int32",
		},
		{3, parcel + "\x0a\x09ab", "parcels-value: payload.id at byte 7: "},
	} {
		if got, grown := d.take(now, framed(v.id, v.datum)); !strings.HasPrefix(got, v.want) || grown {
			t.Errorf("schema %d: %q, want %q; grown %v", v.id, got, v.want, grown)
		}
	}
}

// JSON behind the id of a JSON Schema.
func TestFramedJSON(t *testing.T) {
	object := func(properties string) string {
		return `{"type":"object","required":["id"],"properties":{"id":{"type":"string"},` + properties + `}}`
	}
	for evolution, want := range map[string]string{
		"additive": "id=cd fragile=1", "off": "parcels-value: payload.fragile at byte 16: ",
	} {
		s := &shelf{}
		s.putText("parcels-value", 3, "json", object(`"grams":{"type":"integer"}`))
		d := open(t, s, func(c *contract.Config) { c.Format, c.Evolution = "json", evolution })
		s.putText("parcels-value", 4, "json", object(`"fragile":{"type":"boolean"}`))
		s.putText("others-value", 5, "json", object(`"n":{"type":"boolean"}`))
		topic := d.fork()
		if got, grown := d.take(topic, framed(3, `{"id":"ab","grams":5}`)); got != "id=ab grams=5" || grown {
			t.Errorf("%s: %q, grown %v", evolution, got, grown)
		}
		got, grown := d.take(topic, framed(4, `{"id":"cd","fragile":true}`))
		if grown != (evolution == "additive") {
			t.Errorf("%s: grown %v", evolution, grown)
		}
		if grown {
			topic = d.fork()
			got, _ = d.take(topic, framed(4, `{"id":"cd","fragile":true}`))
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", evolution, got, want)
		}
		if got, _ := d.take(topic, framed(5, `{"id":"cd"}`)); !strings.HasPrefix(got,
			"parcels-value: payload at byte 0: schema id 5: it is no version of subject parcels-value") {
			t.Errorf("%s: %q", evolution, got)
		}
		if got, _ := d.take(topic, framed(3, `{"grams":5}`)); evolution == "off" &&
			!strings.Contains(got, "payload.id") ||
			evolution == "additive" && got != "grams=5" {
			t.Errorf("%s, without id: %q", evolution, got)
		}
	}
}

// A contract of a file reads framed payloads into the file's columns, whatever the registry gains.
func TestFramedWithAFile(t *testing.T) {
	s := &shelf{}
	s.put("orders-value", 3,
		`{"name":"extra","type":"int"},{"name":"id","type":"string"},{"name":"placed","type":{"type":"long",`+
			`"logicalType":"timestamp-millis"}}`)
	dir := t.TempDir()
	const file = `{"type":"record","name":"Order","fields":[{"name":"placed","type":["null","long"]},{"name":"id",` +
		`"type":"string"}]}`
	if err := os.WriteFile(filepath.Join(dir, "order.avsc"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := contract.Load(t.Context(),
		[]contract.Config{order(func(c *contract.Config) { c.Framing, c.Types = "confluent", []string{"*"} })}, dir,
		contract.Env{Schemas: s})
	if err != nil {
		t.Fatal(err)
	}
	d := &depot{T: t, shelf: s, set: set}
	topic := set.Topic("orders").Fork()
	r := framed(3, "\x08\x04ab\x80\x01")
	r.Topic = "orders"
	got, grown := d.take(topic, r)
	if grown || !strings.Contains(got, "id=ab") || strings.Contains(got, "extra") {
		t.Errorf("%q, grown %v", got, grown)
	}
}
