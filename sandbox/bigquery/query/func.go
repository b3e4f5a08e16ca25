package query

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

// function is a GoogleSQL function as a pattern of SQLite's SQL, in which $1, $2, … are the arguments, $* all of them,
// and $t the type of the first.
type function struct {
	least, most int
	sql         string
	// of gives the result type; nil keeps the type of the first argument.
	of func([]value) row.Type
}

func is(t row.Type) func([]value) row.Type { return func([]value) row.Type { return t } }

func widest(args []value) (t row.Type) {
	for _, a := range args {
		t = wider(t, a.col.Type)
	}
	return t
}

const many = 1000

// jsonScalar is a scalar inside JSON as text: SQLite's own has numbers for booleans, and text for objects and arrays.
const jsonScalar = `CASE json_type($1, $2) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' WHEN 'object' THEN NULL
	WHEN 'array' THEN NULL ELSE CAST(json_extract($1, $2) AS TEXT) END`

// whiteSpace is what TRIM takes off: all that Unicode calls white space. SQLite's takes off blanks alone.
const whiteSpace = "char(9, 10, 11, 12, 13, 32, 133, 160, 5760, 8192, 8193, 8194, 8195, 8196, 8197, 8198, 8199, " +
	"8200, 8201, 8202, 8232, 8233, 8239, 8287, 12288)"

// otherwise are the last arguments of functions that can do without them.
var otherwise = map[string]string{
	"STRING_AGG": "','", "JSON_VALUE": "'$'", "JSON_EXTRACT_SCALAR": "'$'", "CURRENT_DATE": "'UTC'",
	"FORMAT_TIMESTAMP": "'UTC'", "TRIM": whiteSpace, "LTRIM": whiteSpace, "RTRIM": whiteSpace,
	"SUBSTR": toTheEnd, "SUBSTRING": toTheEnd,
}

// toTheEnd is longer than any text.
const toTheEnd = "9223372036854775807"

