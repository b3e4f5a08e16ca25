package contract_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// several is a set of entries of the topic parcels whose types the schemas say.
func several(t *testing.T, s *shelf, entries ...contract.Config) *contract.Set {
	t.Helper()
	for i := range entries {
		entries[i].Topic, entries[i].TypeFrom = "parcels", "schema"
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"union.avsc": unionOf("shop.Order", "shop.Refund"), "other.avsc": unionOf("shop.Refund", "shop.Order"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, err := contract.Load(t.Context(), entries, dir, contract.Env{Schemas: s})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func unionOf(names ...string) string {
	text := `["null"`
	for i, name := range names {
		text += `,{"type":"record","name":"` + name + `","fields":[{"name":"f` + string(rune('0'+i)) +
			`","type":"int"}]}`
	}
	return text + "]"
}

// outcome says where a record goes, and what its row holds.
func outcome(t *testing.T, topic *contract.Topic, value []byte) string {
	t.Helper()
	r := &record.Record{Topic: "parcels", TimestampMicros: -1, Value: value}
	if _, err := topic.Prepare(t.Context(), []record.Record{*r}, nil); err != nil {
		t.Fatal(err)
	}
	m := topic.Match(r)
	if m.Action != contract.Row {
		return strings.TrimSpace(m.Action.String() + " " + m.Reason)
	}
	row, err := m.Contract.AppendRow(nil, r, m, 1)
	if err != nil {
		return err.Error()
	}
	table := topic.Routes[m.Route].Table
	if !strings.Contains(string(row), "\x82\x01") {
		return table + " null"
	}
	return table + " " + string(m.ItemType()) + " " + payload(t, topic.Routes[m.Route], row)
}

// Records of several subjects in one topic, without a header, go to a table for each type, by the full name of the
// record that they are written with.
func TestTypesOfSubjects(t *testing.T) {
	s := &shelf{}
	order := func(fields string) string {
		return `{"type":"record","name":"Order","namespace":"shop","fields":[` + fields + `]}`
	}
	s.putText("shop.Order", 1, "avro", order(`{"name":"id","type":"int"}`))
	s.putText("shop.Refund", 2, "avro", `{"type":"record","name":"shop.Refund","fields":[{"name":"of","type":"int"}]}`)
	s.putText("parcels-union", 3, "avro", unionOf("shop.Order", "shop.Refund"))
	s.putText("shop.Noise", 4, "avro", `{"type":"record","name":"shop.Noise","fields":[]}`)
	s.putText("broken", 6, "avro", `{"type":"record"}`)
	entry := func(name string) contract.Config {
		return contract.Config{
			Format: "avro", Framing: "confluent", Subject: name, Table: strings.ToLower(name[5:]),
			Types:     []string{name},
			Evolution: "additive",
			Unknown:   "ignore",
		}
	}
	topic := several(t, s, entry("shop.Order"), entry("shop.Refund")).Topic("parcels").Fork()
	at := func(id uint32, datum string) []byte { return append(header(id), datum...) }
	for _, c := range []struct {
		value []byte
		want  string
	}{
		{at(1, "\x02"), "order shop.Order id=1"},
		{at(2, "\x04"), "refund shop.Refund of=2"},
		{at(3, "\x00"), "ignore"},
		{at(4, ""), "ignore"},
		{at(6, ""), "unknown schema id 6: record is missing fields"},
		{at(7, ""), "unknown schema id 7"},
		{[]byte("x"), "unknown the value does not name its schema: a zero byte and a schema id come first"},
		{nil, "ignore"},
	} {
		if got := outcome(t, topic, c.value); !strings.HasPrefix(got, c.want) || c.want == "ignore" && got != c.want {
			t.Errorf("%q: %s, want %s", c.value, got, c.want)
		}
	}
	// A header of the usual name says nothing, even where the first record agrees with it.
	for value, want := range map[string]int{string(at(1, "\x02")): 0, string(at(2, "\x04")): 1} {
		for range 2 {
			r := record.Record{
				Topic: "parcels", TimestampMicros: -1, Value: at(1, "\x02"),
				Headers: typed("shop.Order").Headers,
			}
			m := topic.Match(&r)
			if _, err := m.Contract.AppendRow(nil, &r, m, 1); err != nil {
				t.Fatal(err)
			}
			r.Value = []byte(value)
			if m := topic.Match(&r); m.Route != want {
				t.Errorf("%q goes to %d, want %d", value, m.Route, want)
			}
		}
	}
	// One of the two grows; the other does not mind.
	s.putText("shop.Order", 5, "avro", order(`{"name":"id","type":"int"},{"name":"note","type":"string"}`))
	r := record.Record{Topic: "parcels", TimestampMicros: -1, Value: at(5, "\x02\x02a")}
	if grown, err := topic.Prepare(t.Context(), []record.Record{r}, nil); !grown || err != nil {
		t.Fatal(grown, err)
	}
	topic = topic.Fork()
	if got := outcome(t, topic, r.Value); got != "order shop.Order id=1 note=a" {
		t.Error(got)
	}
	if got := outcome(t, topic, at(2, "\x04")); got != "refund shop.Refund of=2" {
		t.Error(got)
	}
	if n := testing.AllocsPerRun(100, func() { topic.Match(&r) }); n != 0 {
		t.Errorf("%v allocations to match", n)
	}
}

// A schema that comes later is found, and until then its records are refused whatever becomes of unknown types.
func TestTypeOfASchemaThatComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		s.putText("shop.Order", 1, "avro", `{"type":"record","name":"shop.Order","fields":[{"name":"id","type":"int"}]}`)
		topic := several(t, s, contract.Config{
			Format: "avro", Framing: "confluent", Subject: "shop.Order", Table: "order", Types: []string{"*"},
			Tombstones: "row",
		}).Topic("parcels").Fork()
		late := append(header(9), "\x02"...)
		if got := outcome(t, topic, late); got != "unknown schema id 9 is not in the registry" {
			t.Error(got)
		}
		s.putText("shop.Order", 9, "avro", `{"type":"record","name":"shop.Order","fields":[{"name":"id","type":"int"}]}`)
		time.Sleep(time.Minute)
		if got := outcome(t, topic, late); got != "order shop.Order id=1" {
			t.Error(got)
		}
	})
}

