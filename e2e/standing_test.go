package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
)

// envelopeColumns are those of every row of a raw contract of JSON, as REST has them.
const envelopeColumns = `{"name": "event_id", "type": "STRING"}, {"name": "event_type", "type": "STRING"},
	{"name": "item_type", "type": "STRING"}, {"name": "event_time", "type": "TIMESTAMP"%s},
	{"name": "ingest_time", "type": "TIMESTAMP"}, {"name": "topic_version", "type": "STRING"},
	{"name": "kafka_topic", "type": "STRING"}, {"name": "kafka_partition", "type": "INTEGER"},
	{"name": "kafka_offset", "type": "INTEGER"}, {"name": "kafka_timestamp", "type": "TIMESTAMP"},
	{"name": "kafka_key", "type": "BYTES"}, {"name": "kafka_headers", "type": "RECORD", "mode": "REPEATED",
		"fields": [{"name": "key", "type": "STRING"}, {"name": "value", "type": "BYTES"}]},
	{"name": "payload", "type": "JSON"}`

// newYear is a default value of the time of an event.
const newYear = `, "defaultValueExpression": "TIMESTAMP '2026-01-01 00:00:00+00'"`

// standing is a table that somebody else has made, what `contracts diff` says of it, and what becomes of rows.
type standing struct {
	// table is its definition but for its name, contract what its contract says beside topic and table.
	table, contract string
	// filter is that of a row access policy, if it has one.
	filter string
	// says are parts of the diff's output.
	says []string
	// refused is what the lane says that cannot go on. sees are rows that a query of the table finds, else.
	refused, query string
	want           any
}

func schemaWith(more string) string {
	return `"schema": {"fields": [` + fmt.Sprintf(envelopeColumns, "") + more + `]}`
}

var standings = map[string]standing{
	"defaults_null": {
		table: `"schema": {"fields": [` + fmt.Sprintf(envelopeColumns, newYear) +
			`, {"name": "origin", "type": "STRING", "mode": "REQUIRED", "defaultValueExpression": "'waybill'"}]}`,
		says: []string{
			"missing_values: default has BigQuery fill in TIMESTAMP '2026-01-01", "BigQuery fills it in: 'waybill'",
		},
		query: "COUNTIF(event_time IS NULL AND origin = 'waybill')", want: 20.0,
	},
	"defaults_filled": {
		table:    `"schema": {"fields": [` + fmt.Sprintf(envelopeColumns, `, "mode": "REQUIRED"`+newYear) + `]}`,
		contract: "missing_values: default", says: []string{"BigQuery fills in missing values: TIMESTAMP '2026-01-01"},
		query: "COUNTIF(event_time = TIMESTAMP '2026-01-01 00:00:00+00')", want: 20.0,
	},
	"required_relaxes": {
		table:    schemaWith(`, {"name": "must", "type": "STRING", "mode": "REQUIRED"}`),
		contract: "evolution: additive", says: []string{"relaxed to NULLABLE"}, query: "COUNTIF(must IS NULL)",
		want: 20.0,
	},
	"required_stays": {
		table:   schemaWith(`, {"name": "must", "type": "STRING", "mode": "REQUIRED"}`),
		says:    []string{"refused: relax the column, or set evolution: additive"},
		refused: "column must is REQUIRED, and the rows do not have it",
	},
	"by_month": {
		table: `"timePartitioning": {"type": "MONTH", "field": "kafka_timestamp", "expirationMs": "86400000000"},
			"clustering": {"fields": ["kafka_topic"]}, ` + schemaWith(""),
		says: []string{
			"laid out otherwise than the contract says, DAY(ingest_time), clustered by event_type",
			"its partitions expire after 1000 days",
		},
		query: "COUNT(*)", want: 20.0,
	},
	"by_range": {
		table: `"rangePartitioning": {"field": "kafka_offset", "range": {"start": "0", "end": "1000", "interval": "10"}}, ` +
			schemaWith(""),
		says: []string{"laid out otherwise"}, query: "COUNT(*)", want: 20.0,
	},
	"cased": {
		table: strings.NewReplacer(`"event_id"`, `"Event_ID"`, `"payload"`, `"PAYLOAD"`).Replace(schemaWith("")),
		query: "COUNT(Event_ID)", want: 20.0,
	},
	"tagged": {
		table: schemaWith(`, {"name": "note", "type": "STRING",
			"policyTags": {"names": ["projects/p/locations/us/taxonomies/1/policyTags/2"]}}`),
		says: []string{"columns with policy tags or data policies: note"}, query: "COUNTIF(note IS NULL)", want: 20.0,
	},
	"filtered": {
		table: schemaWith(""), filter: "kafka_offset < 5",
		says: []string{"row access policies: some. Appending heeds none"}, query: "COUNT(*)", want: 20.0,
	},
	"a_view": {
		table: `"view": {"query": "SELECT 1 AS event_id", "useLegacySql": false}`,
		says:  []string{"REFUSED: it is a view"}, refused: "it is a view",
	},
	"a_materialized": {
		table: `"materializedView": {"query": "SELECT 1 AS event_id"}`,
		says:  []string{"REFUSED: it is a materialized view"}, refused: "it is a materialized view",
	},
	"an_external": {
		table: `"externalDataConfiguration": {"sourceFormat": "CSV", "sourceUris": ["gs://b/f"]}, ` + schemaWith(""),
		says:  []string{"REFUSED: it is an external table"}, refused: "it is an external table",
	},
}

