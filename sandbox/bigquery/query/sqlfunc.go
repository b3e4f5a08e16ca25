package query

import (
	"database/sql/driver"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"modernc.org/sqlite"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

// sqlFunctions are what GoogleSQL has and SQLite lacks. They take and give values in the form [value] describes; NULL
// in is NULL out.
var sqlFunctions = map[string]struct {
	args int32
	call func(a []driver.Value) (driver.Value, error)
}{
	"bq_divide": {3, divide},
	"bq_div":    {2, quotient},
	"bq_mod":    {2, remainder},
	"bq_lower":  {1, func(a []driver.Value) (driver.Value, error) { return strings.ToLower(text(a[0])), nil }},
	"bq_upper":  {1, func(a []driver.Value) (driver.Value, error) { return strings.ToUpper(text(a[0])), nil }},
	"bq_substr": {3, substring},
	"bq_floor":  {2, func(a []driver.Value) (driver.Value, error) { return floorDiv(whole(a[0]), whole(a[1])), nil }},
	"bq_unbase64": {1, func(a []driver.Value) (driver.Value,
		error,
	) {
		return base64.StdEncoding.DecodeString(text(a[0]))
	}},
	"bq_base64": {1, func(a []driver.Value) (driver.Value, error) {
		return base64.StdEncoding.EncodeToString(blob(a[0])), nil
	}},
	"bq_json": {2, toJSON},
	"bq_like": {
		2, func(a []driver.Value) (driver.Value, error) { return match(likePattern(text(a[1])), text(a[0])) },
	},
	"bq_regexp_contains": {2, func(a []driver.Value) (driver.Value, error) { return match(text(a[1]), text(a[0])) }},
	"bq_regexp_extract":  {2, regexpExtract},
	"bq_element":         {3, listElement},
	"bq_cast":            {4, castValue},
	"bq_now":             {0, func([]driver.Value) (driver.Value, error) { return time.Now().UnixMicro(), nil }},
	"bq_uuid":            {0, func([]driver.Value) (driver.Value, error) { return uuid.NewString(), nil }},
	"bq_rand":            {0, func([]driver.Value) (driver.Value, error) { return rand.Float64(), nil }},
	"bq_date": {2, func(a []driver.Value) (driver.Value, error) {
		t, err := local(a[0], a[1])
		return t.Format(time.DateOnly), err
	}},
	"bq_extract": {3, func(a []driver.Value) (driver.Value, error) {
		t, err := local(a[1], a[2])
		return partValue(text(a[0]), t), err
	}},
	"bq_trunc": {3, func(a []driver.Value) (driver.Value, error) {
		t, err := local(a[1], a[2])
		return truncate(text(a[0]), t).UnixMicro(), err
	}},
	"bq_add": {3, func(a []driver.Value) (driver.Value, error) {
		return shiftTime(text(a[0]), time.UnixMicro(whole(a[1])).UTC(), whole(a[2])).UnixMicro(), nil
	}},
	"bq_diff": {4, func(a []driver.Value) (driver.Value, error) {
		return difference(text(a[0]), whole(a[1]), whole(a[2]), whole(a[3]) != 0), nil
	}},
	"bq_format": {3, func(a []driver.Value) (driver.Value, error) {
		t, err := local(a[1], a[2])
		if err != nil {
			return nil, err
		}
		return strftime(text(a[0]), t)
	}},
}

func register(d *sqlite.Driver) error {
	for name, f := range sqlFunctions {
		call := func(_ *sqlite.FunctionContext, a []driver.Value) (driver.Value, error) {
			if slices.Contains(a, nil) {
				return nil, nil
			}
			return f.call(a)
		}
		if err := d.RegisterFunction(name, &sqlite.FunctionImpl{
			NArgs: f.args, Deterministic: f.args > 0, Scalar: call,
		}); err != nil {
			return err
		}
	}
	return d.RegisterFunction("bq_quantiles", &sqlite.FunctionImpl{
		NArgs: 2, Deterministic: true,
		MakeAggregate: func(sqlite.FunctionContext) (sqlite.AggregateFunction, error) { return &quantiles{}, nil },
	})
}

func whole(v driver.Value) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case float64:
		return int64(v)
	}
	n, _ := strconv.ParseInt(text(v), 10, 64)
	return n
}

func fraction(v driver.Value) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	}
	f, _ := strconv.ParseFloat(text(v), 64)
	return f
}

func text(v driver.Value) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return fmt.Sprint(v)
}

func blob(v driver.Value) []byte {
	if b, ok := v.([]byte); ok {
		return b
	}
	return []byte(text(v))
}

func divide(a []driver.Value) (driver.Value, error) {
	if by := fraction(a[1]); by != 0 {
		return fraction(a[0]) / by, nil
	}
	if whole(a[2]) != 0 {
		return nil, nil
	}
	return nil, errDivision
}

var errDivision = errors.New("division by zero")

// quotient is DIV.
func quotient(a []driver.Value) (driver.Value, error) {
	if whole(a[1]) == 0 {
		return nil, errDivision
	}
	return whole(a[0]) / whole(a[1]), nil
}

// remainder is MOD.
func remainder(a []driver.Value) (driver.Value, error) {
	x, left := a[0].(int64)
	y, right := a[1].(int64)
	switch {
	case fraction(a[1]) == 0:
		return nil, errDivision
	case left && right:
		return x % y, nil
	}
	return math.Mod(fraction(a[0]), fraction(a[1])), nil
}

