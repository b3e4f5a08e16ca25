package examples

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// check is a query of an example's checks.sql and what it must return.
type check struct {
	what, sql string
	// want are the rows, each a list of its values.
	want [][]any
}

const expect = "-- expect:"

// parseChecks reads statements that end with a semicolon at the end of a line. Comments before one say what it asks;
// the line that starts with `-- expect:` holds its rows as JSON.
func parseChecks(text string) ([]check, error) {
	var out []check
	var now check
	var sql strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, expect):
			if err := json.Unmarshal([]byte(line[len(expect):]), &now.want); err != nil {
				return nil, fmt.Errorf("%s: %w", line, err)
			}
		case strings.HasPrefix(line, "--"):
			now.what = strings.TrimSpace(now.what + " " + strings.TrimSpace(line[2:]))
		case line == "":
		default:
			last := strings.HasSuffix(line, ";")
			if sql.Len() > 0 {
				sql.WriteByte(' ')
			}
			sql.WriteString(strings.TrimSuffix(line, ";"))
			if last {
				if now.want == nil {
					return nil, fmt.Errorf("the query %q has no line %q", sql.String(), expect)
				}
				now.sql = sql.String()
				out = append(out, now)
				now = check{}
				sql.Reset()
			}
		}
	}
	if sql.Len() > 0 {
		return nil, fmt.Errorf("the query %q does not end with a semicolon", sql.String())
	}
	if len(out) == 0 {
		return nil, errors.New("there are no queries")
	}
	return out, nil
}

// checks runs the queries of checks.sql and compares the results.
func (w *world) checks(ctx context.Context) error {
	path := filepath.Join(w.dir, "checks.sql")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	all, err := parseChecks(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, c := range all {
		fmt.Fprintf(w.out, "# %s\n", c.what)
		if err := w.do(ctx, "sandbox", "query", c.sql); err != nil {
			return err
		}
		got, err := w.rows(ctx, c.sql)
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(got, c.want) {
			return fmt.Errorf("%s: %s\n  responds %s\n  expected %s", path, c.what, spell(got), spell(c.want))
		}
	}
	return nil
}

func spell(rows [][]any) string {
	text, _ := json.Marshal(rows) // it came from JSON
	return string(text)
}

// rows queries the sandbox, and returns the rows, in the order of its columns.
func (w *world) rows(ctx context.Context, sql string) ([][]any, error) {
	out, err := w.run(ctx, "sandbox", "query", "--json", "--arrays", sql)
	if err != nil {
		return nil, err
	}
	rows := [][]any{}
	for line := range strings.Lines(out) {
		var row []any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}
