package contract_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// A contract that is loaded when its subject's latest version cannot be taken, or has changed a type, is what it would
// be had it seen the versions one by one: older records go on, and what cannot be taken is refused record by record.
func TestLatestVersionThatCannotBeTaken(t *testing.T) {
	for name, c := range map[string]struct {
		older, latest string
		datum         [2]string
		want          [2]string
		warned        string
	}{
		"names that clash": {
			v1, v1 + `,{"name":"ID","type":"string"}`,
			[2]string{"\x02a\x02", "\x02a\x02\x02b"},
			[2]string{"id=a grams=1", `!payload.ID: another column has this name but for its case`},
			"version 2 of subject parcels-value cannot be taken",
		},
		"too deep": {
			v1, v1 + `,{"name":"deep","type":` + deepRecord(15) + `}`,
			[2]string{"\x02a\x02", "\x02a\x02\x00"},
			[2]string{"id=a grams=1", "!nested deeper than BigQuery's 15 levels"},
			"columns gives a field another name or type",
		},
		"string to bytes": {
			v1 + `,{"name":"s","type":"string"}`, v1 + `,{"name":"s","type":"bytes"}`,
			[2]string{"\x02a\x02\x02s", "\x02b\x04\x02t"},
			[2]string{"id=a grams=1 s=s", "id=b grams=2 s=t"},
			"payload.s: the contract has STRING, it has BYTES",
		},
		"int to union": {
			v1, `{"name":"id","type":"string"},{"name":"grams","type":["int","string"]},{"name":"new","type":"int"}`,
			[2]string{"\x02a\x02", "\x02b\x02\x02x\x06"},
			[2]string{
				"id=a grams=1", "!payload.grams at byte 8: schema 8's string cannot be read as the contract's int",
			},
			"version 1 of subject parcels-value has another type, which the column keeps: payload.grams: the " +
				"contract has INTEGER, it has RECORD",
		},
		"int to string": {
			v1, `{"name":"id","type":"string"},{"name":"grams","type":"string"}`,
			[2]string{"\x02a\x02", "\x02b\x02x"},
			[2]string{"id=a grams=1", "!cannot be read as the contract's int"},
			"write subject_version: 2 for that one alone",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &shelf{}
			s.put("parcels-value", 3, c.older)
			s.put("parcels-value", 8, c.latest)
			d := open(t, s, nil)
			topic := d.fork()
			for i, id := range []uint32{3, 8} {
				got, grown := d.take(topic, framed(id, c.datum[i]))
				want, refused := strings.CutPrefix(c.want[i], "!")
				if grown || got != want && (!refused || !strings.Contains(got, want)) {
					t.Errorf("schema %d: %s, want %s; grown %v", id, got, want, grown)
				}
			}
			warnings := strings.Join(topic.Warnings(), "\n")
			if (warnings == "") != (c.warned == "") || !strings.Contains(warnings, c.warned) {
				t.Errorf("warned of %q, want %q", warnings, c.warned)
			}
		})
	}
}

func deepRecord(levels int) string {
	text := `"int"`
	for i := range levels {
		text = `{"type":"record","name":"D` + string(rune('a'+i)) + `","fields":[{"name":"x","type":` + text + `}]}`
	}
	return text
}

// Where a contract says so a lane waits for the operator before the first record of a schema that does not fit, and
// says what for; what fits goes on meanwhile. Whoever cannot wait is told the reason.
func TestWaitsForTheOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		s.put("parcels-value", 3, v1)
		d := open(t, s, func(c *contract.Config) { c.UnfitSchema = "wait" })
		s.put("parcels-value", 4, v1+`,{"name":"ID","type":"string"}`)
		s.put("parcels-value", 5, `{"name":"id","type":"string"},{"name":"grams","type":"string"}`)
		for id, want := range map[uint32]string{
			4: `the operator: schema id 4 does not fit the contract parcels-value: its fields cannot become columns: ` +
				`payload.ID: another column has this name`,
			5: `the operator: schema id 5 does not fit the contract parcels-value: payload.grams: the contract has int, it ` +
				`has string; change the contract: columns: {"grams": {type: STRING}, or {skip: true}}`,
		} {
			ctx, cancel := context.WithCancel(t.Context())
			waited := make(chan error, 1)
			seen := make(chan string, 100)
			go func() {
				_, err := d.fork().Prepare(ctx, []record.Record{*framed(id, "")}, func(what string) { seen <- what })
				waited <- err
			}()
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			select {
			case err := <-waited:
				t.Fatalf("schema %d does not wait: %v", id, err)
			default:
			}
			shown := false
			for len(seen) > 0 {
				shown = strings.HasPrefix(<-seen, want) || shown
			}
			if !shown {
				t.Errorf("schema %d: nobody learns %s", id, want)
			}
			if got, _ := d.take(d.fork(), framed(3, "\x02a\x02")); got != "id=a grams=1" {
				t.Error(got)
			}
			cancel()
			if err := <-waited; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		if got, _ := d.take(d.fork(),
			framed(4, "\x02a\x02\x02b")); !strings.Contains(got, "its fields cannot become columns") {
			t.Error(got)
		}
		if n := strings.Count(d.log.String(), `records="wait for the operator"`); n != 2 { // one a schema
			t.Errorf("%d lines of log:\n%s", n, d.log.String())
		}
	})
}

