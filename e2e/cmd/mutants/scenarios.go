package main

import (
	"fmt"
	"syscall"
	"time"

	"github.com/waybill-data/waybill/sandbox/events"
)

// scenario is one misfortune that a protection is there for, arranged so that chance has no say: commits come on a
// timer of ten minutes unless they are awaited, one partition holds everything, and faults are placed, not drawn.
type scenario struct {
	name string
	// ingestYAML is appended to ingest's configuration.
	ingestYAML string
	act        func(w *world) error
}

const (
	// rarely commits on the timer never, within a scenario.
	rarely = "commit:\n  interval: 10m\n"
	// load is how many events a scenario produces. They fit into one batch unless the scenario makes batches small.
	load = 100
)

// killedBeforeCommit: rows are in BigQuery, the position behind them is not committed, ingest dies. The committed
// checkpoint must name their stream, and the next owner must ask BigQuery how many there are.
var killedBeforeCommit = scenario{
	name: "ingest killed before its commit", ingestYAML: rarely,
	act: func(w *world) error {
		if err := w.writeUncommitted(clean); err != nil {
			return err
		}
		return w.replaceIngest()
	},
}

// killedWithBadRecords: the same with dead letters between the rows, which must not be counted as rows.
var killedWithBadRecords = scenario{
	name: "ingest killed among bad records", ingestYAML: rarely,
	act: func(w *world) error {
		bad := clean
		bad.TruncatedEvery = 10
		if err := w.writeUncommitted(bad); err != nil {
			return err
		}
		return w.replaceIngest()
	},
}

// killedInReplay: the next owner knows what to drop and dies before its position has passed that.
var killedInReplay = scenario{
	name: "ingest killed again in its replay", ingestYAML: rarely,
	act: func(w *world) error {
		if err := w.writeUncommitted(clean); err != nil {
			return err
		}
		if err := w.replaceIngest(); err != nil {
			return err
		}
		if err := w.opened(); err != nil {
			return err
		}
		return w.replaceIngest()
	},
}

// commitsFenced: the coordinator takes ingest for a member of an older generation and commits nothing. What ingest then
// takes for durable is not.
var commitsFenced = scenario{
	name: "commits refused, then ingest killed", ingestYAML: rarely,
	act: func(w *world) error {
		if err := w.fault("kafka", map[string]any{
			"key": "OffsetCommit", "error": "ILLEGAL_GENERATION", "count": -1,
		}); err != nil {
			return err
		}
		if err := w.produce(load, clean); err != nil {
			return err
		}
		// Nothing may be written now, so there is nothing to wait for but the rows that must not come.
		if err := w.eventually(3*time.Second, func() error { return w.written(load) }); err != nil &&
			w.ctx.Err() != nil {
			return err
		}
		w.Ingests[0].Kill()
		if err := w.clear("kafka"); err != nil {
			return err
		}
		return w.startIngest()
	},
}

// repliesLost: connections break after the first of several appends was written, and its reply is lost.
var repliesLost = scenario{
	name: "replies to appends lost", ingestYAML: "batch:\n  rows: 10\n",
	act: func(w *world) error {
		if err := w.fault("bigquery", map[string]any{
			"kind": "latency", "method": "append",
			"delay": "30ms",
		}); err != nil {
			return err
		}
		if err := w.fault("bigquery", map[string]any{"kind": "lost_reply", "count": 3}); err != nil {
			return err
		}
		if err := w.frozen(func() error { return w.produce(load, clean) }); err != nil {
			return err
		}
		return w.eventually(patience, func() error { return w.written(load) })
	},
}

// twins: two groups start from one clean checkpoint, as when offsets are copied to another group, and so adopt one
// write stream. The first writes a part of what the second sends for the same offset in the stream. The second lane is
// refused, since the stream holds rows that are none of its own; the first one carries on.
var twins = scenario{
	name: "two groups with one checkpoint", ingestYAML: rarely,
	act: func(w *world) error {
		if err := w.produce(load, clean); err != nil {
			return err
		}
		if err := w.settled(w.Ingests[0]); err != nil {
			return err
		}
		if err := w.Ingests[0].Stop(20 * time.Second); err != nil {
			return err
		}
		twin, err := w.twin()
		if err != nil {
			return err
		}
		if err := twin.Start(); err != nil {
			return err
		}
		if err := w.openedBy(twin); err != nil {
			return err
		}
		if err := w.produce(load/10, clean); err != nil {
			return err
		}
		if err := w.settled(twin); err != nil {
			return err
		}
		twin.Kill()
		if err := w.produce(load, clean); err != nil {
			return err
		}
		if err := w.startIngest(); err != nil {
			return err
		}
		if refused, err := w.refused(w.Ingests[0]); err != nil || !refused {
			return err
		}
		w.Ingests[0].Kill()
		// From here on the admin port of ingest is the twin's.
		if err := twin.Start(); err != nil {
			return err
		}
		return w.settled(twin)
	},
}

// clean is a mix without bad records.
var clean = events.Config{Size: 4000, TruncatedEvery: -1, UnknownTypeEvery: -1}

// writeUncommitted gets rows written whose position is not committed: ingest finds all the records at once, so that no
// barrier after the first rows moves the committed position.
func (w *world) writeUncommitted(mix events.Config) error {
	if err := w.frozen(func() error { return w.produce(load, mix) }); err != nil {
		return err
	}
	return w.eventually(patience, func() error { return w.written(load - w.bad) })
}

// replaceIngest ends ingest as a crash does, and starts it again.
func (w *world) replaceIngest() error {
	w.Ingests[0].Kill()
	return w.startIngest()
}

// frozen does something while ingest stands still.
func (w *world) frozen(f func() error) error {
	if err := w.Ingests[0].Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	err := f()
	if cont := w.Ingests[0].Signal(syscall.SIGCONT); err == nil {
		err = cont
	}
	if err != nil {
		return fmt.Errorf("while ingest stands still: %w", err)
	}
	return nil
}
