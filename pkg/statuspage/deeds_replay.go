package statuspage

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/pkg/steering"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// replayTopic has this ingest replay a topic.
func replayTopic(
	ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, v url.Values,
) (*adminv1.Result, error) {
	r := &adminv1.ReplayRequest{
		Act: act, Name: text(v, "name"), Topic: text(v, "topic"), Suffix: text(v, "suffix"),
	}
	var err error
	if into := text(v, "into"); into != "" {
		if r.Into, err = steering.Into(strings.Split(into, ",")); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "into: %v", err)
		}
	}
	for _, one := range strings.FieldsFunc(v.Get("partition"), func(c rune) bool { return c == ',' || c == ' ' }) {
		n, err := strconv.ParseInt(one, 10, 32)
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "partition: %q is no number", one)
		}
		r.Partitions = append(r.Partitions, int32(n))
	}
	if r.From, err = markOf(v, "from"); err != nil {
		return nil, err
	}
	if r.To, err = markOf(v, "to"); err != nil {
		return nil, err
	}
	rate, err := strconv.ParseFloat(text(v, "rate"), 64)
	if err != nil || rate <= 0 || rate > 1<<20 {
		return nil, status.Errorf(codes.InvalidArgument, "rate: %q is no number of MiB a second", v.Get("rate"))
	}
	r.BytesPerSecond = int64(rate * (1 << 20))
	said, err := s.Replay(ctx, r)
	return said.GetResult(), err
}

func text(v url.Values, name string) string { return strings.TrimSpace(v.Get(name)) }

// markOf is where a replay begins or ends; nil where nothing is said.
func markOf(v url.Values, name string) (*adminv1.ReplayMark, error) {
	if text(v, name) == "" {
		return nil, nil
	}
	offset, at, err := steering.Mark(text(v, name))
	switch {
	case err != nil:
		return nil, status.Errorf(codes.InvalidArgument, "%s: %v", name, err)
	case offset != nil:
		return &adminv1.ReplayMark{Where: &adminv1.ReplayMark_Offset{Offset: *offset}}, nil
	}
	return &adminv1.ReplayMark{Where: &adminv1.ReplayMark_Time{Time: timestamppb.New(at)}}, nil
}

// number reads a number; nil where there is none.
func number(v url.Values, name string) (*int64, error) {
	if text(v, name) == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(text(v, name), 10, 64)
	if err != nil || n < 0 {
		return nil, status.Errorf(codes.InvalidArgument, "%s: %q is no number of 0 or more", name, v.Get(name))
	}
	return &n, nil
}

// replayLetters says what a replay of dead letters would do, or has this ingest do it: it goes on when the page is
// left.
func replayLetters(
	ctx context.Context, s adminv1.SteeringServiceServer, act *adminv1.Act, v url.Values,
) (*adminv1.Result, error) {
	r := &adminv1.ReplayDeadLettersRequest{Act: act, Topics: []string{text(v, "topic")}, Detached: true}
	if text(v, "topic") == "" {
		return nil, status.Error(codes.InvalidArgument, "topic: names none")
	}
	p, err := partition(v)
	if err != nil {
		return nil, err
	}
	if p != nil {
		r.Partitions = []int32{*p}
	}
	limit, err := strconv.ParseInt("0"+text(v, "limit"), 10, 32)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "limit: %q is no number of records", v.Get("limit"))
	}
	r.Limit = int32(limit)
	if r.FirstOffset, err = number(v, "first"); err != nil {
		return nil, err
	}
	if r.LastOffset, err = number(v, "last"); err != nil {
		return nil, err
	}
	if since := text(v, "since"); since != "" {
		at, err := steering.Moment(since)
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "since: %v", err)
		}
		r.Since = timestamppb.New(at)
	}
	for name, into := range map[string]*[]string{"of": &r.Reasons, "contract": &r.Contracts, "type": &r.Types} {
		if word := text(v, name); word != "" {
			*into = []string{word}
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
