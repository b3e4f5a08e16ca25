package sink

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// What is no table takes no rows, and that is said before a lane meets it: by the diff, and to the lane that asks.
func TestWhatIsNoTableIsRefused(t *testing.T) {
	fake, s := world(t)
	for kind, says := range map[string]string{
		"VIEW": "it is a view", "MATERIALIZED_VIEW": "it is a materialized view", "EXTERNAL": "it is an external table",
		"SNAPSHOT": "it is a snapshot", "MODEL_OF_LATER": `it is of type "MODEL_OF_LATER"`,
	} {
		fake.tables["d/grows"] = json.RawMessage(`{"type": "` + kind +
			`", "schema": {"fields": [{"name": "old", "type": "STRING"}]}}`)
		before := string(fake.tables["d/grows"])
		got, err := s.Diff(deadline(t), grown(additive, "id"))
		if err != nil || !strings.HasPrefix(got.GetObstacle(), says) || len(got.GetDifferences()) > 0 {
			t.Errorf("%s: %v, %v", kind, got, err)
		}
		_, err = s.Table(deadline(t), grown(additive, "id"))
		if !errors.Is(err, errUnfit) || !strings.Contains(err.Error(), says) ||
			!strings.Contains(err.Error(), "another table") {
			t.Errorf("%s: %v", kind, err)
		}
		if string(fake.tables["d/grows"]) != before {
			t.Errorf("%s was changed", kind)
		}
	}
	fake.tables["d/grows"] = json.RawMessage(`{"type": "TABLE", "schema": {"fields": [{"name": "id", "type": "STRING"}]}}`)
	if _, err := s.Table(deadline(t), grown(additive, "id")); err != nil {
		t.Error(err)
	}
}

// A column that rows do not have, or leave out, may have a default value: then it being REQUIRED stops nothing that
// BigQuery fills in.
func TestColumnsWithDefaultValues(t *testing.T) {
	const table = `{"schema": {"fields": [
		{"name": "id", "type": "STRING", "mode": "REQUIRED", "defaultValueExpression": "GENERATE_UUID()"},
		{"name": "note", "type": "STRING", "defaultValueExpression": "'none'"},
		{"name": "loaded", "type": "TIMESTAMP", "mode": "REQUIRED", "defaultValueExpression": "CURRENT_TIMESTAMP()"},
		{"name": "must", "type": "STRING", "mode": "REQUIRED"}]}}`
	const required, defaults, extra = lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED,
		lanev1.DifferenceKind_DIFFERENCE_KIND_DEFAULT,
		lanev1.DifferenceKind_DIFFERENCE_KIND_EXTRA
	loaded := &lanev1.Difference{
		Column: "loaded", Kind: extra, Have: "REQUIRED TIMESTAMP",
		Default: "CURRENT_TIMESTAMP()",
	}
	for name, tt := range map[string]struct {
		missing lanev1.MissingValues
		want    []*lanev1.Difference
	}{
		"null": {lanev1.MissingValues_MISSING_VALUES_NULL, []*lanev1.Difference{
			{Column: "id", Kind: required, Have: "REQUIRED STRING", Want: "STRING", Default: "GENERATE_UUID()"},
			{Column: "note", Kind: defaults, Have: "STRING", Want: "STRING", Default: "'none'"},
			loaded,
		}},
		"default": {lanev1.MissingValues_MISSING_VALUES_DEFAULT, []*lanev1.Difference{
			{Column: "id", Kind: defaults, Have: "REQUIRED STRING", Want: "STRING", Default: "GENERATE_UUID()"},
			{Column: "note", Kind: defaults, Have: "STRING", Want: "STRING", Default: "'none'"},
			loaded,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			fake, s := world(t)
			fake.tables["d/grows"] = json.RawMessage(table)
			route := grown(lanev1.Evolution_EVOLUTION_OFF, "id", "note")
			route.MissingValues = tt.missing
			want := append(slices.Clone(tt.want), &lanev1.Difference{
				Column: "must", Kind: required,
				Have: "REQUIRED STRING",
			})
			got, err := s.Diff(deadline(t), route)
			if diff := cmp.Diff(want, got.GetDifferences(), protocmp.Transform()); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
			if _, err := s.Table(deadline(t), route); err == nil || strings.Contains(err.Error(), "loaded") ||
				!strings.Contains(err.Error(), "column must is REQUIRED") {
				t.Errorf("got %v", err)
			}
			fake.tables["d/grows"] = json.RawMessage(strings.Replace(table,
				`"name": "must", "type": "STRING", "mode": "REQUIRED"`, `"name": "must", "type": "STRING"`, 1))
			if _, err := s.Table(deadline(t), route); err != nil {
				t.Error(err)
			}
			// What BigQuery fills in needs no evolution, and keeps its mode.
			additively := proto.CloneOf(route)
			additively.Evolution = additive
			if _, err := s.Table(deadline(t), additively); err != nil ||
				!strings.Contains(string(fake.tables["d/grows"]), `CURRENT_TIMESTAMP()`) {
				t.Error(err)
			}
			for _, column := range schemaOf(t, fake) {
				if strings.HasPrefix(column, "loaded") && column != "loaded REQUIRED TIMESTAMP" {
					t.Errorf("evolution made it %s", column)
				}
				if id := "id REQUIRED STRING"; tt.missing == lanev1.MissingValues_MISSING_VALUES_DEFAULT &&
					strings.HasPrefix(column, "id") && column != id {
					t.Errorf("evolution made it %s", column)
				}
			}
		})
	}
}

