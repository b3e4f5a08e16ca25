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

// An ingest that asks for it hears of the storms of its tables, once when one begins and once when it is over, also
// before it is open; one that does not ask, or whose tables are others, hears nothing.
func TestNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sky := &skies{}
		w := startWriter(t, &Service{Sink: newBigQuery(t), Storms: sky.storms})
		defer w.stop()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var watching sync.WaitGroup
		watching.Go(func() { w.Watch(ctx) })
		heard := make(chan *lanev1.LaneResponse, 100)
		open := func(notices bool, table string) {
			call, err := w.client.Lane(ctx)
			if err != nil {
				t.Fatal(err)
			}
			err = call.SendMsg(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{
				Group: "g", Topic: table, Notices: notices, Routes: []*lanev1.Route{{Table: table, Row: &lanev1.Route_Message{Message: "m"}}},
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
						heard <- r
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
			for len(heard) > 0 {
				got = append(got, (<-heard).GetNotice())
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
	for range 10 {
		if diff := cmp.Diff(want, noticeOf(storms, []string{"a", "p.d.b", "ac"}), protocmp.Transform()); diff != "" {
			t.Fatal(diff)
		}
	}
}
