package fleetview

import (
	"testing"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// Lanes are shown without the names of their write streams to those who are no operators, and those at hand keep them.
func TestStreamsAreMasked(t *testing.T) {
	lane := &adminv1.Lane{Topic: "orders", Checkpoint: &adminv1.Checkpoint{Position: 7, Streams: []*adminv1.Stream{
		{Table: "t", Stream: "projects/p/datasets/d/tables/t/streams/s", Rows: 3},
	}}}
	got := masked([]*adminv1.Lane{lane})[0]
	if s := got.GetCheckpoint().GetStreams()[0]; s.GetStream() != "" || s.GetRows() != 3 || got.GetTopic() != "orders" {
		t.Errorf("got %v", got)
	}
	if lane.GetCheckpoint().GetStreams()[0].GetStream() == "" {
		t.Error("the lane at hand has lost its stream")
	}
}
