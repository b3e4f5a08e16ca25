package statuspage

import (
	"context"
	"net/http"
	"net/url"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/waybill-data/waybill/pkg/fleetview"
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
	r, err := p.view.ListTables(ctx, &adminv1.ListTablesRequest{Name: name})
	if err != nil {
		return nil, err
	}
	if name == "" || len(r.GetTables()) == 0 {
		return nil, status.Errorf(codes.NotFound, "no lane that was asked feeds a table %q; the Tables page lists "+
			"those that there are", name)
	}
	lanes, err := p.view.ListLanes(ctx, &adminv1.ListLanesRequest{Table: name, Limit: mostLanes})
	if err != nil {
		return nil, err
	}
	contracts, err := p.view.ListContracts(ctx, &adminv1.ListContractsRequest{Local: true, Table: name})
	if err != nil {
		return nil, err
	}
	own := contracts.GetContracts()
	grown, err := p.grown(ctx, r.GetTables()[0].GetTopics())
	if err != nil {
		return nil, err
	}
	drift, err := p.view.GetDrift(ctx, &adminv1.GetDriftRequest{Table: name})
	said := ""
	if err != nil {
		said = status.Convert(err).Message()
	}
	return map[string]any{
		"Table": r.GetTables()[0], "Response": r, "Lanes": lanes, "Contracts": own[:min(len(own), mostOfATable)],
		"Drift": drift, "DriftError": said, "Grown": grown,
	}, nil
}

// mostOfATable bounds the contracts of a table that are listed with their columns.
const mostOfATable = 5

// grown are the events of contracts of topics that have grown, and of their tables.
func (p *page) grown(ctx context.Context, topics []string) (*adminv1.ListEventsResponse, error) {
	out := new(adminv1.ListEventsResponse)
	for _, topic := range topics[:min(len(topics), mostOfATable)] {
		r, err := p.view.ListEvents(ctx, &adminv1.ListEventsRequest{Topic: topic, Filter: "the contract has grown"})
		if err != nil {
			return nil, err
		}
		out.Events = append(out.Events, r.GetEvents()...)
	}
	return out, nil
}

func contracts(ctx context.Context, p *page, _ url.Values) (any, error) {
	r, err := p.view.ListContracts(ctx, &adminv1.ListContractsRequest{})
	if err != nil {
		return nil, err
	}
	all := r.GetContracts()
	return map[string]any{
		"Response": r, "All": all, "Contracts": all[:min(len(all), mostTables)], "Unknown": r.GetUnknown(),
	}, nil
}

func lane(ctx context.Context, p *page, query url.Values) (any, error) {
	topic := query.Get("topic")
	number, err := partition(query)
	if err != nil {
		return nil, err
	}
	if topic == "" || number == nil {
		return nil, status.Error(codes.InvalidArgument,
			"a lane has a topic and a partition; the page of its table lists it")
	}
	r, err := p.view.ListLanes(ctx, &adminv1.ListLanesRequest{Topic: topic, Partition: number})
	if err != nil {
		return nil, err
	}
	if len(r.GetLanes()) == 0 {
		return nil, status.Errorf(codes.NotFound, "nobody that was asked carries %s/%d: the group may be "+
			"rebalancing, or its ingest does not respond (see Fleet)", topic, *number)
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
	r, err := p.events(ctx, query)
	return map[string]any{"Response": r, "Events": r, "Filter": query.Get("filter"), "Topic": query.Get("topic")}, err
}

func (p *page) events(ctx context.Context, query url.Values) (*adminv1.ListEventsResponse, error) {
	return p.view.ListEvents(ctx, &adminv1.ListEventsRequest{
		Topic: query.Get("topic"), Filter: query.Get("filter"), Limit: mostEvents,
	})
}

// eventsJSON is the events of the page for machines: the JSON of admin.v1.
func (p *page) eventsJSON(w http.ResponseWriter, r *http.Request) {
	said, err := p.events(r.Context(), r.URL.Query())
	if err != nil {
		http.Error(w, status.Convert(err).Message(), codeOf(err))
		return
	}
	text, err := protojson.Marshal(said)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	secure(w)
	w.Header().Set("Content-Type", "application/json")
	w.Write(text) //nolint:errcheck // The reader went away.
}

func letters(ctx context.Context, p *page, _ url.Values) (any, error) {
	r, err := p.view.ListDeadLetters(ctx, &adminv1.ListDeadLettersRequest{})
	if err != nil {
		return nil, err
	}
	var sum, hour uint64
	for _, c := range r.GetCounts() {
		sum, hour = sum+c.GetCount(), hour+c.GetHour()
	}
	kinds := len(r.GetCounts())
	return map[string]any{
		"Response": r, "Counts": r.GetCounts()[:min(kinds, mostKinds)], "Kinds": kinds, "Sum": sum, "Hour": hour,
	}, nil
}

func replays(ctx context.Context, p *page, _ url.Values) (any, error) {
	r, err := p.view.ListReplays(ctx, &adminv1.ListReplaysRequest{})
	if err != nil {
		return nil, err
	}
	running := 0
	for _, one := range r.GetReplays() {
		if one.GetState() == fleetview.Running {
			running++
		}
	}
	return map[string]any{"Response": r, "Running": running}, nil
}
