package query

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

func (t *translator) all(es []*expr, sc *scope) ([]value, error) {
	var out []value
	for _, e := range es {
		v, err := t.expr(e, sc)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// expr translates one expression.
func (t *translator) expr(e *expr, sc *scope) (value, error) {
	if e.op == "call" {
		if v, dated, err := t.dated(e, sc); dated {
			return v, err
		}
	}
	if e.op == "binary" && (e.text == "+" || e.text == "-") && e.args[1].op == "interval" {
		verb := map[string]string{"+": "ADD", "-": "SUB"}[e.text]
		return t.beside(e, verb, sc)
	}
	args, err := t.all(e.args, sc)
	if err != nil {
		return value{}, err
	}
	switch e.op {
	case "path":
		return t.path(e.path, e.at, sc)
	case "string":
		v := typed(row.String, "%s", literal(e.text))
		v.text = &e.text
		return v, nil
	case "bytes":
		return typed(row.Bytes, "x'%s'", hex.EncodeToString([]byte(e.text))), nil
	case "number":
		return number(e)
	case "word":
		if e.text == "NULL" {
			return value{sql: "NULL"}, nil
		}
		return typed(row.Boolean, "%s", e.text), nil
	case "param":
		v, ok := t.params[strings.ToLower(e.text)]
		if !ok {
			return v, refuse(e.at, "Query parameter '%s' not found", e.text)
		}
		return v, nil
	case "literal":
		return typedLiteral(e.text, e.path[0], e.at)
	case "unary":
		return unary(e, args[0])
	case "binary":
		return binary(e, args[0], args[1])
	case "is":
		op := "IS "
		if e.distinct {
			op = "IS NOT "
		}
		return typed(row.Boolean, "(%s %s%s)", args[0].sql, op, e.text), nil
	case "between":
		for i := range args[1:] {
			meet(&args[0], &args[i+1])
		}
		return typed(row.Boolean, "(%s %sBETWEEN %s AND %s)", asReal(args[0]), not(e), asReal(args[1]),
			asReal(args[2])), nil
	case "like":
		return typed(row.Boolean, "(%sbq_like(%s, %s))", not(e), args[0].sql, args[1].sql), nil
	case "field":
		return under(args[0], []string{e.text}, e.at)
	case "element":
		return element(e, args[0], args[1])
	case "array":
		return array(args), nil
	case "case":
		return caseOf(e, args), nil
	case "cast":
		return cast(e, args[0])
	case "extract":
		return extract(e, args)
	case "call":
		return t.call(e, args, sc)
	case "interval":
		return value{}, refuse(e.at,
			"The sandbox takes INTERVAL only in TIMESTAMP_ADD, TIMESTAMP_SUB, DATE_ADD, DATE_SUB and beside + or -")
	}
	return t.subquery(e, args, sc)
}

// beside is x + INTERVAL … and x - INTERVAL ….
func (t *translator) beside(e *expr, verb string, sc *scope) (value, error) {
	v, err := t.expr(e.args[0], sc)
	if err != nil {
		return v, err
	}
	us, err := moment(v, e.at)
	if err != nil {
		return v, err
	}
	out, err := t.shift(e, us, verb, sc)
	if err != nil {
		return v, err
	}
	return typed(v.col.Type, "bq_cast(%s, 'TIMESTAMP', '%s', 0)", out.sql, v.col.Type), nil
}

func not(e *expr) string {
	if e.distinct {
		return "NOT "
	}
	return ""
}

func (t *translator) subquery(e *expr, args []value, sc *scope) (value, error) {
	switch e.op {
	case "inunnest":
		if !args[1].col.Repeated {
			return value{}, refuse(e.at, "IN UNNEST takes an array")
		}
		return typed(row.Boolean, "(%s %sIN (SELECT value FROM json_each(%s)))", asReal(args[0]), not(e), args[1].sql),
			nil
	case "in":
		if e.sub == nil {
			var list []string
			for i := range args[1:] {
				meet(&args[0], &args[i+1])
				list = append(list, asReal(args[i+1]))
			}
			return typed(row.Boolean, "(%s %sIN (%s))", asReal(args[0]), not(e), strings.Join(list, ", ")), nil
		}
	case "subquery", "exists":
	default:
		return value{}, refuse(e.at, "The sandbox does not support %s here", e.op)
	}
	sql, columns, err := t.query(e.sub, sc)
	if err != nil {
		return value{}, err
	}
	if e.op == "exists" {
		return typed(row.Boolean, "EXISTS (%s)", sql), nil
	}
	if len(columns) != 1 {
		return value{}, refuse(e.at, "A subquery used as a value must have one column, not %d", len(columns))
	}
	if e.op == "in" {
		return typed(row.Boolean, "(%s %sIN (%s))", args[0].sql, not(e), sql), nil
	}
	return value{sql: "(" + sql + ")", col: *columns[0]}, nil
}

func number(e *expr) (value, error) {
	if n, err := strconv.ParseInt(e.text, 0, 64); err == nil && !strings.ContainsAny(e.text, ".") {
		return typed(row.Integer, "%d", n), nil
	}
	f, err := strconv.ParseFloat(e.text, 64)
	if err != nil {
		return value{}, refuse(e.at, "Invalid number: %s", e.text)
	}
	return typed(row.Float, "CAST(%s AS REAL)", strconv.FormatFloat(f, 'g', -1, 64)), nil
}

func typedLiteral(name, text string, at int) (value, error) {
	switch name {
	case "TIMESTAMP":
		us, err := row.ParseTimestamp(text)
		if err != nil {
			return value{}, refuse(at, "%v", err)
		}
		return typed(row.Timestamp, "%d", us), nil
	case "DATE", "TIME", "DATETIME", "NUMERIC", "BIGNUMERIC":
		s, err := row.Canonical(row.Type(name), text)
		if err != nil {
			return value{}, refuse(at, "%v", err)
		}
		return typed(row.Type(name), "%s", literal(s)), nil
	}
	return typed(row.JSON, "%s", literal(text)), nil
}

// meet gives a string literal the type of what it is compared with.
func meet(a, b *value) {
	if a.text != nil {
		a, b = b, a
	}
	if b.text == nil || a.col.Repeated {
		return
	}
	switch a.col.Type {
	case row.Timestamp, row.Date, row.Time, row.DateTime, row.Numeric, row.BigNumeric:
		if v, err := typedLiteral(string(a.col.Type), *b.text, 0); err == nil {
			*b = v
		}
	}
}

func unary(e *expr, v value) (value, error) {
	if e.text == "NOT" {
		return typed(row.Boolean, "(NOT %s)", v.sql), nil
	}
	out := value{sql: fmt.Sprintf("(%s%s)", e.text, asReal(v)), col: row.Column{Type: v.col.Type}}
	if e.text == "-" && v.sql == "9223372036854775808" {
		out.sql = "(-9223372036854775807 - 1)"
	}
	return out, nil
}

func binary(e *expr, a, b value) (value, error) {
	switch e.text {
	case "AND", "OR":
		return typed(row.Boolean, "(%s %s %s)", a.sql, e.text, b.sql), nil
	case "=", "<", ">", "<=", ">=", "!=", "<>":
		meet(&a, &b)
		if a.col.Repeated || b.col.Repeated || a.col.Type == row.Struct {
			return value{}, refuse(e.at, "Operator %s does not take arrays and structs", e.text)
		}
		if !comparableTypes(a.col.Type, b.col.Type) {
			return value{}, refuse(e.at, "No matching signature for operator %s for argument types: %s, %s",
				e.text, a.col.Type, b.col.Type)
		}
		return typed(row.Boolean, "(%s %s %s)", asReal(a), e.text, asReal(b)), nil
	case "||":
		return value{sql: fmt.Sprintf("(%s || %s)", a.sql, b.sql), col: row.Column{Type: row.String}}, nil
	case "/":
		return typed(row.Float, "bq_divide(%s, %s, 0)", asReal(a), asReal(b)), nil
	}
	if !numeric(a.col.Type) || !numeric(b.col.Type) {
		return value{}, refuse(e.at, "No matching signature for operator %s for argument types: %s, %s",
			e.text, a.col.Type, b.col.Type)
	}
	return value{
		sql: fmt.Sprintf("(%s %s %s)", asReal(a), e.text, asReal(b)),
		col: row.Column{Type: wider(a.col.Type, b.col.Type)},
	}, nil
}

func numeric(t row.Type) bool {
	return t == "" || t == row.Integer || t == row.Float || t == row.Numeric || t == row.BigNumeric
}

func comparableTypes(a, b row.Type) bool {
	return a == b || a == "" || b == "" || numeric(a) && numeric(b)
}

// wider is the type of arithmetic on two numbers, and of a choice between two values.
func wider(a, b row.Type) row.Type {
	for _, t := range []row.Type{row.Float, row.BigNumeric, row.Numeric} {
		if a == t || b == t {
			return t
		}
	}
	if a == "" {
		return b
	}
	return a
}

func element(e *expr, list, index value) (value, error) {
	if !list.col.Repeated {
		return value{}, refuse(e.at, "Element access with [] takes an array")
	}
	if strings.HasSuffix(e.text, "ORDINAL") {
		index.sql = "(" + index.sql + " - 1)"
	}
	c := list.col
	c.Repeated = false
	sql := fmt.Sprintf("bq_element(%s, %s, %t)", list.sql, index.sql, strings.HasPrefix(e.text, "SAFE"))
	if c.Type == row.Bytes {
		sql = "bq_unbase64(" + sql + ")"
	}
	return value{sql: sql, col: c}, nil
}

func array(args []value) value {
	out := value{col: row.Column{Type: row.Integer, Repeated: true}}
	var list []string
	for i, a := range args {
		list = append(list, asReal(a))
		if i == 0 {
			out.col.Type, out.col.Fields = a.col.Type, a.col.Fields
		}
	}
	out.sql = "json_array(" + strings.Join(list, ", ") + ")"
	return out
}

func caseOf(e *expr, args []value) value {
	var sql strings.Builder
	sql.WriteString("CASE")
	rest := args
	if e.text == "of" {
		sql.WriteString(" " + asReal(args[0]))
		rest = args[1:]
	}
	out := value{}
	choose := func(v value) string {
		if out.col.Type == "" {
			out.col = row.Column{Type: v.col.Type, Repeated: v.col.Repeated, Fields: v.col.Fields}
		} else {
			out.col.Type = wider(out.col.Type, v.col.Type)
		}
		return v.sql
	}
	for len(rest) > 1 {
		if e.text == "of" {
			meet(&args[0], &rest[0])
		}
		fmt.Fprintf(&sql, " WHEN %s THEN %s", asReal(rest[0]), choose(rest[1]))
		rest = rest[2:]
	}
	if len(rest) == 1 {
		sql.WriteString(" ELSE " + choose(rest[0]))
	}
	out.sql = "(" + sql.String() + " END)"
	return out
}

var castTypes = map[string]row.Type{
	"INT64": row.Integer, "INTEGER": row.Integer, "INT": row.Integer, "FLOAT64": row.Float, "STRING": row.String,
	"BOOL": row.Boolean, "BOOLEAN": row.Boolean, "BYTES": row.Bytes, "TIMESTAMP": row.Timestamp, "DATE": row.Date,
	"DATETIME": row.DateTime, "TIME": row.Time, "NUMERIC": row.Numeric, "BIGNUMERIC": row.BigNumeric,
}

func cast(e *expr, v value) (value, error) {
	to, known := castTypes[strings.ToUpper(e.text)]
	if !known || v.col.Repeated || v.col.Type == row.Struct {
		return value{}, refuse(e.at, "The sandbox does not support CAST from %s to %s", v.col.Type, e.text)
	}
	return typed(to, "bq_cast(%s, '%s', '%s', %t)", v.sql, v.col.Type, to, e.distinct), nil
}
