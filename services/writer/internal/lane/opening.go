package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/waybill-data/waybill/pkg/lanewire"
	"github.com/waybill-data/waybill/pkg/mutant"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// opened is what the writer knows once it has fenced or adopted what the checkpoint names.
type opened struct {
	outcome string // new, adopted or fenced
	left    []checkpoint.Range
	entries []entry
}

// entry is one table of the checkpoint after fencing: a stream to adopt or none, and the rows to drop.
type entry struct {
	checkpoint.Table
	route  int // -1 when no route leads to the table
	handle Table
}

// fences is how many streams of one opening are finalized at once.
const fences = 8

// checkOpen reports whether Open says what a lane needs, in bounds. It takes time linear in the message.
func checkOpen(open *lanev1.Open) error {
	switch {
	case open == nil:
		return invalid("the first message of a call must be Open")
	case open.GetGroup() == "":
		return invalid("open.group is empty")
	case open.GetTopic() == "":
		return invalid("open.topic is empty")
	case open.GetPartition() < 0:
		return invalid("open.partition is %d, must not be negative", open.GetPartition())
	case open.GetPosition() < 0:
		return invalid("open.position is %d, must not be negative", open.GetPosition())
	case len(open.GetRoutes()) == 0:
		return invalid("open.routes is empty: a lane needs a table to write to")
	case len(open.GetRoutes()) > lanewire.MaxBlocks:
		return invalid("open.routes has %d entries, at most %d", len(open.GetRoutes()), lanewire.MaxBlocks)
	}
	named, columns := make(map[string]int, len(open.GetRoutes())), 0
	for i, r := range open.GetRoutes() {
		n, err := checkRoute(r)
		if columns += n; err == nil {
			err = checkColumns(columns)
		}
		if err != nil {
			return invalid("open.routes[%d]%v", i, err)
		}
		if j, found := named[r.GetTable()]; found {
			return invalid("open.routes[%d].table %q is that of routes[%d]: one table takes one row message", i,
				r.GetTable(), j)
		}
		named[r.GetTable()] = i
	}
	return nil
}

// takeOpen checks Open and starts the opening.
func (l *lane) takeOpen(open *lanev1.Open) error {
	if err := checkOpen(open); err != nil {
		return err
	}
	if err := l.mayCarry(l.ctx, open, nil); err != nil {
		return err
	}
	l.first.Stop()
	l.open = open
	l.log = l.service.Log.With("group", open.GetGroup(), "topic", open.GetTopic(), "partition", open.GetPartition())
	l.position, l.end = open.GetPosition(), open.GetPosition()
	l.tables = make([]table, len(open.GetRoutes()))
	for i := range l.tables {
		t := &l.tables[i]
		t.route = open.GetRoutes()[i]
		t.repeats = t.route.GetDelivery() == lanev1.Delivery_DELIVERY_AT_LEAST_ONCE
		l.counts = l.counts || !t.repeats
	}
	l.notices(open)
	l.status.opens(open, l.service.Sink)
	l.enter(opening)
	l.do(func() event {
		o, err := l.inherit(l.ctx)
		return event{kind: eventOpened, opened: o, err: err}
	})
	return nil
}

