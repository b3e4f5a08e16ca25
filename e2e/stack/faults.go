package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
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
	var body []byte
	if fault != nil {
		var err error
		if body, err = json.Marshal(fault); err != nil {
			return err
		}
	}
	address := "http://" + s.Endpoints.Admin + "/" + family + "/faults" + query
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode/100 != 2:
		return fmt.Errorf("%s %s %s: %s: %s", method, address, body, response.Status, text)
	case into != nil:
		return json.Unmarshal(text, into)
	}
	return nil
}
