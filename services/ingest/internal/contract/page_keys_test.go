package contract_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
)

// pageKeys are the lines of "The keys" in docs/contracts.md, by key: values, default and the rest.
func pageKeys(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile("../../../../docs/contracts.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(page), "\n## The keys\n")
	part, _, _ = strings.Cut(part, "\n## ")
	keys := map[string][]string{}
	part = strings.ReplaceAll(part, "\n  ", " ")
	for _, line := range regexp.MustCompile("(?m)^- `([a-z_.]+)` \\((.*?)\\): (.*)$").FindAllStringSubmatch(part, -1) {
		values, standard, _ := strings.Cut("; "+line[2], "; default ")
		keys[line[1]] = []string{strings.TrimPrefix(values, "; "), standard, line[3]}
	}
	return keys
}

// quoted are the texts in backquotes.
func quoted(text string) (all []string) {
	for _, q := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(text, -1) {
		all = append(all, q[1])
	}
	return all
}

// keyed is an entry of a key alone and of what it needs beside it, and what is wrong with the key.
func keyed(t *testing.T, key, value string) (c contract.Config, complaints []string) {
	t.Helper()
	line := key + ": " + value
	if outer, inner, nested := strings.Cut(key, "."); nested {
		line = outer + ": {" + inner + ": " + value + "}"
	}
	beside := map[string]string{
		"builtin": "{}", "format": "topic: t", "as": "format: raw", "mode": "format: json",
		"unknown_fields": "format: json", "unfit_schema": "format: avro\nframing: confluent",
		"subject_version": "format: avro\nsubject: s\nframing: confluent", "unknown": "format: raw\nunknown_table: u",
		"unknown_table": "format: raw\nunknown: table",
	}[key]
	switch beside {
	case "":
		beside = "format: avro\nschema: order.avsc"
	case "{}":
		beside = ""
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.yaml": beside + "\n" + line + "\n",
		"order.avsc": `{"type":"record","name":"R","fields":[{"name":"id","type":"string"},
			{"name":"at","type":{"type":"int","connect.name":"org.apache.kafka.connect.data.Date"}}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configs, err := contract.LoadDir(dir)
	var problems config.Problems
	if err != nil && !errors.As(err, &problems) {
		t.Fatalf("%s: %v", line, err)
	}
	for _, p := range problems {
		if _, at, _ := strings.Cut("."+p.Key, "."); at == key || strings.HasPrefix(key, at+".") ||
			strings.HasPrefix(at, key+"[") {
			complaints = append(complaints, p.Message)
		}
	}
	if len(configs) == 1 {
		c = configs[0]
	}
	return c, complaints
}

// Every value that the page lists for a key is taken, and where it lists all of them no other is.
func TestPageValues(t *testing.T) {
	open := map[string]bool{"types": true, "ignore": true, "table": true, "columns": true, "type_header": true}
	tried := 0
	for key, line := range pageKeys(t) {
		values := quoted(line[0])
		if key == "name" || key == "schema" || key == "columns" {
			continue // the first says of which letters, the others have tables of their own
		}
		complaints := func(value string) []string {
			_, all := keyed(t, key, value)
			return all
		}
		for _, value := range values {
			if tried++; len(complaints(value)) > 0 {
				t.Errorf("%s: %s is refused: %v", key, value, complaints(value))
			}
		}
		other := "nonsense"
		if strings.HasPrefix(strings.Join(values, ""), "[") {
			other = "[nonsense]"
		}
		if len(values) > 0 && !open[key] && len(complaints(other)) == 0 {
			t.Errorf("%s: %s is taken", key, other)
		}
	}
	if tried < 50 {
		t.Errorf("%d values on the page", tried)
	}
}

// The default that the page states is what the entry is understood as without the key, or the same as the key with it.
func TestPageDefaults(t *testing.T) {
	understood := func(c contract.Config) (contract.Entry, string) {
		t.Helper()
		c.Topic, c.Table, c.Types = "orders", "orders", []string{"a"}
		if c.Format == "json" {
			c.Schema = "order.avsc"
		}
		set, err := contract.Load(t.Context(), []contract.Config{c}, t.TempDir(), contract.Env{})
		if err != nil {
			t.Fatal(err)
		}
		topic := set.Topic("orders")
		return set.Entries()[0], fmt.Sprintf("%x %v", topic.Fingerprint, topic.Routes)
	}
	// What another value makes of the entry is another thing, so that the comparison can fail.
	others := map[string]string{"as": "string", "hints": "ignore"}
	// Records tell what these are: TestMatch, TestJSON, TestWaitsForTheOperator, TestFarDatesAreCounted and
	// TestFreshnessOfTables.
	elsewhere := regexp.MustCompile(`^(unknown_fields|mode|unfit_schema|dates\..*|freshness\..*|framing|` +
		`subject_version|type_from)$`)
	tried := 0
	for key, line := range pageKeys(t) {
		said := quoted(line[1])
		if len(said) == 0 || key == "event_id" || key == "topic_version" || elsewhere.MatchString(key) {
			continue
		}
		tried++
		want := said[0]
		c, _ := keyed(t, key, want)
		plain, _ := keyed(t, "payload", "payload")
		if c.Format == "raw" {
			plain = contract.Config{Format: "raw"}
		}
		entry, without := understood(plain)
		if got := valueOf(reflect.ValueOf(entry.Config), key); got == want {
			continue
		} else if got != "" {
			t.Errorf("%s: without it the entry says %s, the page %s", key, got, want)
			continue
		}
		if _, with := understood(c); with != without {
			t.Errorf("%s: %s is another thing than none:\n%s\n%s", key, want, with, without)
		}
		other := others[key]
		if other == "" {
			t.Errorf("%s: nothing says what it is without the key", key)
			continue
		}
		c, _ = keyed(t, key, other)
		if _, with := understood(c); with == without {
			t.Errorf("%s: %s is the same as none", key, other)
		}
	}
	if tried < 12 {
		t.Errorf("%d defaults on the page", tried)
	}
}

// valueOf is the text of a key of an entry.
func valueOf(v reflect.Value, key string) string {
	outer, inner, nested := strings.Cut(key, ".")
	for f, field := range v.Fields() {
		switch {
		case f.Tag.Get("yaml") != outer:
		case nested:
			return valueOf(field, inner)
		case field.Kind() == reflect.Slice:
			return fmt.Sprint(field.Interface())
		default:
			return field.String()
		}
	}
	return ""
}
