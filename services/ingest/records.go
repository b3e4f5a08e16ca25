package ingest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/fleetview"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/overview"
	"github.com/waybill-data/waybill/services/ingest/internal/tap"
	"github.com/waybill-data/waybill/services/ingest/internal/tap/where"
)

// The bounds of a tap.
const (
	usualSamples, mostSamples = 20, 1000
	usualTap, longestTap      = 30 * time.Second, 10 * time.Minute
	// countedWithin is how long others may take to say what they have counted.
	countedWithin = time.Second
)

// records serves adminv1.RecordService.
type records struct {
	adminv1.UnimplementedRecordServiceServer

	self   *adminv1.ProcessResponse
	lanes  *roster
	config *Config
	// previews is held while a preview is made.
	previews sync.Mutex
	// overview has the lanes in the words of the API.
	overview *overview.Overview
	// ingests and writers are other processes.
	ingests, writers func(context.Context) []fleetview.Peer
}

var points = map[adminv1.Point]tap.Point{
	adminv1.Point_POINT_UNSPECIFIED: tap.Record, adminv1.Point_POINT_RECORD: tap.Record,
	adminv1.Point_POINT_ROW:     tap.Row,
	adminv1.Point_POINT_REFUSED: tap.Refused, adminv1.Point_POINT_DEAD_LETTER: tap.DeadLetter,
}

// wanted is a request that says something sensible.
type wanted struct {
	want   tap.Want
	table  string
	filter *where.Filter
	limit  int
	within time.Duration
}

func (s *records) wanted(r *adminv1.TapRequest) (w wanted, err error) {
	point, ok := points[r.GetAt()]
	if !ok {
		return w, status.Errorf(codes.InvalidArgument, "at: there is no point %d", r.GetAt())
	}
	w = wanted{
		want: tap.Want{Point: point}, table: r.GetTable(), limit: cmp.Or(int(r.GetLimit()),
			usualSamples), within: usualTap,
	}
	if w.limit < 1 || w.limit > mostSamples {
		return w, status.Errorf(codes.InvalidArgument, "limit: %d is not within 1 and %d", r.GetLimit(), mostSamples)
	}
	if r.For != nil {
		w.within = r.GetFor().AsDuration()
	}
	if w.within <= 0 || w.within > longestTap {
		return w, status.Errorf(codes.InvalidArgument, "for: %v is not within 0 and %v", w.within, longestTap)
	}
	if w.filter, err = where.Parse(r.GetWhere()); err != nil {
		return w, status.Errorf(codes.InvalidArgument, "where: %v", err)
	}
	contracts := s.lanes.loaded()
	if contracts == nil {
		return w, status.Error(codes.Unavailable, "the contracts are not loaded yet: the schema registry may be away")
	}
	if topic := r.GetTopic(); topic != "" {
		if contracts.Topic(topic) == nil {
			return w, missing("topic", topic, contracts.Topics())
		}
		w.want.Topics = []string{topic}
	}
	if w.table != "" {
		var tables, topics []string
		patterns := false
		for _, e := range slices.Concat(contracts.Entries(), contracts.Unknown()) {
			if tables = append(tables, e.Route.GetTable()); e.Route.GetTable() == w.table {
				topics, patterns = append(topics, e.Topic), patterns || e.TopicPattern != ""
			}
		}
		if !slices.Contains(tables, w.table) {
			return w, missing("table", w.table, tables)
		}
		if len(w.want.Topics) == 0 && !patterns { // of others no record is for the table
			w.want.Topics = topics
		}
	}
	return w, nil
}

// missing says that no contract has what was named, and what may have been meant.
func missing(what, name string, known []string) error {
	hint := "`ingest contracts list` names them"
	if like := config.Nearest(name, known); like != "" {
		hint = "did you mean " + like + "?"
	}
	return status.Errorf(codes.NotFound, "%s: no contract has %s; %s", what, name, hint)
}

// said is what one of those who tap has to say.
type said struct {
	from    int
	message *adminv1.TapResponse
}

