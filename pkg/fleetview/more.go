package fleetview

import (
	"cmp"
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// Price is what dollars a day are reckoned by: what Google lists for the Storage Write API. The 2 TiB a month that are
// free are not taken off.
const Price = "$0.025 a GiB of rows, BigQuery's list price for the Storage Write API " +
	"(cloud.google.com/bigquery/pricing, 2025) without the free 2 TiB a month"

// DollarsPerByte is Price as a number.
const DollarsPerByte = 0.025 / (1 << 30)

// mostUnknown bounds the list of unknown types.
const mostUnknown = 200

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

// ListContracts implements adminv1.AdminServiceServer.
func (v *View) ListContracts(
	ctx context.Context, r *adminv1.ListContractsRequest,
) (*adminv1.ListContractsResponse, error) {
	out := &adminv1.ListContractsResponse{Responses: []*adminv1.ProcessResponse{v.Self}}
	own, unknown := v.Local.Contracts(r.GetTable())
	for _, c := range own {
		c.Processes = []string{v.Self.GetProcess()}
	}
	out.Contracts = own
	if !r.GetLocal() {
		var said []*adminv1.ListContractsResponse
		said, out.Responses = gather(ctx, v, peers(ctx, v.Ingests),
			func(ctx context.Context, c adminv1.AdminServiceClient) (*adminv1.ListContractsResponse, error) {
				return c.ListContracts(ctx, &adminv1.ListContractsRequest{Local: true, Table: r.GetTable()})
			})
		for _, s := range said {
			for _, c := range s.GetContracts() {
				out.Contracts = alike(out.Contracts, c)
			}
			unknown = append(unknown, s.GetUnknown()...)
		}
	}
	slices.SortStableFunc(out.Contracts, func(a, b *adminv1.LoadedContract) int {
		return cmp.Or(cmp.Compare(a.GetTopic()+a.GetTopicPattern(), b.GetTopic()+b.GetTopicPattern()),
			cmp.Compare(a.GetName(), b.GetName()))
	})
	out.Unknown = sumUnknown(unknown)
	return out, nil
}

// alike adds a contract, or its process to the same one of others. Which schemas were met does not tell them apart.
func alike(all []*adminv1.LoadedContract, c *adminv1.LoadedContract) []*adminv1.LoadedContract {
	plain := func(c *adminv1.LoadedContract) *adminv1.LoadedContract {
		c = proto.CloneOf(c)
		c.Processes, c.Schemas = nil, nil
		return c
	}
	for _, has := range all {
		if has.GetName() == c.GetName() && proto.Equal(plain(has), plain(c)) {
			has.Processes = append(has.Processes, c.GetProcesses()...)
			has.Schemas = append(has.Schemas, c.GetSchemas()...)
			slices.Sort(has.Schemas)
			has.Schemas = slices.Compact(has.Schemas)
			return all
		}
	}
	return append(all, c)
}

func sumUnknown(unknown []*adminv1.UnknownType) []*adminv1.UnknownType {
	slices.SortFunc(unknown, func(a, b *adminv1.UnknownType) int {
		return cmp.Or(cmp.Compare(a.GetTopic(), b.GetTopic()), cmp.Compare(a.GetType(), b.GetType()))
	})
	var out []*adminv1.UnknownType
	for _, u := range unknown {
		if n := len(out); n > 0 && out[n-1].GetTopic() == u.GetTopic() && out[n-1].GetType() == u.GetType() {
			out[n-1].Count += u.GetCount()
			continue
		}
		out = append(out, u)
	}
	slices.SortStableFunc(out, func(a, b *adminv1.UnknownType) int { return cmp.Compare(b.GetCount(), a.GetCount()) })
	return out[:min(len(out), mostUnknown)]
}

// GetDrift implements adminv1.AdminServiceServer.
func (v *View) GetDrift(ctx context.Context, r *adminv1.GetDriftRequest) (*adminv1.GetDriftResponse, error) {
	return v.Local.Drift(ctx, r.GetTable())
}

// worstOf joins what processes say of the same table's past: at each time the worst counts.
func worstOf(a, b []*adminv1.StateInterval) []*adminv1.StateInterval {
	var edges []time.Time
	for _, s := range slices.Concat(a, b) {
		edges = append(edges, s.GetFrom().AsTime(), s.GetUntil().AsTime())
	}
	slices.SortFunc(edges, time.Time.Compare)
	edges = slices.CompactFunc(edges, time.Time.Equal)
	at := func(list []*adminv1.StateInterval, t time.Time) *adminv1.StateInterval {
		for _, s := range list {
			if !t.Before(s.GetFrom().AsTime()) && t.Before(s.GetUntil().AsTime()) {
				return s
			}
		}
		return nil
	}
	var out []*adminv1.StateInterval
	for i := 0; i+1 < len(edges); i++ {
		one, other := at(a, edges[i]), at(b, edges[i])
		if one == nil || other != nil && rank(other.GetState()) > rank(one.GetState()) {
			one = other
		}
		if one == nil {
			continue
		}
		if n := len(out); n > 0 && out[n-1].GetUntil().AsTime().Equal(edges[i]) &&
			out[n-1].GetState() == one.GetState() &&
			out[n-1].GetCause() == one.GetCause() {
			out[n-1].Until = timestamppb.New(edges[i+1])
			continue
		}
		out = append(out, &adminv1.StateInterval{
			From: timestamppb.New(edges[i]), Until: timestamppb.New(edges[i+1]), State: one.GetState(),
			Cause: one.GetCause(),
		})
	}
	return out
}

// longer is the longer of two durations that may be absent.
func longer[D interface{ AsDuration() time.Duration }](a, b D, absentA, absentB bool) D {
	if absentA || !absentB && b.AsDuration() > a.AsDuration() {
		return b
	}
	return a
}