// Columns that a contract asks for hold what has changed its type, whichever version is met first: a type that both
// become, or none. Nobody waits for the operator then, for the operator has acted.
func TestColumnsForChangedTypes(t *testing.T) {
	const id = `{"name":"id","type":"string"},`
	number, text := `{"name":"grams","type":"long"}`, `{"name":"grams","type":"string"}`
	asText := contract.Column{Type: "STRING"}
	object := func(kind string) string {
		return `{"type":"object","properties":{"id":{"type":"string"},"grams":{"type":"` + kind + `"}}}`
	}
	for name, c := range map[string]struct {
		format         string
		older, newer   string
		column         contract.Column
		values         [2]string
		want           [2]string
		conflictRemedy string
	}{
		"number to text": {
			"avro", id + number, id + text, asText,
			[2]string{"\x02a\x02", "\x02b\x02x"},
			[2]string{"id=a grams=1", "id=b grams=x"},
			`columns: {"grams": {type: STRING}, or {skip: true}}`,
		},
		"text to number": {
			"avro", id + text, id + number,
			contract.Column{Type: "STRING", Name: "weight"},
			[2]string{"\x02a\x02x", "\x02b\x02"},
			[2]string{"id=a weight=x", "id=b weight=1"},
			`{type: STRING}`,
		},
		"text to a number of a NUMERIC": {
			"avro", id + text, id + number,
			contract.Column{Type: "NUMERIC"},
			[2]string{"\x02a\x06" + "0.5", "\x02b\x04"},
			[2]string{"id=a grams=0.5", "id=b grams=2"},
			`{type: STRING}`,
		},
		"number to either": {
			"avro", id + number, id + `{"name":"grams","type":["null","long","string"]}`, asText,
			[2]string{"\x02a\x02", "\x02b\x04\x02x"},
			[2]string{"id=a grams=1", "id=b grams=x"},
			`{type: STRING}`,
		},
		"left out": {
			"avro", id + number, id + `{"name":"grams","type":"boolean"}`,
			contract.Column{Skip: true},
			[2]string{"\x02a\x02", "\x02b\x01"},
			[2]string{"id=a", "id=b"},
			`columns: {"grams": {skip: true}}`,
		},
		"JSON": {
			"json", object("integer"), object("string"),
			contract.Column{Type: "JSON"},
			[2]string{`{"id":"a","grams":1}`, `{"id":"b","grams":"x"}`},
			[2]string{`id=a grams=1`, `id=b grams="x"`},
			`{type: JSON}`,
		},
		"protobuf": {
			"protobuf", `syntax = "proto3"; message P { string id = 1; int32 grams = 2; }`,
			`syntax = "proto3"; message P { string id = 1; string grams = 2; }`,
			contract.Column{Skip: true},
			[2]string{"\x00\x0a\x01a\x10\x01", "\x00\x0a\x01b\x12\x01x"},
			[2]string{"id=a", "id=b"},
			`columns: {"grams": {skip: true}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			shelves := func(newer bool) *shelf {
				s := &shelf{}
				put := func(id int, text string) {
					if c.format == "avro" {
						s.put("parcels-value", id, text)
					} else {
						s.putText("parcels-value", id, c.format, text)
					}
				}
				put(3, c.older)
				if newer {
					put(8, c.newer)
				}
				return s
			}
			for _, met := range []string{"on the way", "at the start"} {
				s := shelves(met == "at the start")
				d := open(t, s, func(conf *contract.Config) {
					conf.Format, conf.UnfitSchema = c.format, "wait"
					conf.Columns = map[string]contract.Column{"grams": c.column}
				})
				s.schemas, s.subjects = shelves(true).schemas, shelves(true).subjects
				for i, id := range []uint32{3, 8} {
					ctx, cancel := context.WithCancel(t.Context())
					r := framed(id, c.values[i])
					topic := d.fork()
					if _, err := topic.Prepare(ctx, []record.Record{*r}, func(what string) {
						if strings.HasPrefix(what, "the operator") {
							t.Errorf("%s, schema %d: it waits for %s", met, id, what)
							cancel()
						}
					}); err != nil {
						t.Fatal(err)
					}
					cancel()
					if got, _ := d.take(d.fork(), r); got != c.want[i] {
						t.Errorf("%s, schema %d: %s, want %s", met, id, got, c.want[i])
					}
				}
			}
			// Without the column the reason names it.
			s := shelves(false)
			d := open(t, s, func(conf *contract.Config) { conf.Format, conf.UnfitSchema = c.format, "wait" })
			s.schemas, s.subjects = shelves(true).schemas, shelves(true).subjects
			ctx, cancel := context.WithCancel(t.Context())
			said := ""
			if _, err := d.fork().Prepare(ctx, []record.Record{*framed(8, c.values[1])}, func(what string) {
				if strings.HasPrefix(what, "the operator") {
					said = what
					cancel()
				}
			}); !errors.Is(err, context.Canceled) || !strings.Contains(said, c.conflictRemedy) {
				t.Errorf("%v, %q; want %s", err, said, c.conflictRemedy)
			}
			cancel()
		})
	}
}
