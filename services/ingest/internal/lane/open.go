package lane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/waybill-data/waybill/pkg/lanewire"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// open makes a call and brings it to where Append may be sent: its checkpoint is committed, and the writer knows. ctx
// is the turn; until the lane is open its end simply cancels the call, because nothing is in flight.
func (l *Lane) open(ctx context.Context) (c *call, err error) {
	place, err := l.takePlace(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil || c == nil { // a panic has neither
			l.leavePlace(place, err)
		}
	}()
	from, err := l.start(ctx)
	if err != nil {
		return nil, err
	}
	l.board.at(from.Position)
	oldest, newest, err := l.Partition.Range(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the offsets of the partition: %w", err)
	}

	io, cancel := context.WithCancel(context.WithoutCancel(ctx))
	release := context.AfterFunc(ctx, cancel)
	defer func() {
		if !release() && err == nil {
			err = context.Canceled
		}
		if c == nil { // with an error, or in a panic; a call that is there is cancelled by now if it is not to be
			cancel()
		}
	}()
	woken := make(chan struct{}, 1)
	wake := func() {
		select {
		case woken <- struct{}{}:
		default: // it is awake
		}
	}
	l.orders.wakes(wake)
	if place != nil {
		io = place.Bind(io, wake)
	}
	done := l.Weather.await(ctx, l.waitsForWriter)
	l.Contracts.Renew()
	opened, stream, err := l.openCall(io, from)
	done()
	switch {
	case io.Err() != nil && ctx.Err() == nil:
		return nil, given(io)
	case err != nil:
		return nil, err
	}
	if place != nil {
		if err := place.Opened(opened); err != nil {
			return nil, err
		}
	}
	skips := l.orders.toSkip(from.Position)
	routes := l.Contracts.Routes()
	replay, err := newReplay(opened, len(routes), from.Position)
	if err != nil {
		return nil, err
	}
	if reach := replay.reach(from.Position); newest < reach {
		return nil, l.cutBack(&CutError{reach, newest}, &replay)
	}
	gone := oldest > from.Position
	if gone && replay.pending > 0 {
		return nil, l.goneUnderReplay(&replay, from.Position, oldest, newest)
	}
	opening := Pair{from.Position, opened.GetCheckpoint()}
	committed := l.waitsForCommit("an offset commit")
	err = l.Partition.Commit(io, opening)
	committed()
	if err != nil {
		return nil, l.commitFailed("commit the opening", err)
	}
	if err := stream.Send(durable(0)); err != nil {
		return nil, streamError(stream, err)
	}

	limits := newLimits(l.Config, opened.GetLimits())
	c = &call{
		lane: l, ctx: io, cancel: cancel, stream: stream, limits: limits, place: place, woken: woken, gone: gone,
		from: from.Position, sentEnd: from.Position, first: -1,
		ledger: ledger{newest: opening},
		builder: builder{
			contracts: l.Contracts, budget: l.account(), limits: limits, routes: len(routes), replay: replay,
			next: from.Position, traces: newSampler(l), skips: skips, orders: &l.orders,
		},
		traces: opened.GetTraces(),
	}
	l.board.update(func(s *Status) { s.Writer, s.LastError = opened.GetWriter(), "" })
	l.board.enter(Open)
	l.Log.Info("lane open", "writer", opened.GetWriter(), "position", from.Position,
		"to_drop", replay.pending, "left_out", len(replay.leftOut))
	return c, nil
}