var functions = map[string]function{
	"ABS": {1, 1, "abs($1)", nil}, "SIGN": {1, 1, "sign($1)", nil},
	"ROUND": {1, 2, "round($*)", is(row.Float)}, "FLOOR": {1, 1, "CAST(floor($1) AS REAL)", is(row.Float)},
	"CEIL": {1, 1, "CAST(ceil($1) AS REAL)", is(row.Float)}, "CEILING": {1, 1, "CAST(ceil($1) AS REAL)", is(row.Float)},
	"SQRT": {1, 1, "sqrt($1)", is(row.Float)}, "POW": {2, 2, "pow($1, $2)", is(row.Float)},
	"POWER": {2, 2, "pow($1, $2)", is(row.Float)}, "LN": {1, 1, "ln($1)", is(row.Float)},
	"LOG10": {1, 1, "log10($1)", is(row.Float)}, "EXP": {1, 1, "exp($1)", is(row.Float)},
	"MOD": {2, 2, "bq_mod($1, $2)", widest}, "DIV": {2, 2, "bq_div($1, $2)", is(row.Integer)},
	"SAFE_DIVIDE": {2, 2, "bq_divide($1, $2, 1)", is(row.Float)}, "IEEE_DIVIDE": {
		2, 2, "bq_divide($1, $2, 1)", is(row.Float),
	},
	"GREATEST": {1, many, "max($*)", widest}, "LEAST": {1, many, "min($*)", widest},
	"IFNULL": {2, 2, "ifnull($1, $2)", widest}, "COALESCE": {1, many, "coalesce($*, NULL)", widest},
	"NULLIF": {2, 2, "nullif($1, $2)", nil}, "CONCAT": {1, many, "($|)", is(row.String)},
	"LENGTH": {1, 1, "length($1)", is(row.Integer)}, "CHAR_LENGTH": {1, 1, "length($1)", is(row.Integer)},
	"BYTE_LENGTH": {1, 1, "length(CAST($1 AS BLOB))", is(row.Integer)}, "LOWER": {1, 1, "bq_lower($1)", nil},
	"UPPER": {1, 1, "bq_upper($1)", nil}, "TRIM": {1, 2, "trim($1, $2)", nil}, "LTRIM": {1, 2, "ltrim($1, $2)", nil},
	"RTRIM": {1, 2, "rtrim($1, $2)", nil}, "SUBSTR": {2, 3, "bq_substr($1, $2, $3)", nil},
	"SUBSTRING": {2, 3, "bq_substr($1, $2, $3)", nil},
	"REPLACE":   {3, 3, "replace($*)", nil}, "STRPOS": {2, 2, "instr($1, $2)", is(row.Integer)}, "STARTS_WITH": {
		2, 2, "(substr($1, 1, length($2)) = $2)", is(row.Boolean),
	},
	"ENDS_WITH": {
		2, 2, "(length($1) >= length($2) AND substr($1, length($1) - length($2) + 1) = $2)", is(row.Boolean),
	},
	"REGEXP_CONTAINS": {2, 2, "bq_regexp_contains($1, $2)", is(row.Boolean)}, "REGEXP_EXTRACT": {
		2, 2, "bq_regexp_extract($1, $2)", is(row.String),
	},
	"TO_HEX": {1, 1, "lower(hex($1))", is(row.String)}, "TO_BASE64": {1, 1, "bq_base64($1)", is(row.String)},
	"FROM_BASE64": {1, 1, "bq_unbase64($1)", is(row.Bytes)},
	"TO_JSON_STRING": {1, 1, "ifnull(bq_json($1, $t), 'null')", is(row.String)},
	"JSON_VALUE": {1, 2, jsonScalar, is(row.String)}, "JSON_EXTRACT_SCALAR": {1, 2, jsonScalar, is(row.String)},
	"ARRAY_LENGTH":      {1, 1, "json_array_length($1)", is(row.Integer)},
	"CURRENT_TIMESTAMP": {0, 0, "bq_now()", is(row.Timestamp)},
	"CURRENT_DATETIME":  {0, 0, "bq_cast(bq_now(), 'TIMESTAMP', 'DATETIME', 0)", is(row.DateTime)},
	"CURRENT_TIME":      {0, 0, "bq_cast(bq_now(), 'TIMESTAMP', 'TIME', 0)", is(row.Time)},
	"GENERATE_UUID":     {0, 0, "bq_uuid()", is(row.String)}, "RAND": {0, 0, "bq_rand()", is(row.Float)},
	"CURRENT_DATE": {0, 1, "bq_date(bq_now(), $1)", is(row.Date)},
	"UNIX_MICROS":  {1, 1, "($1)", is(row.Integer)}, "UNIX_MILLIS": {1, 1, "bq_floor($1, 1000)", is(row.Integer)},
	"UNIX_SECONDS":     {1, 1, "bq_floor($1, 1000000)", is(row.Integer)},
	"TIMESTAMP_MICROS": {1, 1, "($1)", is(row.Timestamp)}, "TIMESTAMP_MILLIS": {1, 1, "($1 * 1000)", is(row.Timestamp)},
	"TIMESTAMP_SECONDS": {1, 1, "($1 * 1000000)", is(row.Timestamp)}, "FORMAT_TIMESTAMP": {
		2, 3, "bq_format($1, $2, $3)", is(row.String),
	},
}

// aggregates work over many rows; all of them may have OVER.
var aggregates = map[string]function{
	"COUNT":   {1, 1, "count($d$1)", is(row.Integer)},
	"COUNTIF": {1, 1, "count(CASE WHEN $1 THEN 1 END)", is(row.Integer)},
	"SUM":     {1, 1, "sum($d$1)", nil}, "AVG": {1, 1, "avg($d$1)", is(row.Float)}, "MIN": {1, 1, "min($1)", nil},
	"MAX": {1, 1, "max($1)", nil}, "ANY_VALUE": {1, 1, "min($1)", nil},
	"LOGICAL_AND": {1, 1, "min($1)", is(row.Boolean)},
	"LOGICAL_OR":  {1, 1, "max($1)", is(row.Boolean)}, "APPROX_COUNT_DISTINCT": {
		1, 1, "count(DISTINCT $1)", is(row.Integer),
	}, "STRING_AGG": {
		1, 2, "group_concat($d$1, $2$o)", is(row.String),
	},
	"ARRAY_AGG": {1, 1, "json_group_array($d$1$o)", nil}, "APPROX_QUANTILES": {2, 2, "bq_quantiles($1, $2)", nil},
	"ROW_NUMBER": {0, 0, "row_number()", is(row.Integer)}, "RANK": {0, 0, "rank()", is(row.Integer)},
	"DENSE_RANK": {0, 0, "dense_rank()", is(row.Integer)}, "LAG": {1, 3, "lag($*)", nil},
	"LEAD":        {1, 3, "lead($*)", nil},
	"FIRST_VALUE": {1, 1, "first_value($1)", nil}, "LAST_VALUE": {1, 1, "last_value($1)", nil},
}

var windowOnly = []string{"ROW_NUMBER", "RANK", "DENSE_RANK", "LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE"}

