package ingest

import (
	"log/slog"
	"slices"

	"github.com/waybill-data/waybill/pkg/fleetview"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
	"github.com/waybill-data/waybill/services/ingest/internal/steering"
)

// steering is what this ingest serves for acts.
func (l *local) steering(
	view *fleetview.View, entries *source.Entries, reloads *reloader, log *slog.Logger,
) *steering.Server {
	server := (&steering.Server{
		View: view, Contracts: steered{l.lanes}, Partitions: entries.Partitions, Positions: entries,
		Pauses: l.lanes.pauses, Keep: entries.Write, Writers: l.fleet, Reloads: reloads, Lanes: l.lanes, Log: log,
		Letters: &letterReplays{l.config, l.lanes}, Replayer: &topicReplays{l.config, log},
	}).Ready()
	kept := &keptReplays{group: l.config.Kafka.Group, entries: entries, topics: steered{l.lanes}.Topics}
	view.Replays = fleetview.Replays{Own: server.Replays, Kept: kept.list}
	return server
}

// steered is what acts may name: steering.Contracts.
type steered struct{ lanes *roster }

// Topics implements steering.Contracts.
func (s steered) Topics() ([]string, bool) {
	set := s.lanes.loaded()
	if set == nil {
		return nil, false
	}
	topics := slices.Clone(set.Topics())
	for _, l := range s.lanes.list() {
		topics = append(topics, l.Partition.Topic()) // of patterns
	}
	slices.Sort(topics)
	return slices.Compact(topics), true
}

// Tables implements steering.Contracts.
func (s steered) Tables(topic string) []string {
	if t := s.lanes.loaded().Topic(topic); t != nil {
		return t.Tables()
	}
	return nil
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
