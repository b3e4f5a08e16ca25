package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Place is where a row comes from.
type Place struct {
	Topic     string
	Partition int32
	Offset    int64
	// Stream is the end of the name of the write stream that has it, and Row its offset there.
	Stream string
	Row    int64
}

// EachPlace calls f for each row of a table of the dataset, with the record that it was.
func (s *Stack) EachPlace(ctx context.Context, table string, f func(Place)) error {
	query := url.Values{"table": {Dataset + "." + table}}
	body, err := get(ctx, "http://"+s.Endpoints.Admin+"/bigquery/rows?"+query.Encode())
	if err != nil {
		return err
	}
	defer body.Close()
	for rows := json.NewDecoder(body); ; {
		var place Place
		switch err := rows.Decode(&place); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("rows of %s: %w", table, err)
		}
		f(place)
	}
}

// Value is the only value that a query gives, as text.
func (s *Stack) Value(ctx context.Context, sql string) (string, error) {
	text, err := call(ctx, http.MethodPost, s.rest("/queries"), map[string]any{"query": sql, "useLegacySql": false})
	if err != nil {
		return "", err
	}
	var result struct {
		Rows []struct{ F []struct{ V string } }
	}
	if err := json.Unmarshal(text, &result); err != nil || len(result.Rows) != 1 {
		return "", fmt.Errorf("%s: %s", sql, text)
	}
	return result.Rows[0].F[0].V, nil
}
