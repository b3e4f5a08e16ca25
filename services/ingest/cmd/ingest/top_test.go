package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// shownFleet is an ingest that responds with a stale table.
type shownFleet struct {
	adminv1.UnimplementedAdminServiceServer
}

func (shownFleet) ListTables(context.Context, *adminv1.ListTablesRequest) (*adminv1.ListTablesResponse, error) {
	return &adminv1.ListTablesResponse{
		Summary: "orders is 7m 03s behind: BigQuery's quota, or an outage, since 14:02:11 UTC.",
		Tables: []*adminv1.Table{{
			Name: "orders", State: adminv1.State_STATE_STALE, CompleteThrough: timestamppb.Now(), BehindRecords: 4200,
			Shares: []*adminv1.Share{{Cause: "quota", Quarter: 0.9}},
		}},
		Responses: []*adminv1.ProcessResponse{
			{Process: "ingest-1"}, {Address: "10.0.0.9:7080", Error: "connection refused"},
		},
	}, nil
}

func (shownFleet) ListLanes(context.Context, *adminv1.ListLanesRequest) (*adminv1.ListLanesResponse, error) {
	return &adminv1.ListLanesResponse{
		Total: 1, Lanes: []*adminv1.Lane{{Topic: "orders", Partition: 3, State: "open"}},
	}, nil
}

func (shownFleet) GetFleet(context.Context, *adminv1.GetFleetRequest) (*adminv1.GetFleetResponse, error) {
	return nil, errors.New("the fleet is not to be seen")
}

// shownAt is a client of it.
func shownAt(t *testing.T) adminv1.AdminServiceClient {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	adminv1.RegisterAdminServiceServer(server, shownFleet{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return adminv1.NewAdminServiceClient(conn)
}

// The terminal shows what was responded, goes to another view by its key, tells errors below what is known, and has one
// question and one timer under way, whatever is typed.
func TestTopScreen(t *testing.T) {
	s := &topScreen{ctx: t.Context(), client: shownAt(t), view: "t", width: 100, height: 18}
	reply := s.Init()()
	if s.request() != nil {
		t.Error("it asks again before there is a response")
	}
	if next := s.take(reply); next == nil {
		t.Error("it does not ask again")
	}
	view := s.View().Content
	for _, want := range []string{
		"orders is 7m 03s behind", "stale", "quota 90%", "10.0.0.9:7080 does not respond",
		"q quits", "? help",
	} {
		if !strings.Contains(view, want) {
			t.Errorf("%q is not in\n%s", want, view)
		}
	}
	next := s.take(tea.KeyPressMsg{Code: 'f', Text: "f"})
	if next == nil || s.view != "f" {
		t.Fatalf("the key f leads to view %q", s.view)
	}
	if again := s.take(next()); again != nil {
		t.Error("a second timer runs beside the first")
	}
	if view := s.View().Content; !strings.Contains(view, "the fleet is not to be seen") {
		t.Errorf("the error is not shown:\n%s", view)
	}
	s.text = strings.Repeat("line\n", 100) + "last"
	for range 200 {
		s.take(tea.KeyPressMsg{Code: tea.KeyDown})
	}
	if view := s.View().Content; !strings.Contains(view, "last") || strings.Count(view, "\n") > s.height {
		t.Errorf("the end is not in sight, or it is longer than the terminal:\n%s", view)
	}
	press := func(keys ...string) (next tea.Cmd) {
		for _, k := range keys {
			next = s.key(k)
		}
		return next
	}
	press("?")
	if view := s.View().Content; !strings.Contains(view, "filter lines") {
		t.Errorf("? does not help:\n%s", view)
	}
	s.take(press("t")())
	if s.help || !strings.Contains(s.View().Content, "quota 90%") {
		t.Errorf("t does not go back to the tables:\n%s", s.View().Content)
	}
	press("/", "q", "u", "o", "backspace", "o", "enter")
	if view := s.View().Content; !strings.Contains(view, "/quo") || strings.Contains(view, "does not respond") {
		t.Errorf("the filter keeps what it should not:\n%s", view)
	}
	press("esc")
	for range 5 {
		if s.view == "t" {
			press("down", "enter")
		}
	}
	if s.view != "l" || s.table != "orders" {
		t.Errorf("Enter leads to %q of %q:\n%s", s.view, s.table, s.View().Content)
	}
	if press("esc"); s.view != "t" || s.table != "" {
		t.Errorf("Esc leads to %q of %q", s.view, s.table)
	}
	if quit := s.take(tea.KeyPressMsg{Code: 'q', Text: "q"}); quit == nil {
		t.Error("q does not quit")
	} else if _, ok := quit().(tea.QuitMsg); !ok {
		t.Error("q does something else")
	}
}

// In a narrow terminal sentences go on below.
func TestShownTablesFitTheTerminal(t *testing.T) {
	r, err := shownFleet{}.ListTables(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	showTables(&out, 60, r)
	for line := range strings.Lines(out.String()) {
		if len([]rune(line)) > 61 {
			t.Errorf("too wide: %q", line)
		}
	}
}
