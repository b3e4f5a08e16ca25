package bigquery_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	emulator "github.com/waybill-data/waybill/sandbox/bigquery"
)

// policyIDs are the row access policies of orders, with what they filter by.
func (b *bench) policyIDs() (all []string) {
	b.t.Helper()
	out := b.ok(rest{method: "GET", path: v2 + "/datasets/waybill/tables/orders/rowAccessPolicies"})
	listed, _ := out["rowAccessPolicies"].([]any)
	for _, p := range listed {
		all = append(all, fmt.Sprint(at(p, "rowAccessPolicyReference", "policyId"), ": ", at(p, "filterPredicate")))
		if at(p, "grantees") != nil || at(p, "creationTime") == nil {
			b.t.Errorf("%v", p)
		}
	}
	return all
}

// Row access policies are made by SQL and by REST, kept over a restart and shown, and no write takes one.
func TestRowAccessPolicies(t *testing.T) {
	dir := t.TempDir()
	b := start(t, emulator.Config{Dir: dir})
	b.ok(rest{method: "POST", path: v2 + "/datasets/waybill/tables", body: `{"tableReference": {"tableId": "orders"},
		"schema": {"fields": [` + field("id", "INTEGER") + `,` + field("region", "STRING") + `]}}`})
	b.cells("CREATE VIEW v AS SELECT region FROM orders", "[]")
	for _, sql := range []string{
		`CREATE ROW ACCESS POLICY eu ON orders GRANT TO ("user:a@example.com", 'domain:example.com') ` +
			`FILTER USING (region = "EU" AND (id > 0))`,
		"create row access policy if not exists eu on waybill.orders filter using (TRUE);",
		"CREATE OR REPLACE ROW ACCESS POLICY us ON `sandbox.waybill.orders` FILTER USING (region IN ('US', 'CA'))",
		"CREATE OR REPLACE ROW ACCESS POLICY us ON orders FILTER USING (region = 'US')",
	} {
		b.cells(sql, "[]")
	}
	path := v2 + "/datasets/waybill/tables/orders/rowAccessPolicies"
	b.ok(rest{method: "POST", path: path, body: `{"rowAccessPolicyReference": {"policyId": "all_of_them"},
		"filterPredicate": "TRUE", "grantees": ["allAuthenticatedUsers"]}`})
	want := []string{`eu: region = "EU" AND (id > 0)`, "us: region = 'US'", "all_of_them: TRUE"}
	if diff := cmp.Diff(want, b.policyIDs()); diff != "" {
		t.Error(diff)
	}
	// In pages.
	first := b.ok(rest{method: "GET", path: path + "?pageSize=2"})
	second := b.ok(rest{method: "GET", path: path + "?pageSize=2&pageToken=" + fmt.Sprint(first["nextPageToken"])})
	if len(first["rowAccessPolicies"].([]any)) != 2 || len(second["rowAccessPolicies"].([]any)) != 1 ||
		second["nextPageToken"] != nil {
		t.Errorf("%v, then %v", first, second)
	}
	for message, r := range map[string]rest{
		"Already Exists: Row access policy eu": {method: "POST", path: path, body: `{"filterPredicate": "TRUE",
			"rowAccessPolicyReference": {"policyId": "eu"}}`},
		"Not found: Row access policy none": {method: "GET", path: path + "/none"},
		"Invalid row access policy ID": {method: "POST", path: path, body: `{"filterPredicate": "TRUE",
			"rowAccessPolicyReference": {"policyId": "no-dash"}}`},
		"Invalid filter predicate of row access policy x": {
			method: "POST", path: path,
			body: `{"filterPredicate": "nowhere = 1", "rowAccessPolicyReference": {"policyId": "x"}}`,
		},
		"Row access policies are of tables": {
			method: "POST", path: strings.Replace(path, "orders", "v", 1),
			body: `{"filterPredicate": "TRUE", "rowAccessPolicyReference": {"policyId": "x"}}`,
		},
		"Syntax error: expected": {
			method: "POST", path: v2 + "/queries",
			body: `{"query": "CREATE ROW ACCESS POLICY x ON orders USING (TRUE)", "useLegacySql": false}`,
		},
		"the filter has no end": {
			method: "POST", path: v2 + "/queries",
			body: `{"query": "CREATE ROW ACCESS POLICY x ON orders FILTER USING (TRUE", "useLegacySql": false}`,
		},
	} {
		status := 400
		switch {
		case strings.HasPrefix(message, "Already"):
			status = 409
		case strings.HasPrefix(message, "Not found"):
			status = 404
		}
		if got := b.refused(status, r); !strings.Contains(got, message) {
			t.Errorf("%q, want %q", got, message)
		}
	}
	// Writes take no policy, and a table keeps its policies while it grows.
	b.ok(rest{
		method: "POST", path: v2 + "/datasets/waybill/tables/orders/insertAll",
		body: `{"rows": [{"json": {"id": 1, "region": "JP"}}]}`,
	})
	w := b.writer("projects/sandbox/datasets/waybill/tables/orders/streams/_default", "id", "region")
	if err := w.append(2, map[int]string{2: "JP"}, nil); err != nil {
		t.Error(err)
	}
	if got := b.cells("SELECT COUNT(*) FROM orders", "[]"); fmt.Sprint(got) != "[[2]]" {
		t.Errorf("%v rows", got)
	}
	b.ok(rest{method: "PATCH", path: v2 + "/datasets/waybill/tables/orders", body: `{"schema": {"fields": [` +
		field("id", "INTEGER") + `,` + field("region", "STRING") + `,` + field("more", "STRING") + `]}}`})

	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	b = start(t, emulator.Config{Dir: copied})
	if diff := cmp.Diff(want, b.policyIDs()); diff != "" {
		t.Error(diff)
	}
	b.ok(rest{method: "PUT", path: path + "/us", body: `{"filterPredicate": "region = 'CA'"}`})
	if got := b.ok(rest{method: "GET", path: path + "/us"}); got["filterPredicate"] != "region = 'CA'" {
		t.Errorf("%v", got)
	}
	b.cells("DROP ROW ACCESS POLICY us ON orders", "[]")
	b.cells("DROP ROW ACCESS POLICY IF EXISTS us ON orders", "[]")
	b.ok(rest{method: "DELETE", path: path + "/eu"})
	if diff := cmp.Diff([]string{"all_of_them: TRUE"}, b.policyIDs()); diff != "" {
		t.Error(diff)
	}
	b.cells("DROP ALL ROW ACCESS POLICIES ON orders", "[]")
	if got := b.policyIDs(); got != nil {
		t.Errorf("%v", got)
	}
}
