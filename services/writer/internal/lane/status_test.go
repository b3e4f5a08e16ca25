package lane

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A lane whose sink tells of nothing has no tables to show before it knows their names.
func TestStatusOfALaneThatOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWriter(t, &Service{Sink: &odd{}})
		defer w.stop()
		if _, err := w.client.Lane(t.Context()); err != nil {
			t.Fatal(err)
		}
		openLane(t, w, atLeastOnce)
		synctest.Wait()
		all := w.Status()
		if len(all) != 2 || len(all[0].Tables) != 0 || len(all[1].Tables) != 0 || all[1].Group != "g" ||
			all[1].Topic != "t" {
			t.Errorf("%+v", all)
		}
	})
}

// troubledTable is a table or an appender that tells what it meets.
type troubledTable struct {
	*odd
	*fakeAppender
	state string
}

func (t *troubledTable) Trouble() Trouble { return Trouble{State: t.state} }

func (t *troubledTable) Close() {}

func (t *troubledTable) Name() string { return "projects/p/datasets/d/tables/t" }

// What a table meets is what its appender meets; before there is one, or where it does not tell, what the table itself
// does.
func TestTroubleIsThatOfTheAppender(t *testing.T) {
	troubled := func(state string) *troubledTable { return &troubledTable{state: state} }
	for name, test := range map[string]struct {
		appender Appender
		handle   Table
		want     string
	}{
		"both have one":          {troubled("quota"), troubled("unavailable"), "quota"},
		"no appender":            {nil, troubled("unavailable"), "unavailable"},
		"an appender that is so": {newFakeAppender(t), troubled("unavailable"), "unavailable"},
		"the appender alone":     {troubled("quota"), &odd{}, "quota"},
		"nobody tells":           {newFakeAppender(t), &odd{}, ""},
	} {
		l := bare(t, 0)
		l.named = []int{0}
		l.tables[0].appender, l.tables[0].handle = test.appender, test.handle
		l.publish()
		got := ""
		if trouble := l.status.get().Tables[0].Trouble; trouble != nil {
			got = trouble.State
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// The tables of a lane that is open are those that it names: what its routes are in is reported once.
func TestTroubleOfAnOpenLaneIsReportedOnce(t *testing.T) {
	const name = "projects/p/datasets/d/tables/t"
	b := &board{
		now: Status{Tables: []TableStatus{{Table: name}}}, troubled: []Troubled{nil},
		routes: []string{"t"}, reporter: meetings{name: {State: "quota"}},
	}
	if got := b.get().Tables; len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

// When memory is short, calls without an Open end before lanes that are open, and then the lane whose message waits
// outside before those that only hold rows.
func TestMemoryIsGivenBackByWhomItIsWorthLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWriter(t, &Service{Sink: &odd{append: func(uint64, int, func(Result)) {}}, Budget: NewBudget(1000)})
		defer w.stop()
		silent, err := w.client.Lane(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		holds, _ := openLane(t, w, atLeastOnce)
		outside, _ := openLane(t, w, atLeastOnce)
		say(t, holds, oneRow(1, 600))
		synctest.Wait()
		say(t, outside, oneRow(1, 500))
		time.Sleep(opensWithin)
		for i, c := range []laneCall{silent, outside, holds} {
			if !w.shed() {
				t.Fatal("nobody gave anything back")
			}
			time.Sleep(time.Millisecond)
			if left := len(w.list()); left != 2-i {
				t.Fatalf("%d lanes are left", left)
			}
			if _, err := c.Recv(); status.Code(err) != codes.Unavailable {
				t.Fatalf("call %d was not the one to end: %v", i, err)
			}
		}
	})
}
