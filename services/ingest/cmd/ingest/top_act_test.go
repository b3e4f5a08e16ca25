package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// steered notes the acts that it is asked for.
type steered struct {
	adminv1.SteeringServiceClient

	requested []string
}

func (s *steered) note(what string, act *adminv1.Act) *adminv1.Result {
	did := "did"
	if act.GetValidateOnly() {
		did = "would"
	} else if act.GetRequestId() == "" {
		did = "did without an id"
	}
	s.requested = append(s.requested, did+" "+what)
	return &adminv1.Result{Summary: "it " + did + " " + what}
}

func (s *steered) Pause(
	_ context.Context, r *adminv1.PauseRequest, _ ...grpc.CallOption,
) (*adminv1.PauseResponse, error) {
	of := r.GetTarget().GetTable()
	if of == "" {
		of = fmt.Sprintf("%s/%d", r.GetTarget().GetTopic(), r.GetTarget().GetPartition())
	}
	return &adminv1.PauseResponse{
		Result: s.note(fmt.Sprintf("pause %s for %v", of, r.GetLength().AsDuration()), r.GetAct()),
	}, nil
}

func (s *steered) MoveLane(
	_ context.Context, r *adminv1.MoveLaneRequest, _ ...grpc.CallOption,
) (*adminv1.MoveLaneResponse, error) {
	if r.GetWriter() != "w2" {
		return nil, status.Error(codes.NotFound, "writer: there is none")
	}
	return &adminv1.MoveLaneResponse{
		Result: s.note(fmt.Sprintf("move %s/%d to %s", r.GetTopic(), r.GetPartition(), r.GetWriter()), r.GetAct()),
	}, nil
}

// A lane or a table is paused, and a lane moved, from the terminal: what would happen is shown first, and done with a
// second Enter; Esc leaves it, and what is refused is shown.
func TestTopActs(t *testing.T) {
	fleet := &steered{}
	s := &topScreen{ctx: t.Context(), client: shownAt(t), steer: fleet, view: "t", width: 100, height: 18}
	s.take(s.Init()())
	press := func(want string, keys ...string) {
		t.Helper()
		for _, key := range keys {
			if next := s.key(key); next != nil {
				s.take(next())
			}
		}
		if view := s.View().Content; !strings.Contains(view, want) {
			t.Errorf("after %q: %q is not in\n%s", keys, want, view)
		}
	}
	press("choose a table or a lane first", "p")
	press("pause orders for: 10m_", "down", "p")
	press("Enter does it, Esc does not: it would pause orders for 10m0s", "enter")
	press("q quits", "esc")
	press("lanes are moved, and not tables", "m")
	press("orders/3", "enter")
	press("move orders/3 to writer: _", "down", "m")
	press("move orders/3 to writer: w_", "w", "1", "backspace")
	press("writer: there is none", "enter")
	press("Enter does it, Esc does not: it would move orders/3 to w2", "m", "w", "2", "enter")
	press("it did move orders/3 to w2", "enter")
	press("pause orders/3 for: 10_", "p", "backspace")
	press(`"10" is no length of time`, "enter")
	press("it would pause orders/3 for 1h0m0s", "p", "backspace", "backspace", "backspace", "1", "h", "enter")
	press("it would pause orders/3 for 1h0m0s", "2", "backspace") // what was tried is what is done
	press("it did pause orders/3 for 1h0m0s", "enter")
	want := "would pause orders for 10m0s, would move orders/3 to w2, did move orders/3 to w2, " +
		"would pause orders/3 for 1h0m0s, did pause orders/3 for 1h0m0s"
	if got := strings.Join(fleet.requested, ", "); got != want {
		t.Errorf("asked for: %s; want %s", got, want)
	}
}