func (t *translator) call(e *expr, args []value, sc *scope) (value, error) {
	if e.text == "COUNT" && len(e.path) == 1 {
		return t.over(e, typed(row.Integer, "count(*)"), sc)
	}
	if e.text == "IF" && len(args) == 3 {
		return value{
			sql: fmt.Sprintf("iif(%s, %s, %s)", args[0].sql, args[1].sql, args[2].sql),
			col: row.Column{
				Type: wider(args[1].col.Type, args[2].col.Type), Repeated: args[1].col.Repeated,
				Fields: args[1].col.Fields,
			},
		}, nil
	}
	f, aggregate := aggregates[e.text]
	if !aggregate {
		var known bool
		if f, known = functions[e.text]; !known {
			return value{}, refuse(e.at, "The sandbox does not support function %s", e.text)
		}
	}
	if slices.Contains(windowOnly, e.text) && e.over == nil {
		return value{}, refuse(e.at, "Window function %s must be followed by OVER", e.text)
	}
	if len(args) < f.least || len(args) > f.most {
		return value{}, refuse(e.at, "%s takes %d to %d arguments, not %d", e.text, f.least, f.most, len(args))
	}
	if (e.text == "SUM" || e.text == "AVG") && (args[0].col.Repeated || !numeric(args[0].col.Type)) {
		return value{}, refuse(e.at, "No matching signature for aggregate function %s for argument types: %s", e.text,
			args[0].col.SQL())
	}
	sql, err := t.fill(e, f, args, sc)
	if err != nil {
		return value{}, err
	}
	out := value{sql: sql}
	switch {
	case f.of != nil:
		out.col.Type = f.of(args)
	case len(args) > 0:
		out.col = row.Column{Type: args[0].col.Type, Repeated: args[0].col.Repeated, Fields: args[0].col.Fields}
	}
	if e.text == "ARRAY_AGG" || e.text == "APPROX_QUANTILES" {
		if out.col.Repeated || out.col.Type == row.Bytes {
			return value{}, refuse(e.at, "The sandbox does not support %s of %s arrays", e.text, out.col.Type)
		}
		out.col.Repeated = true
	}
	if !aggregate {
		return out, nil
	}
	return t.over(e, out, sc)
}

// fill puts arguments into a function's pattern.
func (t *translator) fill(e *expr, f function, args []value, sc *scope) (string, error) {
	var all []string
	for _, a := range args {
		all = append(all, asReal(a))
	}
	switch {
	case e.text == "ARRAY_AGG" && args[0].col.Type == row.Struct:
		all[0] = "json(" + all[0] + ")"
	case e.text == "TO_JSON_STRING":
		all[0] = args[0].sql // decimals to their last digit
	}
	distinct := ""
	if e.distinct {
		distinct = "DISTINCT "
	}
	order, err := t.orderBy(e.order, nil, sc)
	if err != nil {
		return "", err
	}
	if e.text == "STRING_AGG" && e.distinct && len(args) == 1 {
		// SQLite takes DISTINCT with one argument only.
		return fmt.Sprintf("group_concat(DISTINCT %s%s)", all[0], order), nil
	}
	var out strings.Builder
	for i := 0; i < len(f.sql); i++ {
		if f.sql[i] != '$' {
			out.WriteByte(f.sql[i])
			continue
		}
		i++
		switch c := f.sql[i]; c {
		case '*':
			out.WriteString(strings.Join(all, ", "))
		case '|':
			out.WriteString(strings.Join(all, " || "))
		case 't':
			kind, err := json.Marshal(args[0].col)
			if err != nil {
				return "", err
			}
			out.WriteString(literal(string(kind)))
		case 'd':
			out.WriteString(distinct)
		case 'o':
			out.WriteString(order)
		default:
			if n := int(c - '1'); n < len(all) {
				out.WriteString(all[n])
			} else {
				out.WriteString(otherwise[e.text])
			}
		}
	}
	return out.String(), nil
}

func (t *translator) over(e *expr, v value, sc *scope) (value, error) {
	if e.over == nil {
		return v, nil
	}
	var parts []string
	if len(e.over.partition) > 0 {
		by, err := t.all(e.over.partition, sc)
		if err != nil {
			return v, err
		}
		var list []string
		for _, b := range by {
			list = append(list, b.sql)
		}
		parts = append(parts, "PARTITION BY "+strings.Join(list, ", "))
	}
	order, err := t.orderBy(e.over.order, nil, sc)
	if err != nil {
		return v, err
	}
	parts = append(parts, order)
	v.sql += " OVER (" + strings.Join(parts, " ") + ")"
	return v, nil
}
