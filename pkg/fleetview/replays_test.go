package fleetview

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// Of each replay there is one entry: of who runs it, else of who ran it last, else what is kept; what is kept counts
// before those who have run it once it is done.
func TestReplaysOfTheFleet(t *testing.T) {
	at := time.Now()
	replay := func(name, process, state string, ago time.Duration) *adminv1.Replay {
		return &adminv1.Replay{
			Name: name, Process: process, State: state, Started: timestamppb.New(at.Add(-ago)),
		}
	}
	letters := replay("a", "one", Done, time.Minute)
	letters.DeadLetters = true
	just := replay("g", "one", Stopped, time.Hour)
	just.Ended = timestamppb.Now()
	v := &View{Self: &adminv1.ProcessResponse{Process: "one", Instance: "1"}, Replays: Replays{
		Own: func() []*adminv1.Replay {
			return []*adminv1.Replay{
				replay("a", "one", Stopped, time.Hour), letters, replay("b", "one", Running, 2*time.Hour),
				replay("c", "one", Failed, time.Hour), replay("c", "two", Stopped, time.Minute),
				replay("d", "one", Stopped, time.Hour), replay("f", "one", Done, time.Hour),
				just,
			}
		},
		Kept: func(context.Context) ([]*adminv1.Replay, error) {
			return []*adminv1.Replay{
				replay("a", "", Interrupted, 3*time.Hour), replay("b", "", Interrupted, time.Second),
				replay("d", "", Done, 3*time.Hour), replay("e", "", Interrupted, 3*time.Hour),
				replay("f", "", Interrupted, time.Second), replay("c", "", Running, 3*time.Hour),
				replay("g", "", Running, 3*time.Hour),
			}, errors.New("not all of it")
		},
	}}
	r, err := v.ListReplays(t.Context(), &adminv1.ListReplaysRequest{})
	if err != nil || r.GetProblem() != "not all of it" || len(r.GetResponses()) != 1 {
		t.Fatalf("%v, %v", r, err)
	}
	var got []string
	for _, r := range r.GetReplays() {
		got = append(got, fmt.Sprintf("%s %s %s", r.GetName(), r.GetProcess(), r.GetState()))
	}
	want := "b one running, c  running, a one done, a one stopped, f one done, g one stopped, d  done, e  interrupted"
	if strings.Join(got, ", ") != want {
		t.Errorf("%s\nwant %s", strings.Join(got, ", "), want)
	}
	if r, err = v.ListReplays(t.Context(), &adminv1.ListReplaysRequest{Local: true}); err != nil ||
		len(r.GetReplays()) != 8 || r.GetReplays()[0].GetName() != "b" {
		t.Errorf("its own: %v, %v", r, err)
	}
}
