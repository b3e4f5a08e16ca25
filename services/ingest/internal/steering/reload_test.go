package steering

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/events"
	"github.com/waybill-data/waybill/pkg/fleetview"
	"github.com/waybill-data/waybill/pkg/logging/logtest"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// reloads is a Reloader of a test: what its files say, what is in use, and what goes wrong.
type reloads struct {
	files, used, before  string
	refuses, takes, back error
	waiting              int
}

func (r *reloads) Compile(context.Context) (*Reload, error) {
	out := &Reload{Digest: r.files}
	if r.files != r.used {
		out.Changes, out.Lanes = []*adminv1.ContractChange{{Contract: "order", What: []string{"is new"}}}, 2
	}
	return out, r.refuses
}

func (r *reloads) Take(_ context.Context, digest string) (int, error) {
	if digest != r.files {
		return 0, status.Error(codes.Aborted, "others by now")
	}
	r.before, r.used = r.used, r.files
	return r.waiting, r.takes
}

func (r *reloads) Before(context.Context) (*Reload, error) {
	if r.before == "" {
		return nil, status.Error(codes.FailedPrecondition, "there is nothing to go back to")
	}
	return &Reload{
		Digest: r.used, Lanes: 2, Changes: []*adminv1.ContractChange{{Contract: "order", What: []string{"is gone"}}},
	}, nil
}

func (r *reloads) GoBack(_ context.Context, digest string) error {
	if r.back == nil && r.used == digest {
		r.used = r.before
	}
	return r.back
}

// peer calls another ingest of a test.
type peer struct {
	adminv1.SteeringServiceClient
	adminv1.AdminServiceClient
	to *Server
}

func (p peer) ReloadContracts(
	ctx context.Context, r *adminv1.ReloadContractsRequest, _ ...grpc.CallOption,
) (*adminv1.ReloadContractsResponse, error) {
	return p.to.ReloadContracts(ctx, r)
}

func (peer) ListEvents(
	context.Context, *adminv1.ListEventsRequest, ...grpc.CallOption,
) (*adminv1.ListEventsResponse, error) {
	return &adminv1.ListEventsResponse{}, nil
}

// fleet is ingests of a test that all know each other, themselves included. The first is asked.
func fleet(all ...*reloads) (first *Server, log *logtest.Log) {
	log = &logtest.Log{}
	var servers []*Server
	ring := events.New("ingest", 0)
	for i, r := range all {
		name := string(rune('a' + i))
		s := &Server{Reloads: r, Log: slog.New(slog.DiscardHandler), View: &fleetview.View{
			Events: ring, Self: &adminv1.ProcessResponse{Process: name, Instance: name},
		}}
		s.View.Ingests = func(context.Context) []fleetview.Peer {
			var peers []fleetview.Peer
			for j, other := range servers {
				p := peer{to: other}
				peers = append(peers, fleetview.Peer{Address: "at " + string(rune('a'+j)), Client: p, Steering: p})
			}
			return peers
		}
		servers = append(servers, s)
	}
	servers[0].Log = log.Logger()
	return servers[0], log
}

// All take the contracts, or none does: whoever refuses to compile, has other files, or fails to take them, leaves all
// with what they had.
func TestReloadIsOfAllOrNone(t *testing.T) {
	fine := func() *reloads { return &reloads{files: "2", used: "1"} }
	no := status.Error(codes.FailedPrecondition, "the routing is another one")
	for name, tt := range map[string]struct {
		all  []*reloads
		want string // of the error; empty: all have taken them
		used string
	}{
		"all":           {[]*reloads{{files: "2", used: "1"}, {files: "2", used: "1"}}, "", "2"},
		"one has it":    {[]*reloads{{files: "2", used: "2"}, {files: "2", used: "1"}}, "", "2"},
		"ours refuses":  {[]*reloads{{files: "2", used: "1", refuses: no}, fine()}, "a: the routing", "1"},
		"other refuses": {[]*reloads{fine(), {files: "2", used: "1", refuses: no}}, "at b: the routing", "1"},
		"other files":   {[]*reloads{fine(), {files: "3", used: "1"}}, "are others than those of a", "1"},
		"ours fails": {
			[]*reloads{{files: "2", used: "1", takes: no}, {files: "2", used: "1"}},
			"a: the routing is another one. All ingests went back", "1",
		},
		"other fails": {
			[]*reloads{{files: "2", used: "1"}, {files: "2", used: "1"}, {files: "2", used: "1", takes: no}},
			"at c: the routing is another one. All ingests went back", "1",
		},
		"one does not go back": {
			[]*reloads{{files: "2", used: "1", takes: no}, {files: "2", used: "1", back: errors.New("away")}},
			"but for at b, which did not respond", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			first, log := fleet(tt.all...)
			r, err := first.ReloadContracts(t.Context(), &adminv1.ReloadContractsRequest{
				Act: &adminv1.Act{Reason: "a test"},
			})
			switch {
			case tt.want == "" && (err != nil || !r.GetResult().GetChanged()):
				t.Fatalf("%v, %v", r, err)
			case tt.want != "" && (err == nil || !strings.Contains(status.Convert(err).Message(), tt.want)):
				t.Fatalf("%v; want %q", err, tt.want)
			}
			for i, one := range tt.all {
				if tt.used != "" && one.used != tt.used {
					t.Errorf("ingest %d has %s", i, one.used)
				}
			}
			said := log.Take()
			if tt.want == "" && !strings.Contains(said, "operator: reload") ||
				strings.Contains(tt.want, "back") && !strings.Contains(said, "operator: reload taken back") {
				t.Errorf("events: %s", said)
			}
		})
	}
}

