package statuspage

import (
	"cmp"
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

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
	"reload":   {"Load contracts again", "Reload", nil, reloads(false)},
	"rollback": {"Roll contracts back to those of before the last reload", "Roll back", nil, reloads(true)},
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
		{"type", "Type of the record", "empty: any; ends in * for all that begin so", ""},
		ofPartition,
		{"first", "First offset", "empty: from the first", ""},
		{"last", "Last offset", "empty: to the last", ""},
		{"since", "Letters written since", "2026-01-31, 2026-01-31T12:00:00Z, or 2h or 7d ago", ""},
		{"limit", "At most", "records", "1000"},
	}, replayLetters},
	"replay": {"Replay a topic into another table", "Replay", []field{
		{"name", "Name", "tells this replay from others; an older one of the name goes on", ""},
		ofTopic,
		{"partition", "Partitions", "such as 0,3; empty: all", ""},
		{"from", "From", "a time, such as 2026-01-31 or 2h ago, or an offset, as @125; empty: the first record", ""},
		{"to", "To", "in the same way; empty: the end of now", ""},
		{"into", "Into table", "or OLD=NEW,OLD=NEW where the topic feeds several", ""},
		{"suffix", "Or its name and", "such as _replay, for all tables of the topic", ""},
		{"rate", "Read at most", "MiB a second, beside the lanes of this ingest", "10"},
	}, replayTopic},
	"stop": {"Stop a replay", "Stop", []field{{"name", "Name", "", ""}}, func(
		ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, v url.Values,
	) (*adminv1.Result, error) {
		r, err := s.StopReplay(ctx, &adminv1.StopReplayRequest{Act: act, Name: strings.TrimSpace(v.Get("name"))})
		return r.GetResult(), err
	}},
}

// reloads has all ingests load their contracts again, or go back.
func reloads(
	back bool,
) func(context.Context, adminv1.SteeringServiceServer, *adminv1.Act, url.Values) (*adminv1.Result, error) {
	return func(
		ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, _ url.Values,
	) (*adminv1.Result, error) {
		r, err := s.ReloadContracts(ctx, &adminv1.ReloadContractsRequest{Act: act, Back: back})
		for _, c := range r.GetChanges() {
			r.Result.Summary += "; " + c.GetContract() + ": " + strings.Join(c.GetWhat(), ", ")
		}
		return r.GetResult(), err
	}
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
