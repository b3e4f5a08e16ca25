package statuspage

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// replayers remembers the replays that the page asks for.
type replayers struct {
	adminv1.UnimplementedSteeringServiceServer
	requested []proto.Message
}

func (a *replayers) Replay(_ context.Context, r *adminv1.ReplayRequest) (*adminv1.ReplayResponse, error) {
	a.requested = append(a.requested, r)
	return &adminv1.ReplayResponse{Result: &adminv1.Result{Summary: "offsets are being replayed"}}, nil
}

func (a *replayers) StopReplay(_ context.Context, r *adminv1.StopReplayRequest) (*adminv1.StopReplayResponse, error) {
	a.requested = append(a.requested, r)
	return &adminv1.StopReplayResponse{Result: &adminv1.Result{Summary: "replay stopped"}}, nil
}

func (a *replayers) ReplayDeadLetters(
	r *adminv1.ReplayDeadLettersRequest, stream grpc.ServerStreamingServer[adminv1.ReplayDeadLettersResponse],
) error {
	a.requested = append(a.requested, r)
	return stream.Send(&adminv1.ReplayDeadLettersResponse{
		Result:  &adminv1.Result{Summary: "letters"},
		Skipped: []*adminv1.SkippedLetters{{Cause: "no contract", Remedy: "load one", Count: 2}},
	})
}

// What is written in the forms of replays is what the ingest is asked for, or is refused with its field.
func TestFormsOfReplays(t *testing.T) {
	at := timestamppb.New(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC))
	first := int64(7)
	for name, tt := range map[string]struct {
		do   string
		form url.Values
		want proto.Message
		says string
	}{
		"a topic": {
			"replay",
			url.Values{
				"name": {"fix"}, "topic": {"orders"}, "partition": {"0, 3"}, "from": {"2026-11-28T12:00:00Z"},
				"to": {"@125"}, "into": {"orders=orders_2,lines=lines_2"}, "rate": {"0.5"},
			},
			&adminv1.ReplayRequest{
				Name: "fix", Topic: "orders", Partitions: []int32{0, 3}, BytesPerSecond: 1 << 19,
				From: &adminv1.ReplayMark{Where: &adminv1.ReplayMark_Time{Time: at}},
				To:   &adminv1.ReplayMark{Where: &adminv1.ReplayMark_Offset{Offset: 125}},
				Into: map[string]string{"orders": "orders_2", "lines": "lines_2"},
			}, "Offsets are being replayed.",
		},
		"letters": {
			"letters",
			url.Values{
				"topic": {"orders"}, "type": {"order.*"}, "of": {"refused"}, "first": {"7"}, "limit": {"10"},
				"since": {"2026-11-28T12:00:00Z"},
			},
			&adminv1.ReplayDeadLettersRequest{
				Topics: []string{"orders"}, Types: []string{"order.*"}, Reasons: []string{"refused"},
				FirstOffset: &first, Limit: 10, Detached: true, Since: at,
			}, "Letters; 2: no contract (load one).",
		},
		"a stop": {
			"stop", url.Values{"name": {"fix"}}, &adminv1.StopReplayRequest{Name: "fix"}, "Replay stopped.",
		},
		"no time":      {"replay", url.Values{"from": {"soon"}}, nil, "from: &#34;soon&#34; is no time"},
		"no offset":    {"replay", url.Values{"to": {"@x"}}, nil, "to: &#34;@x&#34; is no offset"},
		"no tables":    {"replay", url.Values{"into": {"a,b"}}, nil, "into: "},
		"no partition": {"replay", url.Values{"partition": {"1,x"}}, nil, "partition: &#34;x&#34; is no number"},
		"no rate":      {"replay", url.Values{"rate": {"-1"}}, nil, "rate: "},
		"no topic":     {"letters", nil, nil, "topic: names none"},
		"no first":     {"letters", url.Values{"topic": {"o"}, "first": {"-2"}}, nil, "first: "},
		"no limit":     {"letters", url.Values{"topic": {"o"}, "limit": {"all"}}, nil, "limit: "},
		"no since":     {"letters", url.Values{"topic": {"o"}, "since": {"x"}}, nil, "since: "},
	} {
		t.Run(name, func(t *testing.T) {
			a := &replayers{}
			page := Acts(http.NotFoundHandler(), a)
			_, body := visit(page, http.MethodGet, "/act?do="+tt.do, nil)
			form := filled(body)
			maps.Copy(form, tt.form)
			form.Set("step", "do")
			code, body := visit(page, http.MethodPost, "/act", form)
			if !strings.Contains(body, tt.says) || (code == http.StatusOK) != (tt.want != nil) {
				t.Fatalf("%d, want %q in %s", code, tt.says, body)
			}
			if tt.want == nil {
				return
			}
			if !strings.Contains(body, `<a href="/replays">`) {
				t.Error("it does not say where the progress is")
			}
			if diff := cmp.Diff([]proto.Message{tt.want}, a.requested, protocmp.Transform(),
				protocmp.IgnoreMessages(&adminv1.Act{}), protocmp.IgnoreFields(&adminv1.ReplayRequest{}, "act"),
				protocmp.IgnoreFields(&adminv1.ReplayDeadLettersRequest{}, "act"),
				protocmp.IgnoreFields(&adminv1.StopReplayRequest{}, "act")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