// start is where the call opens: the committed pair, or by Config.Reset when there is none, or none of this topic.
func (l *Lane) start(ctx context.Context) (Pair, error) {
	read := l.waitsForCommit("the committed position")
	committed, err := l.Partition.Committed(ctx)
	read()
	var cut *CutError
	var other *OtherTopicError
	switch {
	case errors.As(err, &cut):
		return Pair{}, l.cutBack(cut, nil)
	case err != nil && !errors.As(err, &other):
		return Pair{}, fmt.Errorf("read the committed position: %w", err)
	case other == nil && committed.Position >= 0:
		return committed, nil
	}
	oldest, newest, err := l.Partition.Range(ctx)
	if err != nil {
		return Pair{}, fmt.Errorf("read the offsets of the partition: %w", err)
	}
	why := fmt.Sprintf("group %s has committed no position for %s/%d", l.Group, l.Partition.Topic(),
		l.Partition.Number())
	if other != nil {
		why = fmt.Sprintf("%s/%d: %v", l.Partition.Topic(), l.Partition.Number(), other)
	}
	target := oldest
	switch l.Config.Reset {
	case Earliest:
	case Latest:
		target = newest
	default:
		return Pair{}, fatalf("%s and auto_offset_reset is none: set auto_offset_reset to earliest or latest, "+
			"or commit one with kafka-consumer-groups --reset-offsets", why)
	}
	if other != nil {
		l.metrics.offsetResets.Inc()
		l.Log.Error("the topic was deleted and made again; the lane starts with the new one",
			"committed", other.Position, "old_id", other.Was, "new_id", other.Is, "policy",
			strings.ToLower(string(l.Config.Reset)), "target", target)
	}
	return Pair{Position: target}, nil
}

// openCall sends Open and awaits Opened. The writer may take its time: it fences older owners, and retries while
// BigQuery is away.
func (l *Lane) openCall(ctx context.Context, from Pair) (_ *lanev1.Opened, _ laneStream, err error) {
	defer func() {
		if status.Code(err) == codes.Unavailable && l.Placer == nil { // which knows by itself who serves
			l.Weather.away(err)
			err = fmt.Errorf("%w: %w", errAway, err)
		}
	}()
	open := &lanev1.Open{
		Group:      l.Group,
		Cluster:    l.Partition.Cluster(),
		Topic:      l.Partition.Topic(),
		Partition:  l.Partition.Number(),
		Position:   from.Position,
		Checkpoint: from.Checkpoint,
		Routing:    l.Contracts.Fingerprint(),
		Routes:     l.Contracts.Routes(),
		Notices:    true,
	}
	request := &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: open}}
	if size := proto.Size(request); size > lanewire.MaxControl {
		return nil, nil, fatalf("the %d tables of topic %s take %d bytes to describe, and a writer takes %d: give "+
			"some of its types a topic of their own, or leave columns out", len(open.GetRoutes()), l.Partition.Topic(),
			size, lanewire.MaxControl)
	}
	stream, err := lanev1.NewLaneServiceClient(l.Writers).Lane(ctx, grpc.ForceCodecV2(lanewire.Codec()))
	if err != nil {
		return nil, nil, callError(err)
	}
	// The call is at a writer that serves. One that has not refused it for a while is there for the other lanes, too.
	there := time.AfterFunc(accepted, l.Weather.serves)
	defer there.Stop()
	if err := stream.Send(request); err != nil {
		return nil, nil, streamError(stream, err)
	}
	for {
		response, err := stream.Recv()
		switch {
		case err != nil:
			return nil, nil, callError(err)
		case response.GetNotice() != nil:
			l.notice(response.GetNotice())
		case response.GetOpened() != nil:
			l.Weather.serves()
			return response.GetOpened(), stream, nil
		default:
			return nil, nil, violation("%T came before Opened", response.GetMessage())
		}
	}
}

// accepted is how long a writer may take to refuse a lane before it counts as one that serves.
const accepted = time.Second

// streamError is why a send failed: gRPC tells only the receiving side.
func streamError(stream laneStream, err error) error {
	if !errors.Is(err, io.EOF) {
		return callError(err)
	}
	for {
		if _, err := stream.Recv(); err != nil {
			return callError(err)
		}
	}
}

func (l *Lane) commitFailed(what string, err error) error {
	if !errors.Is(err, ErrFenced) && !errors.Is(err, context.Canceled) {
		l.metrics.commitFailures.Inc()
	}
	return fmt.Errorf("%s: %w", what, err)
}

// goneUnderReplay refuses the lane: with records missing, counting would drop the wrong rows.
func (l *Lane) goneUnderReplay(r *replay, position, oldest, newest int64) error {
	topic, number := l.Partition.Topic(), l.Partition.Number()
	return fatalf("%s/%d holds offsets %d to %d, so records at and after the committed position %d are gone, while "+
		"rows are still to be dropped there (%s); counting over the gap would drop others. Two ways out: find the "+
		"last row with SELECT MAX(kafka_offset) WHERE kafka_topic = '%s' AND kafka_partition = %d in each table and "+
		"reset group %s to the offset after it (nothing twice); or reset the group to earliest (nothing left out, up "+
		"to %d rows twice). Stop the group for kafka-consumer-groups --reset-offsets",
		topic, number, oldest, newest, position, r.describe(l.Contracts.Routes()), topic, number, l.Group, r.pending)
}