// Tables that somebody else has made: each is reported before the lanes meet it, those that can take rows do, and of
// the others the lane says why, and goes on by itself once a table stands in their place.
func TestTablesThatExist(t *testing.T) {
	t.Parallel()
	contracts, topics := "", []string{}
	for name, s := range standings {
		topics = append(topics, name)
		contracts += fmt.Sprintf("  - {topic: %s, format: raw, as: json, table: %s, types: ['*']", name, name)
		if s.contract != "" {
			contracts += ", " + s.contract
		}
		contracts += "}\n"
	}
	w := prepared(t, stack.Config{Contracts: contracts})
	w.upSandbox()
	client := w.client()
	if _, err := kadm.NewClient(client).CreateTopics(w.ctx, 1, 1, nil, topics...); err != nil {
		t.Fatal(err)
	}
	if w.bigQuery(http.MethodGet, "datasets/waybill", "") == http.StatusNotFound {
		w.bigQuery(http.MethodPost, "datasets", `{"datasetReference": {"datasetId": "waybill"}}`)
	}
	for name, s := range standings {
		body := `{"tableReference": {"tableId": "` + name + `"}, ` + s.table + `}`
		if code := w.bigQuery(http.MethodPost, "datasets/waybill/tables", body); code != http.StatusOK {
			t.Fatalf("%s: status %d", name, code)
		}
		if s.filter != "" {
			body := fmt.Sprintf(`{"rowAccessPolicyReference": {"policyId": "some"}, "filterPredicate": %q}`, s.filter)
			if code := w.bigQuery(http.MethodPost, "datasets/waybill/tables/"+name+"/rowAccessPolicies",
				body); code != http.StatusOK {
				t.Fatalf("%s: status %d", name, code)
			}
		}
		for i := range 20 {
			client.Produce(w.ctx, &kgo.Record{Topic: name, Value: fmt.Appendf(nil, `{"n": %d}`, i)}, nil)
		}
	}
	if err := client.Flush(w.ctx); err != nil {
		t.Fatal(err)
	}
	if err := w.Writers[0].Start(); err != nil {
		t.Fatal(err)
	}
	if err := w.Writers[0].Await(w.ctx, w.Writers[0].Ready); err != nil {
		t.Fatal(err)
	}
	diff := w.ingestSays(1, "contracts", "diff", "--extra")
	for name, s := range standings {
		for _, want := range s.says {
			if !strings.Contains(diff, want) {
				t.Errorf("%s: no %q", name, want)
			}
		}
	}
	if t.Failed() {
		t.Log(diff)
	}
	if err := w.Ingests[0].Start(); err != nil {
		t.Fatal(err)
	}
	for name, s := range standings {
		if s.refused == "" {
			w.sent[name] = 20
		}
	}
	w.settled()
	w.until("refused lanes say why", func() error {
		lanes, err := w.Ingests[0].Lanes(w.ctx)
		if err != nil {
			return err
		}
		said := map[string]string{}
		for _, l := range lanes {
			said[l.Topic] = l.LastError
		}
		for name, s := range standings {
			if s.refused != "" && !strings.Contains(said[name], s.refused) {
				return fmt.Errorf("%s says %q", name, said[name])
			}
		}
		return nil
	})
	for name, s := range standings {
		if s.refused != "" {
			continue
		}
		if rows := w.sql("SELECT " + s.query + " AS n FROM " + name); rows[0]["n"] != s.want {
			t.Errorf("%s: %v of %v", name, rows[0]["n"], s.want)
		}
	}
	// A table in place of the view, and the lane goes on.
	if code := w.bigQuery(http.MethodDelete, "datasets/waybill/tables/a_view", ""); code/100 != 2 {
		t.Fatalf("status %d", code)
	}
	w.sent["a_view"] = 20
	w.settled()
	if rows := w.sql("SELECT COUNT(*) AS n FROM a_view"); rows[0]["n"] != 20.0 {
		t.Errorf("%v rows", rows[0]["n"])
	}
}

// bigQuery calls the REST API and returns the status.
func (w *world) bigQuery(method, path, body string) int {
	w.t.Helper()
	address := "http://" + w.Endpoints.BigQueryREST + "/bigquery/v2/projects/sandbox/" + path
	r := request(w.ctx, w.t, method, address, body)
	if r.code/100 != 2 && method == http.MethodPost {
		w.t.Logf("%s %s: %s", method, path, r.body)
	}
	return r.code
}