// The messages of a protobuf file are types, and so are the titles of JSON Schemas.
func TestTypesOfOtherFormats(t *testing.T) {
	s := &shelf{}
	s.putText("p", 1, "protobuf",
		`syntax = "proto3"; package shop; message Order { int32 id = 1; message Line { int32 no = 1; } } message Refund { `+
			`int32 of = 1; }`)
	s.putText("j1", 2, "json", `{"title":"Order","type":"object","properties":{"id":{"type":"integer"}}}`)
	s.putText("j2", 3, "json", `{"title":"Refund","type":"object","properties":{"of":{"type":"integer"}}}`)
	s.putText("j3", 4, "json", `{"type":"object","properties":{"of":{"type":"integer"}}}`)
	at := func(id uint32, datum string) []byte { return append(header(id), datum...) }
	message := func(name string) contract.Config {
		return contract.Config{
			Format: "protobuf", Framing: "confluent", Subject: "p", Message: name,
			Table: strings.ReplaceAll(name, ".", "_"), Types: []string{name},
		}
	}
	topic := several(t, s, message("shop.Order"), message("shop.Order.Line"),
		message("shop.Refund")).Topic("parcels").Fork()
	for datum, want := range map[string]string{
		"\x00\x08\x01":         "shop_Order shop.Order id=1",
		"\x04\x00\x00\x08\x02": "shop_Order_Line shop.Order.Line no=2",
		"\x02\x02\x08\x03":     "shop_Refund shop.Refund of=3",
		"\x02\x08\x08\x03":     "unknown the schema does not say of which type the payload is",
		"\xff":                 "unknown the schema does not say of which type the payload is",
	} {
		if got := outcome(t, topic, at(1, datum)); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s, want %s", datum, got, want)
		}
	}
	object := func(subject, title string) contract.Config {
		return contract.Config{
			Format: "json", Framing: "confluent", Subject: subject, Table: title,
			Types: []string{title},
		}
	}
	topic = several(t, s, object("j1", "Order"), object("j2", "Refund")).Topic("parcels").Fork()
	for id, want := range map[uint32]string{
		2: "Order Order id=5", 3: "Refund Refund of=5", 4: "unknown the schema does not say",
	} {
		datum := `{"id":5}`
		if id > 2 {
			datum = `{"of":5}`
		}
		if got := outcome(t, topic, at(id, datum)); !strings.HasPrefix(got, want) {
			t.Errorf("%d: %s, want %s", id, got, want)
		}
	}
}