// What is validated, and what is in use already, changes nothing; lanes that wait are named.
func TestReloadSays(t *testing.T) {
	ours, other := &reloads{files: "2", used: "1", waiting: 1}, &reloads{files: "2", used: "1", waiting: 2}
	first, _ := fleet(ours, other)
	r, err := first.ReloadContracts(t.Context(), &adminv1.ReloadContractsRequest{Act: &adminv1.Act{ValidateOnly: true}})
	if err != nil || r.GetResult().GetChanged() || r.GetLanes() != 4 || ours.used != "1" ||
		r.GetResult().GetSummary() != "contract order would change, and 4 lanes open again" {
		t.Errorf("%v, %v", r, err)
	}
	r, err = first.ReloadContracts(t.Context(), &adminv1.ReloadContractsRequest{})
	if err != nil || r.GetWaiting() != 3 || other.used != "2" {
		t.Errorf("%v, %v", r, err)
	}
	r, err = first.ReloadContracts(t.Context(), &adminv1.ReloadContractsRequest{})
	if err != nil || r.GetResult().GetChanged() || len(r.GetChanges()) != 0 {
		t.Errorf("%v, %v", r, err)
	}
	for step, want := range map[adminv1.ReloadStep]string{
		adminv1.ReloadStep_RELOAD_STEP_TAKE: "needs act.local", 9: "needs act.local",
	} {
		_, err := first.ReloadContracts(t.Context(), &adminv1.ReloadContractsRequest{Step: step})
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), want) {
			t.Errorf("step %v: %v", step, err)
		}
	}
}

// All go back to what the last reload replaced, once; where they have loaded different ones last, or one has nothing to
// go back to, nobody does.
func TestRollBackIsOfAllOrNone(t *testing.T) {
	loaded := func() *reloads { return &reloads{files: "2", used: "2", before: "1"} }
	for name, tt := range map[string]struct {
		all  []*reloads
		want string // of the error; empty: all have gone back
	}{
		"all":            {[]*reloads{loaded(), loaded()}, ""},
		"none before":    {[]*reloads{{used: "1"}, loaded()}, "a: there is nothing to go back to. Nothing was changed"},
		"other has none": {[]*reloads{loaded(), {used: "2"}}, "at b: there is nothing to go back to"},
		"other ones":     {[]*reloads{loaded(), {used: "3", before: "2"}}, "put the files back and reload instead"},
		"one is away": {
			[]*reloads{loaded(), {used: "2", before: "1", back: errors.New("away")}},
			"but for at b, which did not respond",
		},
	} {
		t.Run(name, func(t *testing.T) {
			first, log := fleet(tt.all...)
			try, err := first.ReloadContracts(t.Context(), &adminv1.ReloadContractsRequest{
				Back: true, Act: &adminv1.Act{ValidateOnly: true},
			})
			if tt.want == "" && (err != nil || try.GetResult().GetChanged() || first.Reloads.(*reloads).used != "2") {
				t.Errorf("validated: %v, %v", try, err)
			}
			r, err := first.ReloadContracts(t.Context(), &adminv1.ReloadContractsRequest{Back: true})
			if tt.want == "" {
				if err != nil || !r.GetResult().GetChanged() || !strings.Contains(log.Take(), "roll contracts back") {
					t.Fatalf("%v, %v", r, err)
				}
				for i, one := range tt.all {
					if one.used != "1" {
						t.Errorf("ingest %d has %s", i, one.used)
					}
				}
				return
			}
			if err == nil || !strings.Contains(status.Convert(err).Message(), tt.want) {
				t.Fatalf("%v; want %q", err, tt.want)
			}
		})
	}
}