// What a table does to rows, and does not do as its contract says, stops no lane and is reported.
func TestTableRemarks(t *testing.T) {
	fake, s := world(t)
	fake.tables["d/grows"] = json.RawMessage(`{"timePartitioning": {"type": "HOUR", "expirationMs": "864000000"},
		"expirationTime": "1893456000000", "tableConstraints": {"primaryKey": {"columns": ["id", "n"]}},
		"schema": {"fields": [{"name": "id", "type": "STRING", "maxLength": "10", "policyTags": {"names": ["secret"]}},
		{"name": "sub", "type": "RECORD", "fields": [
			{"name": "deep", "type": "STRING", "dataPolicies": [{"name": "mask"}]}]}]}}`)
	route := grown(lanev1.Evolution_EVOLUTION_OFF, "ID", text("Sub", "deep"))
	route.Layout = &lanev1.Layout{
		PartitionField: "at", PartitionUnit: lanev1.PartitionUnit_PARTITION_UNIT_DAY, ClusterFields: []string{"id"},
	}
	want := &lanev1.TableDiff{
		Table: "test-project.d.grows", Exists: true, Layout: "HOUR(_PARTITIONTIME)",
		Remarks: []string{
			"it is laid out otherwise than the contract says, DAY(at), clustered by id: an existing table stays as " +
				"it is",
			"its partitions expire after 10 days: BigQuery takes older rows and deletes them",
			"the table itself expires at 2030-01-01 00:00:00 UTC, with its rows",
			"columns with policy tags or data policies: id, sub.deep. Appending needs no right on them, reading does",
			"its primary key (id, n) is not enforced: rows are appended and replace none",
		},
		Differences: []*lanev1.Difference{{
			// names are the same but for their case
			Column: "ID", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_SHORTER, Have: "STRING(10)", Want: "STRING",
		}},
	}
	// Row access policies are reported where they may be listed, and are no reason for anything where not.
	for policies, remark := range map[string]string{
		"": "", "{}": "",
		`{"rowAccessPolicies": [{"rowAccessPolicyReference": {"policyId": "eu"}},
			{"rowAccessPolicyReference": {"policyId": "us"}}]}`: "row access policies: eu, us. Appending heeds none; " +
			"who reads sees the rows that they grant, and none without a grant",
	} {
		fake.policies = policies
		want := proto.CloneOf(want)
		if remark != "" {
			want.Remarks = append(want.Remarks, remark)
		}
		got, err := s.Diff(deadline(t), route)
		if diff := cmp.Diff(want, got, protocmp.Transform()); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
	if _, err := s.Table(deadline(t), route); err != nil {
		t.Error(err)
	}
}
