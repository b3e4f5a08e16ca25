package ingest

import (
	"log/slog"
	"slices"
	"time"

	"github.com/waybill-data/waybill/pkg/fleetview"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
	"github.com/waybill-data/waybill/services/ingest/internal/steering"
)

// steering is what this ingest serves for acts.
func (l *local) steering(
	view *fleetview.View, entries *source.Entries, reloads *reloader, log *slog.Logger,
) *steering.Server {
	server := (&steering.Server{
		View: view, Contracts: tables{l.lanes}, Partitions: entries.Partitions, Positions: entries,
		Pauses: l.lanes.pauses, Keep: entries.Write, Writers: l.fleet, Reloads: reloads, Lanes: l.lanes, Log: log,
		Letters: &letterReplays{l.config, l.lanes}, Replayer: &topicReplays{l.config, log},
	}).Ready()
	kept := &keptReplays{group: l.config.Kafka.Group, entries: entries, topics: tables{l.lanes}.Topics}
	view.Replays = fleetview.Replays{Own: server.Replays, Kept: kept.list}
	return server
}

// tables are what the contracts in use say of topics and tables: steering.Contracts, overview.Goals.
type tables struct{ lanes *roster }

// Topics implements steering.Contracts.
func (t tables) Topics() ([]string, bool) {
	set := t.lanes.loaded()
	if set == nil {
		return nil, false
	}
	topics := slices.Clone(set.Topics())
	for _, l := range t.lanes.list() {
		topics = append(topics, l.Partition.Topic()) // of patterns
	}
	slices.Sort(topics)
	return slices.Compact(topics), true
}

// Tables implements steering.Contracts and overview.Goals.
func (t tables) Tables(topic string) []string {
	if found := t.lanes.loaded().Topic(topic); found != nil {
		return found.Tables()
	}
	return nil
}

// Freshness implements overview.Goals.
func (t tables) Freshness(topic, table string) (goal, stale time.Duration) {
	if found := t.lanes.loaded().Topic(topic); found != nil {
		return found.Freshness(table)
	}
	return 0, 0
}

// Skip implements steering.Lanes.
func (r *roster) Skip(topic string, partition int32) (steering.Skipper, bool) {
	for _, l := range r.list() {
		if l.Partition.Topic() == topic && l.Partition.Number() == partition {
			return l, true
		}
	}
	return nil, false
}
