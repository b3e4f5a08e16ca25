package stack

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// Families of faults: who misbehaves.
const (
	BigQuery = "bigquery"
	Kafka    = "kafka"
	Registry = "registry"
)

// Fault makes a family misbehave; docs/sandbox.md says how.
func (s *Stack) Fault(ctx context.Context, family string, fault map[string]any) error {
	return s.faults(ctx, http.MethodPost, family, "", fault, nil)
}

// Faults reads those of a family into a pointer to a slice.
func (s *Stack) Faults(ctx context.Context, family string, into any) error {
	return s.faults(ctx, http.MethodGet, family, "", nil, into)
}

// ClearFaults lifts the fault of a family with this id, or all of them where id is empty.
func (s *Stack) ClearFaults(ctx context.Context, family, id string) error {
	query := ""
	if id != "" {
		query = "?" + url.Values{"id": {id}}.Encode()
	}
	return s.faults(ctx, http.MethodDelete, family, query, nil, nil)
}

func (s *Stack) faults(ctx context.Context, method, family, query string, fault map[string]any, into any) error {
	var body any
	if fault != nil {
		body = fault
	}
	text, err := call(ctx, method, "http://"+s.Endpoints.Admin+"/"+family+"/faults"+query, body)
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(text, into)
}
