package lane

import (
	"errors"
	"time"

	"github.com/waybill-data/waybill/pkg/mutant"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// advance does all that can be done now: append what the durable checkpoint explains, and raise one barrier for what it
// does not.
func (l *lane) advance() error {
	if l.phase < streaming {
		return nil
	}
	if l.ending != nil && l.durable >= l.endsAt {
		return l.ending
	}
	blocked := false
	for settled := true; settled; {
		if err := l.leaveOutRefused(); err != nil {
			return err
		}
		var err error
		if blocked, err = l.launch(); err != nil {
			return err
		}
		// A moved position may let parked offsets in: once more.
		if settled, err = l.settle(); err != nil {
			return err
		}
	}
	need := blocked || l.wanted > l.durable
	if l.halfClosed && l.ending != nil {
		// Nobody will respond. Ingest may commit the checkpoint all the same.
		if err := l.raise(); err != nil {
			return err
		}
		return l.ending
	}
	if l.halfClosed && len(l.window) > 0 && (need || len(l.refusals) > 0) {
		return aborted("the call was half-closed while batch %d awaited a response of ingest (a barrier or refused "+
			"rows); open the lane again", l.window[0].sequence)
	}
	if need && !l.awaiting && !l.halfClosed {
		return l.raise()
	}
	return nil
}

// launch appends held batches, oldest first. blocked: the next one waits for nothing but a newer durable checkpoint.
func (l *lane) launch() (blocked bool, err error) {
	for l.launched < len(l.window) && l.ending == nil {
		b := l.window[l.launched]
		if b.open == 0 { // nothing to append: its position needs no barrier
			l.launched++
			continue
		}
		for len(l.parked) > 0 && l.parked[0].before <= b.sequence {
			limit := l.service.Limits.CheckpointBytes
			if l.launched == 0 {
				limit = checkpoint.MaxBytes
			}
			if !l.leaveOut(l.parked[0].offsets, limit) {
				if l.launched > 0 { // settle the window first
					return false, nil
				}
				return false, invalid("left_out.offsets: %d offsets do not fit in a checkpoint; send an Append that "+
					"passes some of them first", len(l.parked[0].offsets))
			}
			l.unpark()
			l.hold()
		}
		needs := b.needs
		for i := range b.blocks {
			if b.blocks[i].rows == 0 {
				continue
			}
			t := &l.tables[b.blocks[i].table]
			if t.appender == nil { // being created
				return false, nil
			}
			needs = max(needs, t.version)
		}
		if needs > l.durable {
			return true, nil
		}
		for i := range b.blocks {
			if bl := &b.blocks[i]; bl.rows > 0 {
				data := bl.data
				bl.data = nil
				l.tables[bl.table].appender.Append(b.sequence, bl.rows, data)
			}
		}
		b.launched = time.Now().UnixNano()
		b.traced.launched()
		l.launched++
	}
	return false, nil
}

// hold takes a version that every row not yet appended needs.
func (l *lane) hold() {
	l.floor = l.change()
	for _, b := range l.window[l.launched:] {
		b.needs = l.floor
	}
}

// raise sends the barrier.
func (l *lane) raise() error {
	token, err := l.encode(l.resting)
	if err != nil {
		return err
	}
	l.barrier++
	l.awaiting, l.awaited = true, l.version
	l.service.Metrics.barriers.Inc()
	return l.send(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Checkpoint{Checkpoint: &lanev1.Checkpoint{
		Barrier: l.barrier, Position: l.position, Checkpoint: token,
	}}})
}

// checkpointIdle makes a clean checkpoint durable: the lane has been idle.
func (l *lane) checkpointIdle() {
	if l.phase != streaming || l.resting || l.halfClosed || len(l.window) > 0 || len(l.refusals) > 0 ||
		l.ending != nil {
		return
	}
	streams := false
	for _, i := range l.named {
		t := &l.tables[i]
		if t.stream != "" {
			t.fresh, streams = true, true
		}
	}
	if streams {
		l.resting = true
		l.wanted = l.change()
	}
}

// leaveOut adds offsets to those left out, unless the checkpoint would outgrow a size.
func (l *lane) leaveOut(offsets []int64, limit int) bool {
	l.left = after(l.left, l.position)
	before := l.left
	l.left = union(l.left, offsets)
	if l.snapshot(l.resting); within(l.left, l.position, 1<<63-1) <= checkpoint.MaxLeftOut &&
		l.encoder.Size(&l.shown) <= limit {
		return true
	}
	l.left = before
	return false
}

// snapshot shows the lane's state at its position.
func (l *lane) snapshot(clean bool) {
	l.left = after(l.left, l.position)
	tables := l.shown.Tables[:0]
	for _, i := range l.named {
		t := &l.tables[i]
		drop := t.drop
		if mutant.ResidualDrop { // a checkpoint forgets the rows still to be dropped
			drop = 0
		}
		if t.stream != "" || drop > 0 {
			tables = append(tables, checkpoint.Table{
				Name: t.name, Stream: t.stream, Rows: t.settled, Drop: drop, Tainted: t.tainted,
			})
			clean = clean && !t.tainted
		}
	}
	l.shown = checkpoint.Checkpoint{
		Clean:   clean,
		Cluster: l.open.GetCluster(), Topic: l.open.GetTopic(), Partition: l.open.GetPartition(),
		Position: l.position, Routing: l.open.GetRouting(), LeftOut: l.left, Tables: tables,
	}
	if mutant.LeftOut { // a checkpoint forgets which records are no rows
		l.shown.LeftOut = nil
	}
}

// encode is the checkpoint at the lane's position.
func (l *lane) encode(clean bool) (string, error) {
	l.snapshot(clean)
	token, err := l.encoder.Append(l.token[:0], &l.shown)
	var large *checkpoint.TooLargeError
	switch {
	case errors.As(err, &large):
		return "", fatal("%v, the bound of Kafka's offset metadata, with %d tables and %d ranges of left-out offsets. "+
			"Route fewer types of the topic to tables of their own, or lower the batch size of "+
			"ingest", err, len(l.shown.Tables), len(l.left))
	case err != nil:
		return "", fatal("%v; this is a fault of the writer: report it", err)
	}
	token = l.service.Keys.Seal(token, ownerOf(l.open))
	l.token = token
	return string(token), nil
}
