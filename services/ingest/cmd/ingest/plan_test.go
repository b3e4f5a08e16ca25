package main

import (
	"strings"
	"testing"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// A plan says which partitions are where, what is to move and what that waits for, and why lanes stay where they are.
func TestShownPlans(t *testing.T) {
	serving := &adminv1.PlannedWriter{
		Writer: "w1", State: "serving", Lanes: 5, Share: 0.75, Fair: 0.5, Partitions: []string{"orders/0-3", "stock/7"},
	}
	for _, c := range []struct {
		name string
		plan *adminv1.Plan
		want []string
	}{
		{"lanes are to move", &adminv1.Plan{
			Ingest: "ingest-1", Settling: true, Writers: []*adminv1.PlannedWriter{
				serving,
				{Writer: "w2", State: "serving"},
			},
			Ahead: []*adminv1.NextMove{
				{Topic: "orders", Partition: 3, From: "w1", To: "w2", Reason: "w1 carries 75 %, 50 % is fair"},
				{Topic: "orders", Partition: 2, From: "w1", To: "w2", Reason: "w1 carries 62 %", WaitsFor: "it rests"},
			},
		}, []string{
			"lanes move until they are even", "orders/0-3 stock/7", "orders/3", "its turn", "orders/2",
			"it rests",
		}},
		{"the name resolves to nothing", &adminv1.Plan{
			Writers: []*adminv1.PlannedWriter{serving}, Problem: "the name resolves to nothing",
		}, []string{"the name resolves to nothing; lanes stay where they work"}},
		{
			"there is one writer", &adminv1.Plan{Writers: []*adminv1.PlannedWriter{serving}},
			[]string{"nothing is to move: there is nowhere else to go"},
		},
		{"the other one is unfit", &adminv1.Plan{Writers: []*adminv1.PlannedWriter{serving, {
			Writer: "w2", State: "unfit", Why: "it writes to p.green, and lanes are carried to p.blue",
		}}}, []string{"unfit", "it writes to p.green, and lanes are carried to p.blue"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			showFleet(&out, 200, &adminv1.GetFleetResponse{
				Plans: []*adminv1.Plan{c.plan}, IngestsNeeded: 2, WritersNeeded: 3,
				Reason: "1 ingest at 130 % saturation",
			})
			for _, want := range append(c.want, "The load needs 2 ingest(s) and 3 writer(s): 1 ingest at 130 % "+
				"saturation.") {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is not in\n%s", want, out.String())
				}
			}
		})
	}
}
