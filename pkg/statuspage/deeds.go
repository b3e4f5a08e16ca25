package statuspage

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// deed is one kind of act.
type deed struct {
	// Title is what it is called, and Verb what its button says.
	Title, Verb string
	// Fields are those of its form, in order.
	Fields []field
	call   func(context.Context, adminv1.SteeringServiceServer, *adminv1.Act, url.Values) (*adminv1.Result, error)
}

// field is one field of a form.
type field struct{ Name, Label, Hint, Usual string }

var (
	ofTopic     = field{Name: "topic", Label: "Topic"}
	ofPartition = field{Name: "partition", Label: "Partition", Hint: "empty: all of the topic"}
	ofTable     = field{Name: "table", Label: "Table", Hint: "instead of a topic: all topics that feed it"}
	ofWriter    = field{Name: "writer", Label: "Writer", Hint: "its name or address"}
)

var deeds = map[string]deed{
	"pause": {"Pause", "Pause", []field{
		ofTopic, ofPartition, ofTable, {"for", "For", "such as 10m or 2h; 144h at most", "1h"},
	}, func(
		ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, v url.Values,
	) (*adminv1.Result, error) {
		t, err := targetOf(v)
		length, bad := lengthOf(v)
		if err := cmp.Or(err, bad); err != nil {
			return nil, err
		}
		r, err := s.Pause(ctx, &adminv1.PauseRequest{Act: act, Target: t, Length: length})
		return r.GetResult(), err
	}},
	"resume": {"Resume", "Resume", []field{ofTopic, ofPartition, ofTable}, func(
		ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, v url.Values,
	) (*adminv1.Result, error) {
		t, err := targetOf(v)
		if err != nil {
			return nil, err
		}
		r, err := s.Resume(ctx, &adminv1.ResumeRequest{Act: act, Target: t})
		return r.GetResult(), err
	}},
	"move": {"Move a lane", "Move", []field{ofTopic, {"partition", "Partition", "", ""}, ofWriter}, func(
		ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, v url.Values,
	) (*adminv1.Result, error) {
		p, err := partition(v)
		if err != nil {
			return nil, err
		}
		if p == nil {
			return nil, status.Error(codes.InvalidArgument, "partition: names none")
		}
		r, err := s.MoveLane(ctx, &adminv1.MoveLaneRequest{
			Act: act, Topic: v.Get("topic"), Partition: *p, Writer: v.Get("writer"),
		})
		return r.GetResult(), err
	}},
	"drain": {"Drain a writer", "Drain", []field{ofWriter, {"for", "For", "such as 30m; 24h at most", "1h"}}, func(
		ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, v url.Values,
	) (*adminv1.Result, error) {
		length, err := lengthOf(v)
		if err != nil {
			return nil, err
		}
		r, err := s.DrainWriter(ctx, &adminv1.DrainWriterRequest{Act: act, Writer: v.Get("writer"), Length: length})
		return r.GetResult(), err
	}},
	"undrain": {"Let a writer take lanes again", "End the draining", []field{ofWriter}, func(
		ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, v url.Values,
	) (*adminv1.Result, error) {
		r, err := s.DrainWriter(ctx, &adminv1.DrainWriterRequest{Act: act, Writer: v.Get("writer"), End: true})
		return r.GetResult(), err
	}},
	"spread": {"Spread lanes over writers", "Spread", nil, func(
		ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, _ url.Values,
	) (*adminv1.Result, error) {
		r, err := s.Spread(ctx, &adminv1.SpreadRequest{Act: act})
		return r.GetResult(), err
	}},
	"reload": {"Load contracts again", "Reload", nil, func(
		ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, _ url.Values,
	) (*adminv1.Result, error) {
		r, err := s.ReloadContracts(ctx, &adminv1.ReloadContractsRequest{Act: act})
		for _, c := range r.GetChanges() {
			r.Result.Summary += "; " + c.GetContract() + ": " + strings.Join(c.GetWhat(), ", ")
		}
		return r.GetResult(), err
	}},
	"skip": {"Skip one record", "Skip", []field{
		ofTopic, {"partition", "Partition", "", ""}, {"offset", "Offset", "of a record that is not settled", ""},
	}, func(
		ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, v url.Values,
	) (*adminv1.Result, error) {
		p, err := partition(v)
		if err != nil {
			return nil, err
		}
		offset, bad := strconv.ParseInt(strings.TrimSpace(v.Get("offset")), 10, 64)
		if p == nil || bad != nil {
			return nil, status.Error(codes.InvalidArgument, "partition, offset: one of them is no number")
		}
		r, err := s.SkipRecord(ctx, &adminv1.SkipRecordRequest{
			Act: act, Topic: v.Get("topic"), Partition: *p, Offset: offset,
		})
		return r.GetResult(), err
	}},
	"letters": {"Replay dead letters", "Replay", []field{
		{"topic", "Topic", "", ""},
		{"of", "Their reason", "undecodable, unknown_type, refused or skipped; empty: any", ""},
		{"contract", "Contract", "empty: any", ""},
		ofPartition,
		{"limit", "At most", "records", "1000"},
	}, replayLetters},
}

// replayLetters replays dead letters for as long as the page waits.
func replayLetters(
	ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, v url.Values,
) (*adminv1.Result, error) {
	p, err := partition(v)
	limit, bad := strconv.ParseInt(strings.TrimSpace(cmp.Or(v.Get("limit"), "0")), 10, 32)
	switch {
	case err != nil:
		return nil, err
	case bad != nil || limit < 0:
		return nil, status.Errorf(codes.InvalidArgument, "limit: %q is no number of records", v.Get("limit"))
	case v.Get("topic") == "":
		return nil, status.Error(codes.InvalidArgument, "topic: names none")
	}
	r := &adminv1.ReplayDeadLettersRequest{Act: act, Topics: []string{v.Get("topic")}, Limit: int32(limit)}
	if p != nil {
		r.Partitions = []int32{*p}
	}
	for name, into := range map[string]*[]string{"of": &r.Reasons, "contract": &r.Contracts} {
		if text := strings.TrimSpace(v.Get(name)); text != "" {
			*into = []string{text}
		}
	}
	last := &lastLetters{ctx: ctx}
	err = s.ReplayDeadLetters(r, last)
	for _, skipped := range last.said.GetSkipped() {
		last.said.Result.Summary += fmt.Sprintf("; %d: %s (%s)", skipped.GetCount(), skipped.GetCause(),
			skipped.GetRemedy())
	}
	return last.said.GetResult(), err
}

// lastLetters keeps the last response of a replay of dead letters.
type lastLetters struct {
	grpc.ServerStream

	ctx  context.Context // of the request, which it does not outlive
	said *adminv1.ReplayDeadLettersResponse
}

// Context implements grpc.ServerStream.
func (l *lastLetters) Context() context.Context { return l.ctx }

// Send implements grpc.ServerStreamingServer.
func (l *lastLetters) Send(r *adminv1.ReplayDeadLettersResponse) error {
	l.said = r
	return nil
}

func targetOf(v url.Values) (*adminv1.Target, error) {
	p, err := partition(v)
	return &adminv1.Target{Topic: v.Get("topic"), Partition: p, Table: v.Get("table")}, err
}

func lengthOf(v url.Values) (*durationpb.Duration, error) {
	d, err := time.ParseDuration(strings.TrimSpace(v.Get("for")))
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "for: %q is no length of time; write 10m or 2h", v.Get("for"))
	}
	return durationpb.New(d), nil
}
