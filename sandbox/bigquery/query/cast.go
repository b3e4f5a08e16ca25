package query

import (
	"database/sql/driver"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

// castValue is CAST and SAFE_CAST: a value, its type, the type it becomes, and whether NULL stands for an error.
func castValue(a []driver.Value) (driver.Value, error) {
	from, to := row.Type(text(a[1])), row.Type(text(a[2]))
	v, err := convertTo(a[0], from, to)
	if err != nil && whole(a[3]) != 0 {
		return nil, nil
	}
	return v, err
}

func convertTo(v driver.Value, from, to row.Type) (driver.Value, error) {
	bad := fmt.Errorf("bad %s value: %s", to, text(v))
	switch to {
	case row.Integer:
		switch v := v.(type) {
		case int64:
			return v, nil
		case float64:
			if tooLarge(v) {
				return nil, bad
			}
			return int64(math.Round(v)), nil
		}
		n, err := strconv.ParseInt(strings.TrimSpace(text(v)), 0, 64)
		if err != nil && from != row.String {
			return int64(math.Round(fraction(v))), nil
		}
		return n, cmpErr(nilOr(err, bad), nil)
	case row.Float:
		if s, ok := v.(string); ok {
			f, err := strconv.ParseFloat(s, 64)
			return f, nilOr(err, bad)
		}
		return fraction(v), nil
	case row.Boolean:
		if s, ok := v.(string); ok {
			b, err := strconv.ParseBool(strings.ToLower(s))
			return b, nilOr(err, bad)
		}
		return whole(v) != 0, nil
	case row.Bytes:
		return blob(v), nil
	case row.Timestamp:
		if n, ok := v.(int64); ok {
			return n, nil
		}
		return row.ParseTimestamp(text(v))
	case row.Date, row.DateTime, row.Time, row.Numeric, row.BigNumeric:
		if n, ok := v.(int64); ok && from == row.Timestamp {
			s := time.UnixMicro(n).UTC().Format("2006-01-02T15:04:05.000000")
			switch to {
			case row.Date:
				return s[:len(time.DateOnly)], nil
			case row.Time:
				return row.Canonical(to, s[len(time.DateOnly)+1:])
			}
			return row.Canonical(to, s)
		}
		s := text(v)
		if f, ok := v.(float64); ok {
			s = strconv.FormatFloat(f, 'f', -1, 64)
		}
		if to == row.Date && len(s) > len(time.DateOnly) {
			s = s[:len(time.DateOnly)]
		}
		return row.Canonical(to, s)
	}
	return asString(v, from), nil
}

// tooLarge says that a number is no INT64. SQLite goes on with a REAL where whole numbers overflow.
func tooLarge(v driver.Value) bool {
	f, ok := v.(float64)
	return ok && !(f >= -1<<63 && f < 1<<63) // NaN neither
}

func nilOr(err, instead error) error {
	if err == nil {
		return nil
	}
	return instead
}

func asString(v driver.Value, from row.Type) string {
	switch from {
	case row.Boolean:
		return strconv.FormatBool(whole(v) != 0)
	case row.Timestamp:
		s := time.UnixMicro(whole(v)).UTC().Format("2006-01-02 15:04:05.999999")
		return s + "+00"
	case row.Float:
		return strconv.FormatFloat(fraction(v), 'g', -1, 64)
	}
	return text(v)
}