// Tap implements adminv1.RecordServiceServer.
func (s *records) Tap(r *adminv1.TapRequest, stream grpc.ServerStreamingServer[adminv1.TapResponse]) error {
	w, err := s.wanted(r)
	if err != nil {
		return err
	}
	mine, err := s.lanes.taps.Open(w.want)
	if err != nil {
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	defer mine.Close()
	// Whoever does not read any more holds nobody's place for longer than was asked for.
	defer time.AfterFunc(w.within, mine.Close).Stop()
	if err := stream.Send(responded(s.self)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(stream.Context(), w.within)
	all := make(chan said)
	running := 1
	go s.look(ctx, mine, w, reporter(all, 0))
	if !r.GetLocal() && s.ingests != nil {
		request := &adminv1.TapRequest{
			Local: true, Topic: r.GetTopic(), Table: r.GetTable(), At: r.GetAt(), Where: r.GetWhere(),
			Limit: r.GetLimit(),
			For:   r.GetFor(),
		}
		peers := s.ingests(ctx)
		for i, p := range peers {
			go follow(ctx, s.self, p, request, reporter(all, i+1))
		}
		running += len(peers)
	}
	err = s.collect(stream, all, running, w.limit, cancel)
	cancel()
	return err
}

// reporter passes messages on; a nil one is the last. Whoever collects waits for all of them.
func reporter(all chan<- said, from int) func(*adminv1.TapResponse) {
	return func(m *adminv1.TapResponse) { all <- said{from, m} }
}

// collect sends what those who tap say until all have ended, and tells them to once there is enough.
func (s *records) collect(
	stream grpc.ServerStreamingServer[adminv1.TapResponse], all <-chan said, running, limit int, enough func(),
) (err error) {
	counts := map[int]*adminv1.TapCounts{}
	instances := map[string]bool{s.self.GetInstance(): true}
	twice := map[int]bool{} // another address of a process that taps already
	sent := 0
	send := func(m *adminv1.TapResponse) {
		if err == nil {
			if err = stream.Send(m); err != nil {
				enough()
			}
		}
	}
	for running > 0 {
		one := <-all
		switch {
		case one.message == nil:
			running--
		case twice[one.from]:
		case one.message.GetResponse() != nil:
			a := one.message.GetResponse()
			if a.GetInstance() != "" && instances[a.GetInstance()] {
				twice[one.from] = true
				continue
			}
			instances[a.GetInstance()] = true
			send(one.message)
		case one.message.GetCounts() != nil:
			counts[one.from] = one.message.GetCounts()
			send(&adminv1.TapResponse{Message: &adminv1.TapResponse_Counts{Counts: sum(counts)}})
		case sent < limit:
			send(one.message)
			if sent++; sent == limit {
				enough()
			}
		}
	}
	return err
}

// sum adds the counts of all who tap up.
func sum(counts map[int]*adminv1.TapCounts) *adminv1.TapCounts {
	out := new(adminv1.TapCounts)
	for _, c := range counts {
		out.Seen += c.GetSeen()
		out.Matched += c.GetMatched()
		out.Dropped += c.GetDropped()
		out.Failed += c.GetFailed()
		out.Failure = cmp.Or(out.GetFailure(), c.GetFailure())
	}
	return out
}

func responded(a *adminv1.ProcessResponse) *adminv1.TapResponse {
	return &adminv1.TapResponse{Message: &adminv1.TapResponse_Response{Response: a}}
}

// follow passes on what another ingest says. One that does not respond is named, as in every response about the fleet.
func follow(
	ctx context.Context, self *adminv1.ProcessResponse, p fleetview.Peer, r *adminv1.TapRequest,
	report func(*adminv1.TapResponse),
) {
	defer report(nil)
	failed := func(err error) {
		if ctx.Err() == nil {
			report(responded(&adminv1.ProcessResponse{
				Process: p.Address, Address: p.Address, Error: status.Convert(err).Message(),
			}))
		}
	}
	if p.Err != nil {
		failed(p.Err)
		return
	}
	// When the time is over the other ends by itself, and says what it has counted.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			time.AfterFunc(countedWithin, cancel)
			return
		}
		cancel()
	})()
	stream, err := p.Records.Tap(own, r)
	if err != nil {
		failed(err)
		return
	}
	for first := true; ; first = false {
		m, err := stream.Recv()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				failed(err)
			}
			return
		}
		if first && m.GetResponse().GetInstance() == self.GetInstance() { // it is this very process
			return
		}
		if a := m.GetResponse(); a != nil {
			a.Address = p.Address
		}
		report(m)
	}
}
