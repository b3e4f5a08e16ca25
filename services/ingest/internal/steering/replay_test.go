package steering

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/events"
	"github.com/waybill-data/waybill/pkg/fleetview"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// topics are Contracts of a test.
type topics []string

func (t topics) Topics() ([]string, bool) { return t, true }
func (t topics) Tables(string) []string   { return []string{"orders"} }

// replayer makes replays of a test: each settles an offset a second, of so many.
type replayer struct {
	total int64
	fails error
}

type slowReplay struct {
	*replayer
	name string
}

func (r *replayer) Prepare(_ context.Context, of *adminv1.ReplayRequest) (Replay, error) {
	if of.GetTopic() != "orders" {
		return nil, status.Error(codes.NotFound, "topic: there is none")
	}
	return &slowReplay{r, of.GetName()}, nil
}

func (r *slowReplay) Close() {}
func (r *slowReplay) Shown() *adminv1.Replay {
	return &adminv1.Replay{
		Name: r.name, Topics: []string{"orders"}, Total: r.total, Tables: map[string]string{"orders": "shadow"},
	}
}

func (r *slowReplay) Run(ctx context.Context, progress func(*adminv1.Replay)) error {
	for n := range r.total {
		select {
		case <-time.After(time.Second):
			progress(&adminv1.Replay{Settled: n + 1, Total: r.total, Rows: n + 1})
		case <-ctx.Done():
			return errors.New("not finished")
		}
	}
	return r.fails
}

// slowLetters are a hundred letters, one a second.
type slowLetters struct{}

func (slowLetters) Replay(
	ctx context.Context, _ *adminv1.ReplayDeadLettersRequest, progress func(*adminv1.ReplayDeadLettersResponse),
) (*adminv1.ReplayDeadLettersResponse, error) {
	now := &adminv1.ReplayDeadLettersResponse{}
	for range 100 {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		now.Selected, now.Produced = now.GetSelected()+1, now.GetProduced()+1
		progress(now)
	}
	return now, nil
}

// received keeps what a stream was sent.
type received struct {
	grpc.ServerStream

	ctx context.Context
	all []*adminv1.ReplayDeadLettersResponse
}

func (h *received) Context() context.Context { return h.ctx }
func (h *received) Send(r *adminv1.ReplayDeadLettersResponse) error {
	h.all = append(h.all, r)
	return nil
}

// replaying are two ingests of a test that know each other, and run replays until ctx ends.
func replaying(ctx context.Context, of *replayer) (one, other *Server, ended func()) {
	var servers []*Server
	var done []chan struct{}
	for _, name := range []string{"a", "b"} {
		s := (&Server{
			Log: slog.New(slog.DiscardHandler), Contracts: topics{"orders"}, Replayer: of, Letters: slowLetters{},
			View: &fleetview.View{
				Events: events.New("ingest", 0), Self: &adminv1.ProcessResponse{Process: name, Instance: name},
			},
		}).Ready()
		s.View.Replays.Own = s.Replays
		s.View.Ingests = func(context.Context) []fleetview.Peer {
			var peers []fleetview.Peer
			for _, o := range servers {
				peers = append(peers, fleetview.Peer{
					Address: "at " + o.View.Self.GetProcess(), Client: peer{to: o},
					Steering: peer{to: o},
				})
			}
			return peers
		}
		servers = append(servers, s)
		ends := make(chan struct{})
		done = append(done, ends)
		go func() { defer close(ends); s.Run(ctx) }()
	}
	return servers[0], servers[1], func() { <-done[0]; <-done[1] }
}

func (p peer) ListReplays(
	ctx context.Context, r *adminv1.ListReplaysRequest, _ ...grpc.CallOption,
) (*adminv1.ListReplaysResponse, error) {
	return p.to.View.ListReplays(ctx, r)
}

func (p peer) StopReplay(
	ctx context.Context, r *adminv1.StopReplayRequest, _ ...grpc.CallOption,
) (*adminv1.StopReplayResponse, error) {
	return p.to.StopReplay(ctx, r)
}

func request(name string) *adminv1.ReplayRequest {
	return &adminv1.ReplayRequest{
		Act: &adminv1.Act{RequestId: name, Reason: "a test"}, Name: name, Topic: "orders", Suffix: "_2",
	}
}

