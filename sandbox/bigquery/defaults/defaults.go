// Package defaults knows the values that take the place of missing ones: the default value expressions of a table's
// columns (https://cloud.google.com/bigquery/docs/default-values).
package defaults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/sandbox/bigquery/query"
	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

// Values are the default values of one request's rows: an expression is evaluated once, so that CURRENT_TIMESTAMP is
// the same for all of them, unless it is by chance. A Values is for one goroutine.
type Values struct {
	ctx    context.Context // of the request, which is what a Values is for
	engine *query.Engine
	known  map[string]any
}

// Of starts the values of one request.
func Of(ctx context.Context, engine *query.Engine) *Values {
	return &Values{ctx: ctx, engine: engine, known: map[string]any{}}
}

// Value is a column's default value in the form that [row.Encode] takes; nil is NULL.
func (v *Values) Value(c *row.Column) (any, error) {
	if known, ok := v.known[c.Name]; ok {
		return known, nil
	}
	out, err := evaluate(v.ctx, v.engine, c)
	if err != nil {
		return nil, err
	}
	if !byChance(c.Default) {
		v.known[c.Name] = out
	}
	return out, nil
}

// Complete gives a JSON row the default values of columns that it does not name. One that is null stays so.
func (v *Values) Complete(object map[string]any, columns []*row.Column) error {
	for _, c := range columns {
		if c.Default == "" || names(object, c.Name) {
			continue
		}
		value, err := v.Value(c)
		if err != nil {
			return err
		}
		object[c.Name] = value
	}
	return nil
}

func names(object map[string]any, column string) bool {
	if _, ok := object[column]; ok {
		return true
	}
	for name := range object {
		if strings.EqualFold(name, column) {
			return true
		}
	}
	return false
}

// byChance says whether each row gets another value.
func byChance(expression string) bool {
	upper := strings.ToUpper(expression)
	return strings.Contains(upper, "RAND") || strings.Contains(upper, "UUID")
}

// Check evaluates the default values of columns, and says which of them does not fit its column.
func Check(ctx context.Context, engine *query.Engine, columns []*row.Column) error {
	for _, c := range columns {
		if c.Default == "" {
			continue
		}
		if err := fits(ctx, engine, c); err != nil {
			return fmt.Errorf("invalid default value expression for column %s: %w", c.Name, err)
		}
	}
	return nil
}

func fits(ctx context.Context, engine *query.Engine, c *row.Column) error {
	value, err := evaluate(ctx, engine, c)
	if err != nil || value == nil {
		return err
	}
	alone := []*row.Column{c}
	descriptor, err := row.Descriptor(alone)
	if err != nil {
		return err
	}
	shape, err := row.Compile(descriptor, alone)
	if err != nil {
		return err
	}
	b, err := row.AppendField(nil, protowire.Number(1), c, value)
	if err != nil {
		return err
	}
	return shape.Check(b)
}

// coerced are the types that take a literal of another one:
// https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules.
var coerced = map[row.Type][]row.Type{
	row.Integer: {row.Float, row.Numeric, row.BigNumeric},
	row.Float:   {row.Numeric, row.BigNumeric},
	row.Numeric: {row.Float, row.BigNumeric},
	row.String:  {row.Date, row.Time, row.DateTime, row.Timestamp},
	row.Date:    {row.DateTime},
}

func evaluate(ctx context.Context, engine *query.Engine, c *row.Column) (any, error) {
	statement, err := engine.Prepare(query.Request{SQL: "SELECT " + c.Default})
	if err != nil {
		return nil, err
	}
	if len(statement.Columns) != 1 {
		return nil, fmt.Errorf("it gives %d values", len(statement.Columns))
	}
	from := statement.Columns[0]
	var value any
	if err := statement.Run(ctx, func(r row.Record) error { value = r[0]; return nil }); err != nil {
		return nil, err
	}
	if list, ok := value.(row.List); value == nil || ok && len(list) == 0 && c.Repeated {
		return nil, nil
	}
	if from.Repeated != c.Repeated || from.Type != c.Type && !slices.Contains(coerced[from.Type], c.Type) {
		return nil, fmt.Errorf("it is of type %s, and the column of type %s", from.SQL(), c.SQL())
	}
	var out any
	d := json.NewDecoder(bytes.NewReader(row.AppendValue(nil, from, value, row.People)))
	d.UseNumber()
	err = d.Decode(&out)
	return out, err
}
