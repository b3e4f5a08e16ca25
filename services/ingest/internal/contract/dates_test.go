package contract_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Far dates of a contract are settled as it says, and counted.
func TestFarDatesAreCounted(t *testing.T) {
	s := &shelf{}
	s.put("parcels-value", 3, `{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}`)
	metrics := prometheus.NewRegistry()
	set, err := contract.Load(t.Context(), []contract.Config{parcels(func(c *contract.Config) {
		c.EventID, c.EventTime.Field = "", "at"
		c.Dates = contract.Dates{From: "1970-01-01", To: "1970-01-02", Beyond: "clamp"}
	})}, t.TempDir(), contract.Env{Schemas: s, Registerer: metrics})
	if err != nil {
		t.Fatal(err)
	}
	topic := set.Topic("parcels").Fork()
	for datum, want := range map[string]string{
		"\x01": "at=0", "\x02": "at=1000", "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01": "at=172799999999",
	} {
		r := framed(3, datum)
		if _, err := topic.Prepare(t.Context(), []record.Record{*r}, nil); err != nil {
			t.Fatal(err)
		}
		m := topic.Match(r)
		row, err := m.Contract.AppendRow(nil, r, m, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := payload(t, topic.Routes[0], row); got != want {
			t.Errorf("%x: %s, want %s", datum, got, want)
		}
	}
	const want = `
# HELP waybill_ingest_far_dates_total Dates and times that were far away by their contract and became null or a ` +
		`bound, those of records read again included.
# TYPE waybill_ingest_far_dates_total counter
waybill_ingest_far_dates_total{contract="parcels-value",topic="parcels"} 2
`
	if err := testutil.GatherAndCompare(metrics, strings.NewReader(want),
		"waybill_ingest_far_dates_total"); err != nil {
		t.Error(err) // the event's time, which is the column's value, is none beside it
	}
}

// A text that is no date is a dead letter, whatever the contract says of far ones; the year 0 is a date before the
// first.
func TestTextsThatAreNoDates(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "s.json"), []byte(`{"properties": {"at": {"type": "string", `+
		`"format": "date-time"}, "day": {"type": "string", "format": "date"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := contract.Load(t.Context(), []contract.Config{{
		Topic: "t", Format: "json", Schema: "s.json", Table: "t", Types: []string{"*"},
		Dates: contract.Dates{From: "1900-01-01", To: "2199-12-31", Beyond: "clamp"},
	}}, dir, contract.Env{})
	if err != nil {
		t.Fatal(err)
	}
	topic := set.Topic("t").Fork()
	for value, want := range map[string]string{
		`{"day":"0000-00-00"}`:                 "day=" + unsigned(-25567),
		`{"day":"9999-12-31"}`:                 "day=84005",
		`{"at":"0000-12-31T23:59:59Z"}`:        "at=" + unsigned(-2208988800000000),
		`{"at":"9999-12-31T23:59:59.999999Z"}`: "at=7258118399999999",
		`{"day":"10000-01-01"}`:                "!payload.day at byte 7: wants a date",
		`{"day":"infinity"}`:                   "!payload.day at byte 7: wants a date",
		`{"at":"+10000-01-01T00:00:00Z"}`:      "!payload.at at byte 6: wants a timestamp",
		`{"at":"-infinity"}`:                   "!payload.at at byte 6: wants a timestamp",
	} {
		r := &record.Record{Topic: "t", TimestampMicros: 1, Value: []byte(value)}
		m := topic.Match(r)
		row, err := m.Contract.AppendRow(nil, r, m, 1)
		if refusal, refused := strings.CutPrefix(want, "!"); refused {
			if err == nil || !strings.Contains(err.Error(), refusal) {
				t.Errorf("%s: %v, want %s", value, err, refusal)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", value, err)
		} else if got := payload(t, topic.Routes[0], row); got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
}

// unsigned is a number as it stands in a row.
func unsigned(n int64) string { return strconv.FormatUint(uint64(n), 10) }

func TestDatesThatCannotBe(t *testing.T) {
	for want, dates := range map[string]contract.Dates{
		"dates.beyond":                       {Beyond: "null"},
		"dates.from":                         {From: "yesterday"},
		"a time without a zone":              {To: "2026-01-01T00:00:00"},
		"dates.to: it is before dates.from":  {From: "2026-01-01", To: "2025-12-31"},
		"dates.from: \"0001-01-01T00:00:00+": {From: "0001-01-01T00:00:00+01:00"},
	} {
		_, err := contract.Load(t.Context(), []contract.Config{order(func(c *contract.Config) { c.Dates = dates })},
			"testdata", contract.Env{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", dates, err, want)
		}
	}
}