// only is the replay that the fleet knows of a name, as an ingest tells it.
func only(t *testing.T, s *Server, name string) *adminv1.Replay {
	t.Helper()
	r, err := s.View.ListReplays(t.Context(), &adminv1.ListReplaysRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range r.GetReplays() {
		if one.GetName() == name {
			return one
		}
	}
	t.Fatalf("no replay %s among %v", name, r)
	return nil
}

func refused(t *testing.T, err error, code codes.Code, want string) {
	t.Helper()
	if status.Code(err) != code || !strings.Contains(err.Error(), want) {
		t.Errorf("%v; want %v, %q", err, code, want)
	}
}

// A replay runs on when its call has ended, and every ingest tells how far it is; it is stopped by way of any ingest,
// and the same request goes on with it. An ingest does one at a time, and none of a name that another one does.
func TestReplayByAnIngest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work, end := context.WithCancel(t.Context())
		one, other, ended := replaying(work, &replayer{total: 60})
		for _, bad := range []struct {
			change func(*adminv1.ReplayRequest)
			code   codes.Code
			want   string
		}{
			{func(r *adminv1.ReplayRequest) { r.Name = "" }, codes.InvalidArgument, "name: is needed"},
			{func(r *adminv1.ReplayRequest) { r.Topic = "" }, codes.InvalidArgument, "topic: names none"},
			{func(r *adminv1.ReplayRequest) { r.Suffix = "" }, codes.InvalidArgument, "into: where do rows go"},
			{func(r *adminv1.ReplayRequest) { r.BytesPerSecond = -1 }, codes.InvalidArgument, "bytes_per_second"},
			{func(r *adminv1.ReplayRequest) { r.Topic = "x" }, codes.NotFound, "topic: there is none"},
		} {
			r := request("bad")
			bad.change(r)
			_, err := one.Replay(t.Context(), r)
			refused(t, err, bad.code, bad.want)
		}
		try := request("fix")
		try.Act.ValidateOnly = true
		r, err := one.Replay(t.Context(), try)
		if err != nil || r.GetResult().GetChanged() || len(one.Replays()) > 0 ||
			!strings.Contains(r.GetResult().GetSummary(), "60 offsets of 0 partitions of orders would be") {
			t.Fatalf("validated: %v, %v", r, err)
		}
		call, hangUp := context.WithCancel(t.Context())
		r, err = one.Replay(call, request("fix"))
		if err != nil || !r.GetResult().GetChanged() || r.GetReplay().GetState() != fleetview.Running {
			t.Fatalf("%v, %v", r, err)
		}
		hangUp()
		if r, err = one.Replay(t.Context(), request("fix")); err != nil || !r.GetResult().GetRepeated() {
			t.Errorf("the same act again: %v, %v", r, err)
		}
		time.Sleep(10500 * time.Millisecond)
		if now := only(t, other, "fix"); now.GetSettled() != 10 || now.GetState() != fleetview.Running ||
			now.GetProcess() != "a" || now.GetReason() != "a test" {
			t.Errorf("after ten seconds, asked elsewhere: %v", now)
		}
		_, err = one.Replay(t.Context(), request("second"))
		refused(t, err, codes.FailedPrecondition, "replay fix is under way at this ingest, which does one at a time")
		again := request("fix")
		again.Act.RequestId = "again"
		_, err = other.Replay(t.Context(), again)
		refused(t, err, codes.FailedPrecondition, "replay fix is under way already: a runs it")

		stop := func(s *Server, name string, validate bool) (*adminv1.StopReplayResponse, error) {
			return s.StopReplay(t.Context(), &adminv1.StopReplayRequest{
				Act: &adminv1.Act{ValidateOnly: validate, OnBehalfOf: "olga", Reason: "enough"}, Name: name,
			})
		}
		_, err = stop(other, "fax", false)
		refused(t, err, codes.NotFound, `there is no replay "fax"; the nearest is "fix"`)
		said, err := stop(other, "fix", true)
		if err != nil || said.GetResult().GetChanged() || only(t, one, "fix").GetState() != fleetview.Running {
			t.Errorf("stop, validated: %v, %v", said, err)
		}
		said, err = stop(other, "fix", false)
		if now := only(t, other, "fix"); err != nil || !said.GetResult().GetChanged() ||
			now.GetState() != fleetview.Stopped || !strings.Contains(now.GetError(), "olga") ||
			!strings.Contains(said.GetResult().GetSummary(), "replay fix is stopped: 10 of 60 offsets are settled") {
			t.Errorf("stopped: %v, %v, %v", said, now, err)
		}
		if said, err = stop(other, "fix", false); err != nil || said.GetResult().GetChanged() ||
			!strings.Contains(said.GetResult().GetSummary(), "stopped already") {
			t.Errorf("stopped twice: %v, %v", said, err)
		}
		if r, err = other.Replay(t.Context(), again); err != nil || only(t, one, "fix").GetProcess() != "b" {
			t.Errorf("it goes on at the other ingest: %v, %v", r, err)
		}
		if said, err = stop(one, "fix", true); err != nil ||
			!strings.Contains(said.GetResult().GetSummary(), "replay fix would stop") {
			t.Errorf("by way of the one that has run it: %v, %v", said, err)
		}
		time.Sleep(61 * time.Second)
		if now := only(t, one, "fix"); now.GetState() != fleetview.Done || now.GetEnded() == nil {
			t.Errorf("in the end: %v", now)
		}
		if r, err = one.Replay(t.Context(), request("last")); err != nil {
			t.Fatalf("%v, %v", r, err)
		}
		end() // both stop in order
		ended()
		if now := only(t, one, "last"); now.GetState() != fleetview.Interrupted {
			t.Errorf("when its process ends: %v", now)
		}
		_, err = one.Replay(t.Context(), request("late"))
		refused(t, err, codes.Unavailable, "has not begun its work yet, or ends it")
	})
}

