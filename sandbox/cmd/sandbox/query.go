package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/bigquery"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"

	"github.com/waybill-data/waybill/sandbox/internal/table"
)

type queryCommand struct {
	connection
	SQL     string        `arg:"" optional:"" name:"sql" help:"The query, in BigQuery's SQL. Tables without a dataset are those of waybill."`
	File    string        `type:"existingfile" help:"File that holds the query instead."`
	JSON    bool          `name:"json" help:"Print one JSON object a row."`
	Arrays  bool          `help:"With --json: print arrays of values, in the order of the columns."`
	Rows    int           `default:"1000" help:"Print at most this many rows."`
	Timeout time.Duration `default:"1m" help:"Give up after this long."`
	Width   int           `default:"60" help:"Cut longer values in the table (0: never)."`
}

// Help is shown below the flags.
func (queryCommand) Help() string {
	return `Examples:
  sandbox query "SELECT event_type, COUNT(*) AS events FROM delivery_events GROUP BY event_type ORDER BY events DESC"
  sandbox query "SELECT kafka_partition, COUNT(*), MAX(kafka_offset) FROM delivery_events GROUP BY 1 ORDER BY 1"
  sandbox query --json "SELECT * FROM delivery_events LIMIT 1"
  sandbox query --file deploy/sql/delivery_events_legacy.sql`
}

// Validate implements kong's check.
func (c queryCommand) Validate() error {
	if (c.SQL == "") == (c.File == "") {
		return errors.New("give a query <sql>, or a file that holds it with --file")
	}
	return nil
}

// Run asks, through BigQuery's own Go client.
func (c queryCommand) Run(ctx context.Context, s streams) error {
	if c.File != "" {
		text, err := os.ReadFile(c.File)
		if err != nil {
			return err
		}
		c.SQL = string(text)
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	endpoints, err := c.endpoints(ctx)
	if err != nil {
		return err
	}
	client, err := bigquery.NewClient(ctx, endpoints.Project,
		option.WithEndpoint(endpoints.BigQueryREST+"/bigquery/v2/"), option.WithoutAuthentication())
	if err != nil {
		return fmt.Errorf("bigquery client: %w", err)
	}
	defer func() { _ = client.Close() }() // it holds idle connections only
	start := time.Now()
	query := client.Query(c.SQL)
	query.DefaultProjectID, query.DefaultDatasetID = endpoints.Project, endpoints.Dataset
	rows, err := query.Read(ctx)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	return c.print(s.out, rows, start)
}

func (c queryCommand) print(w io.Writer, rows *bigquery.RowIterator, start time.Time) error {
	var t table.Table
	shown := 0
	for ; shown < c.Rows; shown++ {
		var values []bigquery.Value
		err := rows.Next(&values)
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			return fmt.Errorf("query: %w", err)
		}
		if c.JSON {
			if err := json.NewEncoder(w).Encode(c.line(rows.Schema, values)); err != nil {
				return fmt.Errorf("print row: %w", err)
			}
			continue
		}
		cells := make([]string, len(values))
		for i, value := range values {
			cells[i] = c.cell(rows.Schema[i], value)
		}
		t.Rows = append(t.Rows, cells)
	}
	if c.JSON {
		return nil
	}
	if len(rows.Schema) == 0 {
		_, err := fmt.Fprintf(w, "done in %s\n", time.Since(start).Round(time.Millisecond))
		return err
	}
	for _, field := range rows.Schema {
		t.Header = append(t.Header, field.Name)
		t.Right = append(t.Right, isNumber(field) && !field.Repeated)
	}
	if err := t.Print(w); err != nil {
		return err
	}
	count := table.Of(int64(shown), "row")
	if total := int64(rows.TotalRows); total > int64(shown) {
		count = fmt.Sprintf("%d of %s rows (--rows shows more)", shown, table.Count(total))
	}
	_, err := fmt.Fprintf(w, "%s in %s\n", count, time.Since(start).Round(time.Millisecond))
	return err
}

// line is a row as JSON shows it.
func (c queryCommand) line(schema bigquery.Schema, values []bigquery.Value) any {
	if !c.Arrays {
		return object(schema, values)
	}
	out := make([]any, len(values))
	for i, value := range values {
		out[i] = plain(schema[i], value)
	}
	return out
}

func isNumber(field *bigquery.FieldSchema) bool {
	return slices.Contains([]bigquery.FieldType{
		bigquery.IntegerFieldType, bigquery.FloatFieldType, bigquery.NumericFieldType, bigquery.BigNumericFieldType,
	}, field.Type)
}

// cell is a value on one line: null stays apart from the empty string, which shows as nothing.
func (c queryCommand) cell(field *bigquery.FieldSchema, value bigquery.Value) string {
	shown := plain(field, value)
	line, ok := shown.(string)
	if number, isJSON := shown.(json.Number); isJSON {
		line, ok = number.String(), true
	}
	if !ok {
		encoded, err := json.Marshal(shown)
		if err != nil {
			encoded = []byte(err.Error())
		}
		line = string(encoded)
	}
	line = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, line)
	if runes := []rune(line); c.Width > 0 && len(runes) > c.Width {
		return string(runes[:c.Width-1]) + "…"
	}
	return line
}

// object is a row or a record, for JSON.
func object(schema bigquery.Schema, values []bigquery.Value) map[string]any {
	o := make(map[string]any, len(values))
	for i, value := range values {
		o[schema[i].Name] = plain(schema[i], value)
	}
	return o
}

// plain turns a value of the client into what JSON should show: exact numbers, times in UTC with microseconds, bytes
// as base64.
func plain(field *bigquery.FieldSchema, value bigquery.Value) any {
	switch value := value.(type) {
	case []bigquery.Value:
		if !field.Repeated {
			return object(field.Schema, value)
		}
		element := *field
		element.Repeated = false
		array := make([]any, len(value))
		for i, one := range value {
			array[i] = plain(&element, one)
		}
		return array
	case time.Time:
		return value.UTC().Format("2006-01-02T15:04:05.000000Z")
	case []byte:
		return base64.StdEncoding.EncodeToString(value)
	case *big.Rat:
		if field.Type == bigquery.BigNumericFieldType {
			return bigquery.BigNumericString(value)
		}
		return bigquery.NumericString(value)
	case int64:
		return json.Number(strconv.FormatInt(value, 10))
	case fmt.Stringer:
		return value.String()
	}
	return value
}