// inherit takes over what the committed checkpoint names. It runs outside the owner and touches nothing but l.open and
// the sink.
func (l *lane) inherit(ctx context.Context) (*opened, error) {
	open := l.open
	sealed := checkpoint.Token(open.GetCheckpoint())
	if sealed == "" {
		return &opened{outcome: "new"}, nil
	}
	token, err := l.unseal(sealed)
	if err != nil {
		return nil, err
	}
	c, err := checkpoint.Decode(token)
	if err != nil {
		return nil, fatal("open.checkpoint: %v. To start anew: %s", err, startAnew(open))
	}
	place := checkpoint.Place{
		Cluster: open.GetCluster(), Topic: open.GetTopic(), Partition: open.GetPartition(),
		Position: open.GetPosition(),
	}
	if err := c.Verify(place); err != nil {
		return nil, fatal("%v: going on could lose or repeat rows. Commit the position and metadata that belong "+
			"together, or start anew: %s", err, startAnew(open))
	}
	if err := l.mayCarry(ctx, open, c.Tables); err != nil {
		return nil, err
	}
	for i := range c.Tables {
		if t := &c.Tables[i]; t.Stream != "" && !strings.HasPrefix(t.Stream, t.Name+"/streams/") {
			return nil, fatal("the checkpoint names write stream %s for table %s, which is of another table: no "+
				"writer has written it so. To start anew: %s", t.Stream, t.Name, startAnew(open))
		} else if t.Tainted || l.service.suspects(suspectOf(open, t.Stream)) {
			return nil, fatal("%s", foreign(t.Stream, t.Name, open))
		}
	}
	o := &opened{outcome: "fenced", left: c.LeftOut, entries: make([]entry, len(c.Tables))}
	if c.Clean {
		o.outcome = "adopted"
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fences)
	for i := range c.Tables {
		e := &o.entries[i]
		e.Table, e.route = c.Tables[i], -1
		group.Go(func() error {
			return l.guard(func() error { return l.inheritTable(ctx, e, c.Clean) })
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i := range o.entries {
		e := &o.entries[i]
		if e.Drop > 0 && c.Routing != open.GetRouting() {
			return nil, fatal("the routing changed (fingerprint %016x, was %016x) while %d rows after position %d "+
				"are in table %s already and must be dropped on replay: which records they were depends on the old "+
				"routing. Two ways out: run ingest with the old routing until it has stopped cleanly once, then "+
				"change it; or commit position %d with empty metadata and accept up to %d duplicate rows, or none: %s",
				open.GetRouting(), c.Routing, e.Drop, c.Position, e.Name, c.Position, e.Drop, startAnew(open))
		}
		if e.Drop > 0 && e.route < 0 {
			return nil, fatal("%d rows after position %d are in table %s already and must be dropped on replay, but "+
				"no route leads there now. Two ways out: route to it again until ingest has stopped cleanly once; or "+
				"commit position %d with empty metadata and accept up to %d duplicate rows, or none: %s",
				e.Drop, c.Position, e.Name, c.Position, e.Drop, startAnew(open))
		}
	}
	return o, nil
}

// startAnew is the way out that neither loses nor repeats rows, whatever happened.
func startAnew(open *lanev1.Open) string {
	return fmt.Sprintf("stop ingest, delete the rows with kafka_topic = '%s', kafka_partition = %d and "+
		"kafka_offset >= %d from the tables of this topic, then commit offset %d for group %s with empty "+
		"metadata", open.GetTopic(), open.GetPartition(), open.GetPosition(),
		open.GetPosition(), open.GetGroup())
}

// inheritTable finds the route of one table of the checkpoint and fences its stream, unless a clean checkpoint lets us
// adopt it.
func (l *lane) inheritTable(ctx context.Context, e *entry, clean bool) error {
	short := lastPart(e.Name, "/")
	for i, r := range l.open.GetRoutes() {
		if lastPart(r.GetTable(), ".") != short {
			continue
		}
		handle, err := l.service.Sink.Table(ctx, r)
		if err != nil {
			return l.sinkFault(fmt.Sprintf("prepare table %s", r.GetTable()), err)
		}
		if handle.Name() == e.Name {
			e.route, e.handle = i, handle
			break
		}
	}
	repeats := e.route >= 0 && l.open.GetRoutes()[e.route].GetDelivery() == lanev1.Delivery_DELIVERY_AT_LEAST_ONCE
	if e.Stream == "" || clean && e.route >= 0 && !repeats {
		return nil
	}
	// A clean stream that nothing routes to any more, or whose table is appended to at least once now, is finalized for
	// tidiness; that it is gone matters to nobody.
	rows, err := e.Rows, error(nil)
	if !mutant.Fence { // without: the checkpoint is believed, and older owners may go on
		rows, err = l.service.Sink.Finalize(ctx, e.Stream)
	}
	switch {
	case errors.Is(err, ErrStreamGone) && clean:
	case errors.Is(err, ErrStreamGone) && repeats:
		l.log.Warn("write stream is gone; what it took after the position is written again, as at least once allows",
			"stream", e.Stream, "rows", e.Rows)
	case errors.Is(err, ErrStreamGone):
		return fatal("write stream %s is gone (it expired, or table %s was deleted), so that nobody can tell how many "+
			"rows after position %d it took; the checkpoint counts %d rows in it. Way out: "+
			"%s", e.Stream, e.Name, l.open.GetPosition(), e.Rows, startAnew(l.open))
	case err != nil:
		return l.sinkFault("fence write stream "+e.Stream, err)
	case clean && rows > e.Rows: // its last owner had nothing under way
		return fatal("%s", foreign(e.Stream, e.Name, l.open))
	case rows < e.Rows:
		return fatal("write stream %s holds %d rows, but the checkpoint at position %d counts %d: rows that were "+
			"settled are missing from table %s, or the checkpoint is of another dataset. Nothing was written. "+
			"Compare the table with the topic below that position before committing anything else",
			e.Stream, rows, l.open.GetPosition(), e.Rows, e.Name)
	default:
		e.Drop += rows - e.Rows
	}
	e.Stream, e.Rows = "", 0
	return nil
}

// lastPart is what follows the last separator, a single byte; without one, it is all of s.
func lastPart(s, sep string) string {
	return s[strings.LastIndex(s, sep)+1:]
}

// takeOpened makes the outcome of the opening the lane's state and tells ingest.
func (l *lane) takeOpened(o *opened, err error) error {
	if err != nil {
		l.service.Metrics.opens.WithLabelValues("refused").Inc()
		return err
	}
	if l.service.Received != nil {
		l.shares = true
		l.service.Received.Raise(laneShare)
	}
	l.left = o.left
	opened := &lanev1.Opened{
		Writer: l.service.Name, Project: l.service.Project, Dataset: l.service.Dataset,
		Traces: l.service.Tracer.Enabled(),
		Limits: &lanev1.Limits{
			BlockBytes:    uint64(l.service.Limits.BlockBytes),
			WindowBytes:   uint64(l.service.Limits.WindowBytes),
			WindowBatches: uint32(l.service.Limits.WindowBatches),
		},
	}
	dropping := int64(0)
	for _, e := range o.entries {
		if e.route < 0 {
			continue
		}
		t := &l.tables[e.route]
		if err := l.name(e.route, e.handle); err != nil {
			return err
		}
		t.stream, t.settled, t.drop, t.toDrop = e.Stream, e.Rows, e.Drop, e.Drop
		t.fresh = t.stream != ""
		if t.drop > 0 {
			dropping += t.drop
			opened.Replay = append(opened.Replay, &lanev1.Replay{Route: uint32(e.route), Rows: uint64(t.drop)})
		}
	}
	slices.SortFunc(opened.Replay, func(a, b *lanev1.Replay) int { return int(a.Route) - int(b.Route) })
	shown := checkpoint.Checkpoint{LeftOut: l.left}
	opened.LeftOut = shown.Offsets()
	// An adopted lane begins at rest: until rows come, a crash leaves the next owner what we found. Without write
	// streams there is nothing to rest from.
	l.resting = o.outcome == "adopted" && l.counts
	token, err := l.encode(l.resting)
	if err != nil {
		return err
	}
	opened.Checkpoint = token
	l.awaiting, l.awaited = true, 0
	l.enter(awaitsDurable)
	l.service.Metrics.opens.WithLabelValues(o.outcome).Inc()
	l.say(func(log *slog.Logger) {
		log.Info("lane opened", "outcome", o.outcome, "position", l.position, "drop", dropping, "left_out",
			len(opened.LeftOut))
	})
	return l.send(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Opened{Opened: opened}})
}