// A replay of dead letters is stopped halfway, by its name, by way of any ingest: who waits for it is told what is
// done, and who does not can look.
func TestDeadLettersStoppedHalfway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work, end := context.WithCancel(t.Context())
		one, other, ended := replaying(work, &replayer{})
		letters := func(id string, detached bool) *adminv1.ReplayDeadLettersRequest {
			return &adminv1.ReplayDeadLettersRequest{Act: &adminv1.Act{RequestId: id}, All: true, Detached: detached}
		}
		waits := &received{ctx: t.Context()}
		failed := make(chan error)
		go func() { failed <- one.ReplayDeadLetters(letters("waits", false), waits) }()
		time.Sleep(30500 * time.Millisecond)
		refused(t, one.ReplayDeadLetters(letters("second", true), &received{ctx: t.Context()}),
			codes.FailedPrecondition,
			"dead letters are being replayed by this ingest already, as waits")
		said, err := other.StopReplay(t.Context(), &adminv1.StopReplayRequest{Name: "waits"})
		if err != nil || !strings.Contains(said.GetResult().GetSummary(), "is stopped: 30 records are produced") {
			t.Errorf("stopped: %v, %v", said, err)
		}
		refused(t, <-failed, codes.Aborted, "stopped by somebody")
		if n := len(waits.all); n < 20 || waits.all[n-1].GetResult() != nil {
			t.Errorf("reported %d times", n)
		}

		hung, hangUp := context.WithCancel(t.Context())
		first := &received{ctx: hung}
		if err := one.ReplayDeadLetters(letters("alone", true), first); err != nil || len(first.all) != 1 ||
			!first.all[0].GetResult().GetChanged() {
			t.Fatalf("detached: %v, %v", first.all, err)
		}
		hangUp()
		time.Sleep(10500 * time.Millisecond)
		if now := only(t, other, "alone"); now.GetRows() != 10 || !now.GetDeadLetters() {
			t.Errorf("detached, after ten seconds: %v", now)
		}
		same := &received{ctx: t.Context()}
		if err := one.ReplayDeadLetters(letters("alone", true), same); err != nil || len(same.all) != 1 ||
			!same.all[0].GetResult().GetRepeated() {
			t.Errorf("the same again: %v, %v", same.all, err)
		}
		if _, err := one.StopReplay(t.Context(), &adminv1.StopReplayRequest{Name: "alone"}); err != nil ||
			only(t, other, "alone").GetState() != fleetview.Stopped {
			t.Errorf("stopped: %v, %v", only(t, other, "alone"), err)
		}
		if err := one.ReplayDeadLetters(letters("all", true), &received{ctx: t.Context()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(101 * time.Second)
		if now := only(t, other, "all"); now.GetState() != fleetview.Done || now.GetRows() != 100 {
			t.Errorf("in the end: %v", now)
		}
		end()
		ended()
	})
}

// What failed says why, and old replays are forgotten.
func TestReplaysAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work, end := context.WithCancel(t.Context())
		one, _, ended := replaying(work, &replayer{fails: errors.New("orders/3 is refused: no")})
		for i := range mostJobs + 5 {
			if _, err := one.Replay(t.Context(), request("n"+strings.Repeat("x", i))); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		all := one.Replays()
		if len(all) != mostJobs || all[0].GetState() != fleetview.Failed ||
			all[0].GetError() != "orders/3 is refused: no" {
			t.Errorf("%d, %v", len(all), all[0])
		}
		end()
		ended()
	})
}
