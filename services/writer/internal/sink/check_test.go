package sink

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/findings"
)

func TestCheck(t *testing.T) {
	fake, s := world(t)
	look := func(change func(*Config)) (states, details string) {
		c := s.config
		change(&c)
		for _, f := range Check(deadline(t), c, "test") {
			states += f.State.String() + " "
			details += f.What + ": " + f.Detail + "; " + f.Remedy + "\n"
			if (f.State == findings.OK) != (f.Remedy == "") {
				t.Errorf("%s %s with remedy %q", f.State, f.What, f.Remedy)
			}
		}
		return states, details
	}
	expect := func(name, states, wantStates, details, want string) {
		t.Helper()
		if states != wantStates || !strings.Contains(details, want) {
			t.Errorf("%s: %s, want %s and %q:\n%s", name, states, wantStates, want, details)
		}
	}
	states, details := look(func(c *Config) { c.Dataset = "none" })
	expect("no dataset", states, "ok FAIL ok ", details, "bq mk --dataset test-project:none")
	states, details = look(func(c *Config) { c.Dataset, c.CreateDataset, c.Location = "none", true, "EU" })
	expect("dataset to be made", states, "ok ok ok ", details, "creates it in EU")
	fake.mu.Lock()
	fake.tables["made/"] = json.RawMessage(`{"location": "US"}`)
	fake.mu.Unlock()
	states, details = look(func(c *Config) { c.Dataset, c.Location = "made", "EU" })
	expect("dataset elsewhere", states, "ok FAIL ok ", details, "is in US")
	states, details = look(func(c *Config) { c.Dataset = "made" })
	expect("all well", states, "ok ok ok ok ", details, "may list tables")
	fake.mu.Lock()
	fake.tables["made/orders"], fake.grants = json.RawMessage(`{}`), []string{"bigquery.tables.get"}
	fake.mu.Unlock()
	states, details = look(func(c *Config) { c.Dataset = "made" })
	expect("may not write", states, "ok ok FAIL ok ", details, "missing on table orders: bigquery.tables.updateData")
	fake.mu.Lock()
	fake.grants = []string{"bigquery.tables.get", "bigquery.tables.updateData"}
	fake.mu.Unlock()
	states, details = look(func(c *Config) { c.Dataset = "made" })
	expect("may not evolve", states, "ok ok warn ok ", details,
		"bigquery.tables.update is missing: contracts with evolution: additive need it")
	fake.mu.Lock()
	fake.grants = append(fake.grants, "bigquery.tables.update")
	fake.mu.Unlock()
	states, details = look(func(c *Config) { c.Dataset = "made" })
	expect("may all", states, "ok ok ok ok ", details, "may read, write and evolve tables")
	for _, c := range []struct {
		says   error
		tables bool
		want   string
	}{
		{grpcstatus.Error(codes.NotFound, "no table"), false, "ok"},
		{grpcstatus.Error(codes.NotFound, "no table"), true, "FAIL"},
		{grpcstatus.Error(codes.Unimplemented, "an emulator"), true, "ok"},
		{
			grpcstatus.Error(codes.PermissionDenied,
				"Permission denied on resource waybill_check (or it may not exist)."),
			false, "ok",
		},
		{
			grpcstatus.Error(codes.PermissionDenied, "Permission denied on resource orders (or it may not exist)."),
			true, "FAIL",
		},
		{grpcstatus.Error(codes.PermissionDenied,
			"BigQuery Storage API has not been used in project 7 before or it is disabled"), false, "FAIL"},
		{grpcstatus.Error(codes.Unavailable, "away"), false, "FAIL"},
	} {
		fake.mu.Lock()
		if fake.looked = c.says; c.tables {
			fake.tables["made/orders"] = json.RawMessage(`{}`)
		} else {
			delete(fake.tables, "made/orders")
		}
		fake.mu.Unlock()
		states, details = look(func(c *Config) { c.Dataset = "made" })
		expect(c.says.Error(), states, "ok ok ok "+c.want+" ", details, "")
	}
	states, details = look(func(c *Config) { c.Insecure, c.Credentials = false, "none.json" })
	expect("no credentials", states, "FAIL ", details, "none.json")
}
