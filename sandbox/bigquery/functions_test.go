package bigquery_test

import (
	"strings"
	"testing"

	"cloud.google.com/go/bigquery"
	"github.com/google/go-cmp/cmp"

	emulator "github.com/waybill-data/waybill/sandbox/bigquery"
)

// Functions give what BigQuery gives where SQLite's of the same name give something else.
func TestFunctions(t *testing.T) {
	type row = []bigquery.Value
	b := start(t, emulator.Config{})
	for sql, want := range map[string]row{
		`LOWER('ŁÓDŹ'), UPPER('łódź'), LOWER(NULL)`:                            {"łódź", "ŁÓDŹ", nil},
		`TRIM('\n\u00a0a b\t'), LTRIM(' a '), RTRIM('xax', 'x')`:               {"a b", "a ", "xa"},
		`SUBSTR('łódź', 0, 2), SUBSTR('łódź', -2), SUBSTR('ab', -5, 1)`:        {"łó", "dź", "a"},
		`SUBSTR('ab', 3), SUBSTRING('abc', 2, 1), SUBSTR(b'\xff\x01', 2)`:      {"", "b", []byte{1}},
		`DIV(-7, 2), MOD(-7, 2), MOD(1.5, 1)`:                                  {int64(-3), int64(-1), 0.5},
		`JSON_VALUE('{"a": true, "b": {"c": 1}}', '$.a')`:                      {"true"},
		`JSON_VALUE('{"a": true, "b": {"c": 1}}', '$.b'), JSON_VALUE('7')`:     {nil, "7"},
		`TO_JSON_STRING(TIMESTAMP '2026-01-02 03:04:05')`:                      {`"2026-01-02T03:04:05.000000Z"`},
		`TO_JSON_STRING(1 = 1), TO_JSON_STRING(12)`:                            {"true", "12"},
		`TO_JSON_STRING([TRUE, FALSE]), TO_JSON_STRING('{"a": 1}')`:            {"[true,false]", `"{\"a\": 1}"`},
		`TO_JSON_STRING(JSON '{"a": 1}'), TO_JSON_STRING(b'a')`:                {`{"a": 1}`, `"YQ=="`},
		`TO_JSON_STRING(NULL), TO_JSON_STRING(NUMERIC '12345678901234567.25')`: {"null", `"12345678901234567.25"`},
		`CAST(9.2e18 AS INT64) > 0, SAFE_CAST(1e19 AS INT64)`:                  {true, nil},
	} {
		got := b.query("SELECT " + sql)
		if diff := cmp.Diff([]row{want}, got); diff != "" {
			t.Errorf("%s\n%s", sql, diff)
		}
	}
	for sql, says := range map[string]string{
		"DIV(1, 0)":                              "division by zero",
		"MOD(1, 0)":                              "division by zero",
		"SUBSTR('a', 1, -1)":                     "must not be negative",
		"9223372036854775807 + 1":                "int64 overflow",
		"CAST(1e19 AS INT64)":                    "bad INTEGER value",
		"":                                       "the query ends too early",
		"SUM('a')":                               "aggregate function SUM for argument types: STRING",
		"RANGE<DATE> '[2026-01-01, 2026-01-02)'": "does not support RANGE",
		"1 FROM UNNEST([1]) PIVOT(SUM(x) FOR y IN ('a'))": "does not support PIVOT",
		"1 FROM UNNEST([1]) FOR SYSTEM_TIME AS OF NULL":   "does not support FOR",
		"1 FROM UNNEST([1]) AS pivot GROUP BY ALL":        "does not support GROUP BY ALL",
	} {
		_, err := b.bq.Query("SELECT " + sql).Read(t.Context())
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", sql, err, says)
		}
	}
}
