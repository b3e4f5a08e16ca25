package lane

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// skies are storms that come and go.
type skies struct {
	mu  sync.Mutex
	now map[string]Storm
}

func (s *skies) set(now map[string]Storm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

func (s *skies) storms() map[string]Storm {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// An ingest that asks for it learns of the storms of its tables, once when one begins and once when it is over, also
// before it is open; one that does not ask, or whose tables are others, gets nothing.
func TestNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sky := &skies{}
		w := startWriter(t, &Service{Sink: newBigQuery(t), Storms: sky.storms})
		defer w.stop()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var watching sync.WaitGroup
		watching.Go(func() { w.Watch(ctx) })
		came := make(chan *lanev1.LaneResponse, 100)
		open := func(notices bool, table string) {
			call, err := w.client.Lane(ctx)
			if err != nil {
				t.Fatal(err)
			}
			err = call.SendMsg(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{
				Group: "g", Topic: table, Notices: notices,
				Routes: []*lanev1.Route{{Table: table, Row: &lanev1.Route_Message{Message: "m"}}},
			}}})
			if err != nil {
				t.Fatal(err)
			}
			watching.Go(func() {
				for {
					r, err := call.Recv()
					if err != nil {
						return
					}
					if r.GetNotice() != nil {
						came <- r
					}
				}
			})
		}
		open(true, "d.events")
		open(false, "events")
		open(true, "stock")
		began := time.Now()
		expect := func(want ...*lanev1.Notice) {
			t.Helper()
			time.Sleep(3 * noticeEvery)
			synctest.Wait()
			var got []*lanev1.Notice
			for len(came) > 0 {
				got = append(got, (<-came).GetNotice())
			}
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		expect()
		const events, other = "projects/p/datasets/d/tables/events", "projects/p/datasets/d/tables/other"
		quota := Storm{Cause: "quota of events", Text: "RESOURCE_EXHAUSTED", Since: began}
		sky.set(map[string]Storm{events: quota, other: {Cause: "another", Since: began}})
		expect(&lanev1.Notice{Cause: quota.Cause, Text: quota.Text, Since: timestamppb.New(began)})
		quota.Text = "still"
		sky.set(map[string]Storm{events: quota})
		expect()
		sky.set(nil)
		expect(&lanev1.Notice{})
		for range 20 { // whichever lane is asked last
			sky.set(map[string]Storm{events: quota})
			expect(&lanev1.Notice{Cause: quota.Cause, Text: quota.Text, Since: timestamppb.New(began)})
			sky.set(nil)
			expect(&lanev1.Notice{})
		}
		cancel()
		watching.Wait()
	})
}

// Storms of several tables of a lane are one notice, the same however they are listed.
func TestNoticeOfSeveralTables(t *testing.T) {
	early, late := time.Unix(1000, 0), time.Unix(2000, 0)
	storms := map[string]Storm{
		"projects/p/datasets/d/tables/a": {"quota of a", "x", late},
		"projects/p/datasets/d/tables/b": {"outage of b", "y", early},
		"projects/p/datasets/d/tables/c": {"outage of c", "z", early.Add(-time.Hour)},
	}
	want := &lanev1.Notice{Cause: "outage of b; quota of a", Text: "x; y", Since: timestamppb.New(early)}
	for range 100 { // in whatever order a map lists them
		if diff := cmp.Diff(want, noticeOf(storms, []string{"a", "p.d.b", "ac"}), protocmp.Transform()); diff != "" {
			t.Fatal(diff)
		}
	}
}

// Without anybody who knows of storms there is nothing to watch.
func TestNothingToWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		(&Service{Sink: &odd{}}).Watch(ctx)
		if ctx.Err() != nil {
			t.Error("watched all the same")
		}
	})
}

// reporting is a sink that tells what its tables meet.
type reporting struct {
	odd
	meetings
}

// Unless somebody else knows of the storms, those of a sink are what keeps its tables from taking rows for a while: a
// refusal is none, for it does not pass.
func TestStormsOfTheSink(t *testing.T) {
	const events, stock = "projects/p/datasets/d/tables/events", "projects/p/datasets/d/tables/stock"
	began := time.Unix(1000, 0)
	sink := &reporting{meetings: meetings{
		events: {State: "quota", Reason: "RESOURCE_EXHAUSTED", Since: began}, stock: {State: "refused", Reason: "no"},
	}}
	notice := func(t *testing.T, storms func() map[string]Storm) *lanev1.Notice {
		var got *lanev1.Notice
		synctest.Test(t, func(t *testing.T) {
			w := startWriter(t, &Service{Sink: sink, Storms: storms})
			defer w.stop()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var watching sync.WaitGroup
			watching.Go(func() { w.Watch(ctx) })
			call, err := w.client.Lane(ctx)
			if err != nil {
				t.Fatal(err)
			}
			open := &lanev1.Open{Group: "g", Topic: "t", Notices: true}
			for _, table := range []string{"events", "stock"} {
				open.Routes = append(open.Routes, &lanev1.Route{Table: table, Row: &lanev1.Route_Message{Message: "m"}})
			}
			say(t, call, &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: open}})
			for got == nil {
				m, err := call.Recv()
				if err != nil {
					t.Fatal(err)
				}
				got = m.GetNotice()
			}
			cancel()
			watching.Wait()
		})
		return got
	}
	want := &lanev1.Notice{Cause: "quota", Text: "RESOURCE_EXHAUSTED", Since: timestamppb.New(began)}
	if diff := cmp.Diff(want, notice(t, nil), protocmp.Transform()); diff != "" {
		t.Errorf("of the sink (-want +got):\n%s", diff)
	}
	others := func() map[string]Storm { return map[string]Storm{stock: {Cause: "outage", Since: began}} }
	want = &lanev1.Notice{Cause: "outage", Since: timestamppb.New(began)}
	if diff := cmp.Diff(want, notice(t, others), protocmp.Transform()); diff != "" {
		t.Errorf("of who knows (-want +got):\n%s", diff)
	}
}
