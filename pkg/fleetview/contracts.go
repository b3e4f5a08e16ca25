package fleetview

import (
	"cmp"
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// mostUnknown bounds the list of unknown types.
const mostUnknown = 200

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
