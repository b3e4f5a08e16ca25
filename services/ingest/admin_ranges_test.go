package ingest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/waybill-data/waybill/services/ingest/internal/placement"
)

func TestRangesOfPartitions(t *testing.T) {
	var lanes []placement.LaneID
	for _, l := range []struct {
		topic      string
		partitions []int32
	}{{"a", []int32{0, 1, 2, 5, 7, 8}}, {"b", []int32{3}}, {"c", []int32{4, 5}}} {
		for _, p := range l.partitions {
			lanes = append(lanes, placement.LaneID{Topic: l.topic, Partition: p})
		}
	}
	if diff := cmp.Diff([]string{"a/0-2,5,7-8", "b/3", "c/4-5"}, ranges(lanes)); diff != "" {
		t.Error(diff)
	}
	if got := ranges(nil); got != nil {
		t.Errorf("%q", got)
	}
}