// The records of a top-level union are types, and its null is a tombstone, with a registry and without.
func TestTopLevelUnions(t *testing.T) {
	entry := func(name, tombstones string) contract.Config {
		return contract.Config{
			Format: "avro", Schema: "union.avsc", Table: name, Types: []string{"shop." + name}, Tombstones: tombstones,
		}
	}
	topic := several(t, nil, entry("Order", ""), entry("Refund", "")).Topic("parcels").Fork()
	for value, want := range map[string]string{
		"\x02\x02": "Order shop.Order f0=1", "\x04\x04": "Refund shop.Refund f1=2", "\x00": "ignore",
		"\x06":     "unknown the schema does not say",
		"\x00\x00": "unknown the schema does not say",
	} {
		if got := outcome(t, topic, []byte(value)); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
	all := entry("Order", "row")
	all.Types = []string{"shop.Order", "*"}
	topic = several(t, nil, all).Topic("parcels").Fork()
	if got := outcome(t, topic, []byte("\x00")); got != "Order null" {
		t.Error(got)
	}
	if got := outcome(t, topic, []byte("\x04\x04")); got != "union: payload at byte 1: the payload is of type record "+
		"shop.Refund, the contract reads shop.Order" {
		t.Error(got)
	}
	// A header may tell the types as well; null is a tombstone all the same.
	s := &shelf{}
	s.putText("parcels-value", 3, "avro", unionOf("Parcel"))
	d := open(t, s, func(c *contract.Config) { c.EventID = "" })
	for range 2 { // the second has the headers of the first
		if got := outcome(t, d.fork(), framed(3, "\x02\x02").Value); got != "parcels  f0=1" {
			t.Error(got)
		}
	}
	fork := d.fork()
	for _, c := range [][2]string{{"\x02\x02", "parcels  f0=1"}, {"\x00", "ignore"}, {"\x02\x04", "parcels  f0=2"}} {
		if got := outcome(t, fork, framed(3, c[0]).Value); got != c[1] {
			t.Errorf("%q: %s, want %s", c[0], got, c[1])
		}
	}
}

// What cannot be told apart is refused at the start.
func TestTypesThatNobodyTells(t *testing.T) {
	union := contract.Config{
		Format: "avro", Schema: "union.avsc", Table: "a", Types: []string{"shop.Order"}, TypeFrom: "schema",
		Topic: "parcels",
	}
	other := union
	other.Schema, other.Table, other.Types = "other.avsc", "b", []string{"shop.Refund"}
	header, framing, star, raw := other, other, union, union
	header.Schema, header.TypeHeader = "union.avsc", "type"
	framing.Framing = "confluent"
	star.Types = []string{"*"}
	raw.Format, raw.Schema = "raw", ""
	s := &shelf{}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"union.avsc": unionOf("shop.Order", "shop.Refund"), "other.avsc": unionOf("shop.Refund", "shop.Order"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for want, configs := range map[string][]contract.Config{
		"of one schema":                  {union, other},
		"the schema says the type":       {union, header},
		"others do not":                  {union, framing},
		"write an entry for each":        {star},
		"raw do not say their type":      {raw},
		"is not one of the choices":      {func() contract.Config { c := union; c.TypeFrom = "key"; return c }()},
		"entry for each, with type_from": {star, other},
	} {
		_, err := contract.Load(t.Context(), configs, dir, contract.Env{Schemas: s})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