// cutBack refuses the lane: what is at and after the cut is not what was read, and only an operator knows whether
// what was lost comes back. r is what is still to be dropped, nil when nobody needs it.
func (l *Lane) cutBack(cut *CutError, r *replay) error {
	topic, number := l.Partition.Topic(), l.Partition.Number()
	pending := ""
	if r != nil && r.pending > 0 {
		pending = fmt.Sprintf("; rows of records after the position are in the tables as well (%s)",
			r.describe(l.Contracts.Routes()))
	}
	return fatalf("%s/%d was cut back, by an unclean election of a leader or because it was restored from elsewhere: "+
		"%v%s. Nothing is read, so that no record is read twice and none passed over. If the records come back (a "+
		"broker that is still away has them), the lane goes on by itself. Else stop the group and reset it with "+
		"kafka-consumer-groups --reset-offsets --topic %s:%d --to-offset %d: what is written there since "+
		"is read from the first record on; the rows of the lost records stay", topic, number, cut, pending, topic,
		number, cut.End)
}

// regrown refuses the lane: the partition holds the offset to read on at, but not the log that was read up to there.
// What is counted on in it would be other records. why is what reading failed with.
func (l *Lane) regrown(why error, r *replay, next, newest int64) error {
	topic, number := l.Partition.Topic(), l.Partition.Number()
	return fatalf("%s/%d was cut back and written to again, by an unclean election of a leader or because it was "+
		"restored from elsewhere: it ends at offset %d, and reading on at %d failed (%v), while rows of records from "+
		"there on are in the tables as well (%s); counting would drop others. The lane looks again by itself. If the "+
		"records that were read do not come back, stop the group and reset it with kafka-consumer-groups "+
		"--reset-offsets --topic %s:%d --to-offset to where it was cut back, which is %d at the latest: what is "+
		"written since is read from there on; the rows of the lost records stay", topic, number, newest, next, why,
		r.describe(l.Contracts.Routes()), topic, number, next)
}

// resetPosition moves a lane whose records retention has removed, by Config.Reset. Nothing is left to be dropped and
// the window is settled, so it starts with new streams. A position that is in the partition after all, or is beyond
// its end, is left to the next opening.
func (l *Lane) resetPosition(ctx context.Context, position int64) error {
	oldest, newest, err := l.Partition.Range(ctx)
	if err != nil {
		return fmt.Errorf("read the offsets of the partition: %w", err)
	}
	if position >= oldest {
		return fmt.Errorf("offsets %d to %d are in the partition, and reading at %d failed: %w",
			oldest, newest, position, ErrOffsetGone)
	}
	target := oldest
	switch l.Config.Reset {
	case Latest:
		target = newest
	case None:
		return fatalf("%s/%d holds offsets %d to %d, so the records at position %d are gone, and auto_offset_reset "+
			"is none: set auto_offset_reset to earliest or latest, or move group %s with kafka-consumer-groups "+
			"--reset-offsets",
			l.Partition.Topic(), l.Partition.Number(), oldest, newest, position, l.Group)
	}
	l.metrics.offsetResets.Inc()
	l.Log.Error("records at the position are gone; the lane goes on elsewhere",
		"position", position, "oldest", oldest, "newest", newest, "policy", strings.ToLower(string(l.Config.Reset)),
		"target", target)
	if err := l.Partition.Commit(ctx, Pair{Position: target}); err != nil {
		return l.commitFailed("commit the reset position", err)
	}
	return nil
}

func durable(barrier uint64) *lanev1.LaneRequest {
	return &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Durable{Durable: &lanev1.Durable{Barrier: barrier}}}
}

func leftOut(sequence uint64, offsets []int64) *lanev1.LaneRequest {
	return &lanev1.LaneRequest{Message: &lanev1.LaneRequest_LeftOut{LeftOut: &lanev1.LeftOut{
		Sequence: sequence, Offsets: offsets,
	}}}
}
