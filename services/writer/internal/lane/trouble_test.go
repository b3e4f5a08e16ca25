package lane

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// meetings is a table, an appender and a sink that show what they meet.
type meetings map[string]Trouble

func (m meetings) Trouble() Trouble             { return m[""] }
func (m meetings) Troubles() map[string]Trouble { return m }

// What a table meets is asked for when somebody looks: an owner that waits for BigQuery publishes nothing. A lane that
// is still opening shows the tables of its routes that are in trouble.
func TestStatusShowsTrouble(t *testing.T) {
	quota := Trouble{State: "quota", Faults: 7, Reason: "RESOURCE_EXHAUSTED"}
	meets := meetings{}
	b := &board{
		now:      Status{Tables: []TableStatus{{Table: "a"}, {Table: "b"}, {Table: "c"}}},
		troubled: []Troubled{meets, meetings{}, nil},
	}
	if got := b.get(); got.Tables[0].Trouble != nil {
		t.Errorf("trouble where there is none: %+v", got.Tables)
	}
	meets[""] = quota
	got := b.get()
	want := []TableStatus{{Table: "a", Trouble: &quota}, {Table: "b"}, {Table: "c"}}
	if diff := cmp.Diff(want, got.Tables); diff != "" {
		t.Error(diff)
	}
	if b.now.Tables[0].Trouble != nil {
		t.Error("the board itself was written to")
	}
	away := Trouble{State: "unavailable"}
	opening := &board{routes: []string{"p.d.orders", "stock"}, reporter: meetings{
		"projects/p/datasets/d/tables/stock": quota, "projects/p/datasets/d/tables/orders": away,
		"projects/p/datasets/d/tables/other": away,
	}}
	want = []TableStatus{
		{Table: "projects/p/datasets/d/tables/orders", Trouble: &away},
		{Table: "projects/p/datasets/d/tables/stock", Trouble: &quota},
	}
	if diff := cmp.Diff(want, opening.get().Tables); diff != "" {
		t.Error(diff)
	}
}