// substring is SUBSTR of text or bytes. Positions count from 1, negative ones from the end; one before the start is
// the start.
func substring(a []driver.Value) (driver.Value, error) {
	position, length := whole(a[1]), whole(a[2])
	if length < 0 {
		return nil, errors.New("the third argument of SUBSTR must not be negative")
	}
	cut := func(size int) (from, to int64) {
		from = max(0, position-1)
		if position < 0 {
			from = max(0, int64(size)+position)
		}
		from = min(from, int64(size))
		return from, from + min(length, int64(size)-from)
	}
	if b, ok := a[0].([]byte); ok {
		from, to := cut(len(b))
		return b[from:to], nil
	}
	runes := []rune(text(a[0]))
	from, to := cut(len(runes))
	return string(runes[from:to]), nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// kinds keeps the types that TO_JSON_STRING was called with, by their JSON: a query uses few, over many rows.
var kinds sync.Map

// toJSON is TO_JSON_STRING: a value, and its column as JSON.
func toJSON(a []driver.Value) (driver.Value, error) {
	c := &row.Column{}
	if known, ok := kinds.Load(text(a[1])); ok {
		c = known.(*row.Column)
	} else if err := json.Unmarshal([]byte(text(a[1])), c); err != nil {
		return nil, err
	}
	kinds.Store(text(a[1]), c)
	if c.Type == row.JSON && !c.Repeated {
		return text(a[0]), nil
	}
	v, err := result(c, a[0])
	return string(row.AppendValue(nil, c, v, row.People)), err
}

// patterns keeps compiled regular expressions: a query uses few, over many rows.
var patterns sync.Map

func pattern(s string) (*regexp.Regexp, error) {
	if re, ok := patterns.Load(s); ok {
		return re.(*regexp.Regexp), nil
	}
	re, err := regexp.Compile(s)
	if err == nil {
		patterns.Store(s, re)
	}
	return re, err
}

func match(re, s string) (driver.Value, error) {
	r, err := pattern(re)
	if err != nil {
		return nil, err
	}
	return r.MatchString(s), nil
}

func likePattern(like string) string {
	var b strings.Builder
	b.WriteString("(?s)^")
	for i := 0; i < len(like); i++ {
		switch c := like[i]; {
		case c == '%':
			b.WriteString(".*")
		case c == '_':
			b.WriteString(".")
		case c == '\\' && i+1 < len(like):
			i++
			b.WriteString(regexp.QuoteMeta(like[i : i+1]))
		case c < 0x80:
			b.WriteString(regexp.QuoteMeta(like[i : i+1]))
		default:
			b.WriteByte(c)
		}
	}
	return b.String() + "$"
}

func regexpExtract(a []driver.Value) (driver.Value, error) {
	re, err := pattern(text(a[1]))
	if err != nil {
		return nil, err
	}
	m := re.FindStringSubmatch(text(a[0]))
	if m == nil {
		return nil, nil
	}
	return m[len(m)-1], nil
}

func listElement(a []driver.Value) (driver.Value, error) {
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(text(a[0])), &list); err != nil {
		return nil, err
	}
	i := whole(a[1])
	if i < 0 || i >= int64(len(list)) {
		if whole(a[2]) != 0 {
			return nil, nil
		}
		return nil, fmt.Errorf("array index %d is out of bounds", i)
	}
	e := list[i]
	switch e[0] {
	case 'n':
		return nil, nil
	case 't', 'f':
		return e[0] == 't', nil
	case '"':
		var s string
		err := json.Unmarshal(e, &s)
		return s, err
	case '{', '[':
		return string(e), nil
	}
	if n, err := strconv.ParseInt(string(e), 10, 64); err == nil {
		return n, nil
	}
	return strconv.ParseFloat(string(e), 64)
}

// quantiles is APPROX_QUANTILES, exact here: it keeps the numbers of its group.
type quantiles struct {
	values []float64
	n      int
	ints   bool
}

// Step implements sqlite.AggregateFunction.
func (q *quantiles) Step(_ *sqlite.FunctionContext, a []driver.Value) error {
	if len(q.values) == 0 {
		q.ints = true
	}
	q.n = int(whole(a[1]))
	switch a[0].(type) {
	case nil:
		return nil
	case int64:
	case float64:
		q.ints = false
	default:
		return errors.New("the sandbox does APPROX_QUANTILES of numbers and timestamps only")
	}
	q.values = append(q.values, fraction(a[0]))
	return nil
}

// WindowInverse implements sqlite.AggregateFunction.
func (q *quantiles) WindowInverse(*sqlite.FunctionContext, []driver.Value) error {
	return errors.New("the sandbox does not support APPROX_QUANTILES with OVER")
}

// WindowValue implements sqlite.AggregateFunction.
func (q *quantiles) WindowValue(*sqlite.FunctionContext) (driver.Value, error) {
	if len(q.values) == 0 || q.n < 1 || q.n > 100_000 {
		return nil, nil
	}
	slices.Sort(q.values)
	var out []byte
	for i := range q.n + 1 {
		v := q.values[i*(len(q.values)-1)/q.n]
		sep := byte(',')
		if i == 0 {
			sep = '['
		}
		out = append(out, sep)
		if q.ints {
			out = strconv.AppendInt(out, int64(v), 10)
		} else {
			out = strconv.AppendFloat(out, v, 'g', -1, 64)
		}
	}
	return string(append(out, ']')), nil
}

// Final implements sqlite.AggregateFunction.
func (q *quantiles) Final(*sqlite.FunctionContext) {}
