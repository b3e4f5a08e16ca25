package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Fetch is what an address responds to a GET. It waits for as long as ctx lets it. Another status than 200 is an error.
func Fetch(ctx context.Context, url string) ([]byte, error) {
	return call(ctx, http.MethodGet, url, nil)
}

// call makes a request, with a body in JSON unless that is nil, and returns the body of the response. It waits for as
// long as ctx lets it. Another status than one of 2xx is an error that quotes the beginning of the body.
func call(ctx context.Context, method, url string, body any) ([]byte, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", method, url, err)
	case response.StatusCode/100 != 2:
		return nil, fmt.Errorf("%s %s %s: %s: %.1000s", method, url, text, response.Status, bytes.TrimSpace(said))
	}
	return said, nil
}

// Stats are what the sandbox's BigQuery has counted since it was started. Asking costs the services nothing.
type Stats struct {
	// Rows are those that it has taken, Appends the requests that brought them.
	Rows    int64 `json:"rows"`
	Appends int64 `json:"appends"`
	// StreamsCreated and StreamsFinalized are write streams.
	StreamsCreated   int64 `json:"streams_created"`
	StreamsFinalized int64 `json:"streams_finalized"`
}

// Stats reads them.
func (s *Stack) Stats(ctx context.Context) (stats Stats, err error) {
	text, err := Fetch(ctx, "http://"+s.Endpoints.Admin+"/bigquery/stats")
	if err == nil {
		err = json.Unmarshal(text, &stats)
	}
	return stats, err
}

// CreateTable makes a table of the dataset, of fields as BigQuery's REST API has them.
func (s *Stack) CreateTable(ctx context.Context, table string, fields any) error {
	_, err := call(ctx, http.MethodPost, s.rest("/datasets/"+Dataset+"/tables"), map[string]any{
		"tableReference": map[string]string{"projectId": Project, "datasetId": Dataset, "tableId": table},
		"schema":         map[string]any{"fields": fields},
	})
	return err
}

// rest is the address of a path of BigQuery's REST API below the project.
func (s *Stack) rest(path string) string {
	return "http://" + s.Endpoints.BigQueryREST + "/bigquery/v2/projects/" + Project + path
}
