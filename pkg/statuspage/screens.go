package statuspage

import (
	"context"
	"net/url"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

func tables(ctx context.Context, p *page, query url.Values) (any, error) {
	r, err := p.view.ListTables(ctx, &adminv1.ListTablesRequest{Filter: query.Get("filter")})
	if err != nil {
		return nil, err
	}
	states := map[string]int{}
	for _, t := range r.GetTables() {
		states[stateName(t.GetState())]++
	}
	list := r.GetTables()
	return map[string]any{
		"Response": r, "Tables": list[:min(len(list), mostTables)], "Total": len(list), "States": states,
		"Filter": query.Get("filter"),
	}, nil
}

func table(ctx context.Context, p *page, query url.Values) (any, error) {
	name := query.Get("name")
	r, err := p.view.ListTables(ctx, &adminv1.ListTablesRequest{})
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(r.GetTables(), func(t *adminv1.Table) bool { return t.GetName() == name })
	if at < 0 {
		return nil, status.Errorf(codes.NotFound, "no lane that was asked feeds a table %q; the Tables page lists those "+
			"that there are", name)
	}
	lanes, err := p.view.ListLanes(ctx, &adminv1.ListLanesRequest{Table: name, Limit: mostLanes})
	if err != nil {
		return nil, err
	}
	return map[string]any{"Table": r.GetTables()[at], "Response": r, "Lanes": lanes}, nil
}

func lane(ctx context.Context, p *page, query url.Values) (any, error) {
	topic := query.Get("topic")
	number, err := partition(query)
	if err != nil {
		return nil, err
	}
	if topic == "" || number == nil {
		return nil, status.Error(codes.InvalidArgument, "a lane has a topic and a partition; the page of its table lists it")
	}
	r, err := p.view.ListLanes(ctx, &adminv1.ListLanesRequest{Topic: topic, Partition: number})
	if err != nil {
		return nil, err
	}
	if len(r.GetLanes()) == 0 {
		return nil, status.Errorf(codes.NotFound, "nobody that was asked carries %s/%d: the group may be rebalancing, or "+
			"its ingest does not answer (see Fleet)", topic, *number)
	}
	log, err := p.view.ListEvents(ctx, &adminv1.ListEventsRequest{Topic: topic, Partition: number, Limit: 50})
	if err != nil {
		return nil, err
	}
	return map[string]any{"Lane": r.GetLanes()[0], "Others": r.GetLanes()[1:], "Response": r, "Events": log}, nil
}

func fleet(ctx context.Context, p *page, _ url.Values) (any, error) {
	r, err := p.view.GetFleet(ctx, &adminv1.GetFleetRequest{})
	return map[string]any{"Response": r}, err
}

func happened(ctx context.Context, p *page, query url.Values) (any, error) {
	r, err := p.view.ListEvents(ctx, &adminv1.ListEventsRequest{
		Topic: query.Get("topic"), Filter: query.Get("filter"), Limit: mostEvents,
	})
	return map[string]any{"Response": r, "Events": r, "Filter": query.Get("filter")}, err
}

func letters(ctx context.Context, p *page, _ url.Values) (any, error) {
	r, err := p.view.ListDeadLetters(ctx, &adminv1.ListDeadLettersRequest{})
	if err != nil {
		return nil, err
	}
	var sum uint64
	for _, c := range r.GetCounts() {
		sum += c.GetCount()
	}
	return map[string]any{"Response": r, "Counts": r.GetCounts()[:min(len(r.GetCounts()), mostLanes)], "Sum": sum}, nil
}
