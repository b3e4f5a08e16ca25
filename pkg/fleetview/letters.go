package fleetview

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// sumLetters adds up what processes say of the same kind.
func sumLetters(counts []*adminv1.DeadLetterCount) []*adminv1.DeadLetterCount {
	type key struct{ topic, reason, contract, itemType, field string }
	sums := map[key]*adminv1.DeadLetterCount{}
	var out []*adminv1.DeadLetterCount
	for _, c := range counts {
		k := key{c.GetTopic(), c.GetReason(), c.GetContract(), c.GetType(), c.GetField()}
		sum := sums[k]
		if sum == nil {
			sums[k] = c
			out = append(out, c)
			continue
		}
		sum.Count += c.GetCount()
		sum.Hour += c.GetHour()
		if earlier(c.First, sum.First) {
			sum.First = c.First
		}
		if earlier(sum.Last, c.Last) {
			sum.Last = c.Last
		}
		if sum.Sample == nil {
			sum.Sample = c.Sample
		}
	}
	return out
}

// withoutBytes takes the contents of records out, and what errors may say of them stays: they are in the log as well.
func withoutBytes(counts []*adminv1.DeadLetterCount) []*adminv1.DeadLetterCount {
	for _, c := range counts {
		if c.Sample != nil {
			c.Sample.Excerpt = nil
		}
	}
	return counts
}

func earlier(a, b *timestamppb.Timestamp) bool {
	return a != nil && (b == nil || a.AsTime().Before(b.AsTime()))
}
