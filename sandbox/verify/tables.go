package verify

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// tables reads the rows through the sandbox's admin port.
type tables struct {
	base   string
	client *http.Client
}

// tableRow is where one row comes from, and the write stream that it is in.
type tableRow struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Stream    string `json:"stream"`
}

var errAbsent = errors.New("not there")

// each calls yield for every row of the table, in the order of each stream. A table that does not exist has no rows.
func (t *tables) each(ctx context.Context, table string, yield func(tableRow)) error {
	body, err := t.get(ctx, "/bigquery/rows", url.Values{"table": {table}})
	if errors.Is(err, errAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		var row tableRow
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return fmt.Errorf("rows of %s: %w", table, err)
		}
		yield(row)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("rows of %s: %w", table, err)
	}
	return nil
}

// row fetches one row as JSON, with numbers left as they are written.
func (t *tables) row(ctx context.Context, table, topic string, partition int32, offset int64) (map[string]any, error) {
	body, err := t.get(ctx, "/bigquery/row", url.Values{
		"table": {table}, "topic": {topic},
		"partition": {strconv.Itoa(int(partition))}, "offset": {strconv.FormatInt(offset, 10)},
	})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	decoder := json.NewDecoder(body)
	decoder.UseNumber()
	var row map[string]any
	if err := decoder.Decode(&row); err != nil {
		return nil, fmt.Errorf("row %s/%d/%d of %s: %w", topic, partition, offset, table, err)
	}
	return row, nil
}

func (t *tables) get(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.base+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("sandbox's admin port: %w", err)
	}
	response, err := t.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("sandbox's admin port: %w", err)
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return nil, errAbsent
	}
	text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10)) // only to say more
	return nil, fmt.Errorf("sandbox's admin port: %s: %s %s", path, response.Status, strings.TrimSpace(string(text)))
}
