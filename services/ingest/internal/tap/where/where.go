// Package where is the filter of a tap: an expression in CEL, the Common Expression Language.
//
//	f, err := where.Parse(`payload.total > 100 && type.startsWith("order.")`)
//	ok, err := f.Takes(&where.Seen{Topic: "orders", Row: rowJSON})
//
// An expression can do nothing but look, and what it may cost is bounded.
package where

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

const (
	// longest bounds the text of a filter, in bytes.
	longest = 4 << 10
	// most bounds what one record may cost, in CEL's units: about one for each comparison.
	most = 100_000
)

// Seen is a record as a filter sees it.
type Seen struct {
	Topic     string
	Partition int32
	Offset    int64
	// Time is the Kafka timestamp; zero where there is none.
	Time time.Time
	// Key is the record's key; empty where it is null.
	Key     []byte
	Headers map[string]string
	// Size is how many bytes the value has.
	Size                  int
	Type, Contract, Table string
	Reason, Error, Field  string
	// Row is the row as JSON; nil where the record is none.
	Row []byte
	// Payload is the column of the row that has the payload.
	Payload string
}

// Filter is a parsed expression. Safe for concurrent use.
type Filter struct{ program cel.Program }

var environment = []cel.EnvOption{
	cel.Variable("topic", cel.StringType), cel.Variable("partition", cel.IntType), cel.Variable("offset", cel.IntType),
	cel.Variable("time", cel.TimestampType), cel.Variable("key", cel.StringType),
	cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)), cel.Variable("size", cel.IntType),
	cel.Variable("type", cel.StringType), cel.Variable("contract", cel.StringType),
	cel.Variable("table", cel.StringType), cel.Variable("reason", cel.StringType),
	cel.Variable("error", cel.StringType), cel.Variable("field", cel.StringType),
	cel.Variable("row", cel.DynType), cel.Variable("payload", cel.DynType), cel.CrossTypeNumericComparisons(true),
}

// names are what a filter may look at.
const names = "topic, partition, offset, time, key, headers, size, type, contract, table, payload, row, reason, " +
	"error, field"

// Parse reads a filter. An empty one takes all. The error has the place, the text, and what there is to look at.
func Parse(text string) (*Filter, error) {
	if strings.TrimSpace(text) == "" {
		return &Filter{}, nil
	}
	if len(text) > longest {
		return nil, fmt.Errorf("the filter has %d bytes, %d are the most", len(text), longest)
	}
	env, err := cel.NewEnv(environment...)
	if err != nil {
		return nil, err
	}
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		line := strings.Split(text, "\n")[max(0, first.Location.Line()-1)]
		column := max(0, min(first.Location.Column(), len([]rune(line))))
		return nil, fmt.Errorf("at line %d, column %d: %s\n    %s\n    %s^\n    a filter looks at %s",
			first.Location.Line(), column+1, first.Message, line, strings.Repeat(" ", column), names)
	}
	if out := ast.OutputType(); !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("the filter is of type %s: write one that is true or false, such as payload.total > 100",
			out)
	}
	program, err := env.Program(ast, cel.CostLimit(most))
	if err != nil {
		return nil, err
	}
	return &Filter{program}, nil
}

// Takes reports whether the filter takes the record. The error says why it cannot tell, such as a field that the record
// does not have; it is then not taken.
func (f *Filter) Takes(s *Seen) (bool, error) {
	if f.program == nil {
		return true, nil
	}
	values := map[string]any{
		"topic": s.Topic, "partition": int64(s.Partition), "offset": s.Offset, "time": s.Time,
		"key": strings.ToValidUTF8(string(s.Key), "\uFFFD"), "headers": s.Headers, "size": int64(s.Size),
		"type": s.Type, "contract": s.Contract, "table": s.Table, "reason": s.Reason, "error": s.Error,
		"field": s.Field,
		"row":   types.NullValue, "payload": types.NullValue,
	}
	if s.Row != nil {
		row, err := read(s.Row)
		if err != nil {
			return false, err
		}
		values["row"] = row
		if payload, ok := row[s.Payload]; ok && payload != nil {
			values["payload"] = payload
		}
	}
	out, _, err := f.program.Eval(values)
	if err != nil {
		return false, err
	}
	taken, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("it is %v, neither true nor false", out.Value())
	}
	return taken, nil
}

// read reads JSON with whole numbers as they are.
func read(text []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var row map[string]any
	if err := d.Decode(&row); err != nil {
		return nil, err
	}
	if row == nil {
		return nil, errors.New("the row is null")
	}
	return numbers(row).(map[string]any), nil
}

// numbers makes integers of numbers that are some, and doubles of the others.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		n, _ := v.Float64()
		return n
	case map[string]any:
		for name := range v {
			v[name] = numbers(v[name])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	}
	return v
}
