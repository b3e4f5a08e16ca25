package steering

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

func act(id string) *adminv1.Act { return &adminv1.Act{RequestId: id} }

func spread(summary string) *adminv1.SpreadResponse {
	return &adminv1.SpreadResponse{Result: &adminv1.Result{Summary: summary}}
}

// An act is done once for its id, however many ask at the same time and whoever passed it on; one that failed may be
// tried again; one that is validated is not kept; and acts are done one after the other.
func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Book
		done, at := 0, 0
		work := func() (*adminv1.SpreadResponse, error) { //nolint:unparam // an act may fail
			if at++; at > 1 {
				t.Error("two acts at once")
			}
			time.Sleep(time.Second)
			at--
			done++
			return spread("done"), nil
		}
		request := &adminv1.MoveLaneRequest{Topic: "t"}
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				r := &adminv1.MoveLaneRequest{Topic: "t", Act: &adminv1.Act{PassedBy: strings.Repeat("x", i)}}
				got, err := Once(t.Context(), &b, act("a"), r, work)
				if err != nil || got.GetResult().GetSummary() != "done" {
					t.Errorf("%v, %v", got, err)
				}
			})
		}
		all.Go(func() { _, _ = Once(t.Context(), &b, act("b"), request, work) })
		all.Wait()
		if done != 2 {
			t.Errorf("done %d times", done)
		}
		if r, err := Once(t.Context(), &b, act("a"), request, work); err != nil || !r.GetResult().GetRepeated() ||
			done != 2 {
			t.Errorf("%v, %v", r, err)
		}
		other := &adminv1.MoveLaneRequest{Topic: "u"}
		if _, err := Once(t.Context(), &b, act("a"), other, work); status.Code(err) != codes.AlreadyExists {
			t.Errorf("the id for another act: %v", err)
		}
		fails := func() (*adminv1.SpreadResponse, error) { return nil, errors.New("no") }
		if _, err := Once(t.Context(), &b, act("c"), request, fails); err == nil {
			t.Error("no error")
		}
		if r, err := Once(t.Context(), &b, act("c"), request, work); err != nil || r.GetResult().GetRepeated() {
			t.Errorf("after a failure: %v, %v", r, err)
		}
		try := &adminv1.Act{RequestId: "d", ValidateOnly: true}
		for range 2 {
			if r, err := Once(t.Context(), &b, try, request, work); err != nil || r.GetResult().GetRepeated() {
				t.Errorf("validated: %v, %v", r, err)
			}
		}
		if r, err := Once(t.Context(), &b, act("d"), request, work); err != nil || r.GetResult().GetRepeated() {
			t.Errorf("after it was validated: %v, %v", r, err)
		}
		time.Sleep(kept)
		if r, err := Once(t.Context(), &b, act("a"), other, work); err != nil || r.GetResult().GetRepeated() {
			t.Errorf("an hour later: %v, %v", r, err)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		all.Go(func() { _, _ = Once(t.Context(), &b, act("e"), request, work) })
		synctest.Wait()
		if _, err := Once(short, &b, act("f"), request, work); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("who cannot wait for their turn: %v", err)
		}
		all.Wait()
	})
}

// A book forgets the oldest acts when there are too many.
func TestBookIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Book
		for i := range mostKept + 10 {
			time.Sleep(time.Millisecond)
			if _, err := Once(t.Context(), &b, act(fmt.Sprint("id ", i)), &adminv1.SpreadRequest{},
				func() (*adminv1.SpreadResponse, error) { return spread(""), nil }); err != nil {
				t.Fatal(err)
			}
		}
		if len(b.acts) > mostKept || b.acts["id 0"] != nil {
			t.Errorf("%d acts are kept", len(b.acts))
		}
	})
}

func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		act  *adminv1.Act
		want string
	}{
		"long reason":  {&adminv1.Act{Reason: strings.Repeat("é", 251)}, "act.reason: has 502 bytes; 500 is the most"},
		"line break":   {&adminv1.Act{Reason: "a\nb"}, "act.reason: byte 1 is no character"},
		"not UTF-8":    {&adminv1.Act{RequestId: "a\xff"}, "act.request_id: byte 1"},
		"long id":      {&adminv1.Act{RequestId: strings.Repeat("x", 65)}, "64 is the most"},
		"long pretext": {&adminv1.Act{OnBehalfOf: strings.Repeat("x", 201)}, "on_behalf_of"},
	} {
		if _, err := Check(tt.act); status.Code(err) != codes.InvalidArgument ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a, err := Check(nil); err != nil || a.GetRequestId() == "" {
		t.Errorf("an act that says nothing: %v, %v", a, err)
	}
	if a, _ := Check(act("mine")); a.GetRequestId() != "mine" {
		t.Errorf("%v", a)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"orders", "stock", "delivery_events_v6_topic"}
	for name, want := range map[string]string{
		"order": "orders", "Stock": "stock", "delivery_events_topic": "delivery_events_v6_topic", "invoices": "",
	} {
		if err := NotFound("topic", name, known); strings.Contains(err.Error(), "nearest") != (want != "") ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for want, err := range map[string]error{
		`no topic "order"; the nearest is "orders"`:  NotFound("topic", "order", known),
		"there are delivery_events_v6_topic, orders": NotFound("topic", "invoices", known),
		"and no other": NotFound("topic", "x", nil),
	} {
		if status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

// Whose act it is, is said with who passed it on.
func TestActor(t *testing.T) {
	if got := Actor(t.Context(), &adminv1.Act{OnBehalfOf: "alice"}); got != "alice by somebody" {
		t.Error(got)
	}
	e := &adminv1.Event{Text: "by=alice request_id=one reason=x"}
	if !Is(e, "one") || Is(e, "on") {
		t.Error("an event is known by its whole id")
	}
}
