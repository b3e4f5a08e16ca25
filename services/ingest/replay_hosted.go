package ingest

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/service"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
	"github.com/waybill-data/waybill/services/ingest/internal/steering"
)

const (
	// hostedRate is how fast a replay reads that an ingest runs beside its lanes, in bytes a second, where nothing is
	// said.
	hostedRate = 10 << 20
	// hostedShare is the part of memory.budget that it takes in addition, but leastHosted at least.
	hostedShare, leastHosted = 8, 16 << 20
)

// topicReplays makes the replays that an ingest is asked for: steering.Replayer.
type topicReplays struct {
	config *Config
	log    *slog.Logger
}

var _ steering.Replayer = (*topicReplays)(nil)

// Prepare implements steering.Replayer. The contracts are those that the configuration file has now, as with the
// command.
func (t *topicReplays) Prepare(ctx context.Context, r *adminv1.ReplayRequest) (steering.Replay, error) {
	c, err := t.config.onDisk()
	if err != nil {
		return nil, err
	}
	c.Memory.Budget = config.Bytes(max(c.Memory.Size()/hostedShare, leastHosted, 4*int64(c.Batch.Bytes)))
	into := maps.Clone(r.GetInto())
	if into == nil {
		into = map[string]string{}
	}
	of := Replay{
		Name: r.GetName(), Topic: r.GetTopic(), Partitions: r.GetPartitions(), Into: into, Suffix: r.GetSuffix(),
		From: markOf(r.GetFrom()), To: markOf(r.GetTo()), Letters: r.GetLetters(),
		Rate: cmp.Or(r.GetBytesPerSecond(), hostedRate),
	}
	// Its metrics are not those of the lanes here; nor is it one of them.
	env := service.Env{Log: t.log.With("replay", r.GetName())}
	made, err := NewReplayer(ctx, c, of, env)
	if err != nil {
		return nil, replayRefused(err)
	}
	return &hostedReplay{made}, nil
}

func markOf(m *adminv1.ReplayMark) Mark {
	switch w := m.GetWhere().(type) {
	case *adminv1.ReplayMark_Offset:
		return Mark{Offset: &w.Offset}
	case *adminv1.ReplayMark_Time:
		return Mark{Time: w.Time.AsTime()}
	}
	return Mark{}
}

// awayError says that Kafka, or a writer, does not respond.
type awayError struct{ error }

func (a awayError) Unwrap() error { return a.error }

// away marks an error of what may respond later. What the brokers refuse stays so.
func away(err error) error {
	if errors.Is(err, source.ErrPlanRefused) {
		return err
	}
	return awayError{err}
}

// replayRefused is a refusal as admin.v1 has it: the names of flags are those of fields.
func replayRefused(err error) error {
	code := status.Code(err)
	_, isAway := errors.AsType[awayError](err)
	switch {
	case isAway, code == codes.Unknown && errors.Is(err, context.DeadlineExceeded):
		code = codes.Unavailable
	case code == codes.Unknown:
		code = codes.FailedPrecondition
	}
	field, rest, flagged := strings.Cut(messageOf(err), ": ")
	if name, ok := strings.CutPrefix(field, "--"); ok && flagged {
		return status.Error(code, name+": "+rest)
	}
	return status.Error(code, messageOf(err))
}

// messageOf is an error without the words of gRPC for its code.
func messageOf(err error) string {
	text := err.Error()
	if s, ok := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err); ok {
		text = strings.Replace(text, s.Error(), s.GRPCStatus().Message(), 1)
	}
	return text
}

// hostedReplay is a replay that an ingest is asked for: steering.Replay.
type hostedReplay struct{ *Replayer }

// Shown implements steering.Replay.
func (a *hostedReplay) Shown() *adminv1.Replay {
	out := &adminv1.Replay{
		Name: a.replay.Name, Topics: []string{a.replay.Topic}, Total: a.Total(), Tables: maps.Clone(a.Tables),
		Remarks: a.Remarks,
	}
	for _, n := range slices.Sorted(maps.Keys(a.Ranges)) {
		of := a.Ranges[n]
		r := &adminv1.ReplayRange{Partition: n, From: of.From, To: of.To}
		if at, ok := a.Settled[n]; ok {
			r.Settled = timestamppb.New(at)
			out.Settled += of.To - of.From
		}
		out.Ranges = append(out.Ranges, r)
	}
	return out
}

// Run implements steering.Replay.
func (a *hostedReplay) Run(ctx context.Context, progress func(*adminv1.Replay)) error {
	last, err := a.Replayer.Run(ctx, func(now *Replayed) { progress(shownReplay(now)) })
	if last != nil {
		progress(shownReplay(last))
	}
	switch {
	case err != nil:
		return err
	case !last.Done:
		return errors.New("not finished; the same again goes on where it was")
	}
	return nil
}

// shownReplay is how far a replay is.
func shownReplay(r *Replayed) *adminv1.Replay {
	out := &adminv1.Replay{
		Settled: r.Offsets, Total: r.Total, Rows: int64(r.Rows), Waits: r.Waits, //nolint:gosec // rows
	}
	if r.Left > 0 {
		out.Left = durationpb.New(r.Left)
	}
	for _, reason := range slices.Sorted(maps.Keys(r.BadRecords)) {
		out.Faults = append(out.Faults, &adminv1.ReplayFault{
			Reason: reason, Count: int64(r.BadRecords[reason]), First: r.First[reason],
		})
	}
	return out
}
