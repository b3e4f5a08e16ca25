package query

import (
	"database/sql/driver"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

// dateParts are the parts of EXTRACT, *_TRUNC, *_DIFF, *_ADD and *_SUB; those with microseconds have one length always.
var dateParts = map[string]int64{
	"MICROSECOND": 1, "MILLISECOND": 1000, "SECOND": 1e6, "MINUTE": 60e6, "HOUR": 3600e6, "DAY": 86400e6,
	"WEEK": 0, "ISOWEEK": 0, "MONTH": 0, "QUARTER": 0, "YEAR": 0, "DAYOFWEEK": 0, "DAYOFYEAR": 0, "DATE": 0,
}

func partOf(e *expr) (string, error) {
	if e.op == "path" && len(e.path) == 1 {
		part := strings.ToUpper(e.path[0])
		if _, known := dateParts[part]; known {
			return part, nil
		}
	}
	return "", refuse(e.at, "The sandbox does not know this date part")
}

func extract(e *expr, args []value) (value, error) {
	if _, known := dateParts[e.text]; !known {
		return value{}, refuse(e.at, "The sandbox does not support EXTRACT(%s)", e.text)
	}
	zone := "'UTC'"
	if len(args) > 1 {
		zone = args[1].sql
	}
	us, err := moment(args[0], e.at)
	if e.text == "DATE" {
		return typed(row.Date, "bq_date(%s, %s)", us, zone), err
	}
	return typed(row.Integer, "bq_extract('%s', %s, %s)", e.text, us, zone), err
}

// moment is a TIMESTAMP, DATE or DATETIME as microseconds.
func moment(v value, at int) (string, error) {
	switch {
	case v.col.Repeated:
	case v.col.Type == row.Timestamp:
		return v.sql, nil
	case v.col.Type == row.Date, v.col.Type == row.DateTime, v.col.Type == row.String, v.col.Type == "":
		return "bq_cast(" + v.sql + ", 'STRING', 'TIMESTAMP', 0)", nil
	}
	return "", refuse(at, "No matching signature: %s is not a date or a time", v.col.Type)
}

// dated translates the functions with a date part; ok is false for any other call.
func (t *translator) dated(e *expr, sc *scope) (out value, ok bool, err error) {
	kind, verb, found := strings.Cut(e.text, "_")
	if e.text == "DATE" || e.text == "TIMESTAMP" {
		out, err = t.convert(e, sc)
		return out, true, err
	}
	if !found || kind != "TIMESTAMP" && kind != "DATE" && kind != "DATETIME" ||
		!slices.Contains([]string{"TRUNC", "DIFF", "ADD", "SUB"}, verb) {
		return out, false, nil
	}
	n := len(e.args)
	if n < 2 || n > 3 {
		return out, true, refuse(e.at, "%s takes two or three arguments", e.text)
	}
	a, err := t.expr(e.args[0], sc)
	if err != nil {
		return out, true, err
	}
	result := row.Type(kind)
	us, err := moment(a, e.at)
	if err != nil {
		return out, true, err
	}
	switch verb {
	case "TRUNC":
		out, err = t.trunc(e, us, sc)
	case "DIFF":
		b, err := t.expr(e.args[1], sc)
		if err != nil || n != 3 {
			return out, true, cmpErr(err, refuse(e.at, "%s takes three arguments", e.text))
		}
		other, err := moment(b, e.at)
		if err != nil {
			return out, true, err
		}
		part, err := partOf(e.args[2])
		return typed(row.Integer, "bq_diff('%s', %s, %s, %t)", part, us, other, kind == "TIMESTAMP"), true, err
	default:
		out, err = t.shift(e, us, verb, sc)
	}
	if err != nil {
		return out, true, err
	}
	return typed(result, "bq_cast(%s, 'TIMESTAMP', '%s', 0)", out.sql, result), true, nil
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func (t *translator) trunc(e *expr, us string, sc *scope) (value, error) {
	part, err := partOf(e.args[1])
	if err != nil {
		return value{}, err
	}
	zone := value{sql: "'UTC'"}
	if len(e.args) == 3 {
		if zone, err = t.expr(e.args[2], sc); err != nil {
			return value{}, err
		}
	}
	return typed(row.Timestamp, "bq_trunc('%s', %s, %s)", part, us, zone.sql), nil
}

func (t *translator) shift(e *expr, us, verb string, sc *scope) (value, error) {
	i := e.args[1]
	if i.op != "interval" {
		return value{}, refuse(i.at, "%s takes an INTERVAL", e.text)
	}
	if _, known := dateParts[i.text]; !known {
		return value{}, refuse(i.at, "The sandbox does not support INTERVAL … %s", i.text)
	}
	n, err := t.expr(i.args[0], sc)
	if err != nil {
		return value{}, err
	}
	sign := ""
	if verb == "SUB" {
		sign = "-"
	}
	return typed(row.Timestamp, "bq_add('%s', %s, %s(%s))", i.text, us, sign, n.sql), nil
}

// convert is DATE(x[, zone]) and TIMESTAMP(x).
func (t *translator) convert(e *expr, sc *scope) (value, error) {
	args, err := t.all(e.args, sc)
	switch {
	case err != nil:
		return value{}, err
	case e.text == "DATE" && len(args) == 3:
		return typed(row.Date, "printf('%%04d-%%02d-%%02d', %s, %s, %s)", args[0].sql, args[1].sql, args[2].sql), nil
	case len(args) == 0 || len(args) > 2 || e.text == "TIMESTAMP" && len(args) != 1:
		return value{}, refuse(e.at, "The sandbox does not support %s with %s arguments", e.text,
			strconv.Itoa(len(args)))
	}
	us, err := moment(args[0], e.at)
	if err != nil || e.text == "TIMESTAMP" {
		return typed(row.Timestamp, "%s", us), err
	}
	zone := "'UTC'"
	if len(args) == 2 {
		zone = args[1].sql
	}
	return typed(row.Date, "bq_date(%s, %s)", us, zone), nil
}

// local is a moment in a zone: an IANA name, or an offset such as +02:00.
func local(us, zone driver.Value) (time.Time, error) {
	t := time.UnixMicro(whole(us)).UTC()
	name := text(zone)
	if name == "" || strings.EqualFold(name, "UTC") {
		return t, nil
	}
	if z, err := time.Parse("-07:00", name); err == nil {
		_, offset := z.Zone()
		return t.In(time.FixedZone(name, offset)), nil
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		return t, fmt.Errorf("invalid time zone: %s", name)
	}
	return t.In(l), nil
}

// partValue is EXTRACT.
func partValue(part string, t time.Time) int64 {
	switch part {
	case "MICROSECOND":
		return int64(t.Nanosecond() / 1000)
	case "MILLISECOND":
		return int64(t.Nanosecond() / 1_000_000)
	case "SECOND":
		return int64(t.Second())
	case "MINUTE":
		return int64(t.Minute())
	case "HOUR":
		return int64(t.Hour())
	case "DAY":
		return int64(t.Day())
	case "DAYOFWEEK":
		return int64(t.Weekday()) + 1
	case "DAYOFYEAR":
		return int64(t.YearDay())
	case "WEEK":
		return int64((t.YearDay() + 6 - int(t.Weekday())) / 7)
	case "ISOWEEK":
		_, week := t.ISOWeek()
		return int64(week)
	case "MONTH":
		return int64(t.Month())
	case "QUARTER":
		return int64(t.Month()-1)/3 + 1
	}
	return int64(t.Year())
}

// truncate is TIMESTAMP_TRUNC and DATE_TRUNC. Weeks start on Sunday, ISO weeks on Monday.
func truncate(part string, t time.Time) time.Time {
	y, m, d := t.Date()
	switch part {
	case "YEAR":
		return time.Date(y, 1, 1, 0, 0, 0, 0, t.Location())
	case "QUARTER":
		return time.Date(y, (m-1)/3*3+1, 1, 0, 0, 0, 0, t.Location())
	case "MONTH":
		return time.Date(y, m, 1, 0, 0, 0, 0, t.Location())
	case "WEEK":
		return time.Date(y, m, d-int(t.Weekday()), 0, 0, 0, 0, t.Location())
	case "ISOWEEK":
		return time.Date(y, m, d-(int(t.Weekday())+6)%7, 0, 0, 0, 0, t.Location())
	case "HOUR":
		return time.Date(y, m, d, t.Hour(), 0, 0, 0, t.Location())
	case "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND":
		unit := dateParts[part]
		return time.UnixMicro(floorDiv(t.UnixMicro(), unit) * unit)
	}
	return time.Date(y, m, d, 0, 0, 0, 0, t.Location())
}

// shiftTime is *_ADD. A month too short for the day gives its last day.
func shiftTime(part string, t time.Time, n int64) time.Time {
	months := map[string]int64{"MONTH": 1, "QUARTER": 3, "YEAR": 12}[part]
	switch {
	case months > 0:
		first := time.Date(t.Year(), t.Month(), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(),
			t.Location()).AddDate(0, int(n*months), 0)
		last := first.AddDate(0, 1, -1).Day()
		return first.AddDate(0, 0, min(t.Day(), last)-1)
	case part == "WEEK":
		return t.AddDate(0, 0, int(n)*7)
	}
	return time.UnixMicro(t.UnixMicro() + n*dateParts[part]).UTC()
}

// difference is *_DIFF: whole units between two timestamps, or unit boundaries between two dates.
func difference(part string, a, b int64, whole bool) int64 {
	unit := dateParts[part]
	if unit > 0 && whole {
		return (a - b) / unit
	}
	if unit > 0 {
		return floorDiv(a, unit) - floorDiv(b, unit)
	}
	x, y := time.UnixMicro(a).UTC(), time.UnixMicro(b).UTC()
	switch part {
	case "YEAR":
		return int64(x.Year() - y.Year())
	case "QUARTER":
		return int64(x.Year()-y.Year())*4 + int64(x.Month()-1)/3 - int64(y.Month()-1)/3
	case "MONTH":
		return int64(x.Year()-y.Year())*12 + int64(x.Month()-y.Month())
	}
	return truncate(part, x).Sub(truncate(part, y)).Milliseconds() / (7 * 86400_000)
}

var layouts = map[byte]string{
	'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'F': "2006-01-02", 'T': "15:04:05",
	'R': "15:04", 'y': "06", 'b': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday", 'Z': "MST", 'z': "-0700", 'e': "_2",
	'I': "03", 'p': "PM",
	'j': "002",
}

// strftime is FORMAT_TIMESTAMP.
func strftime(format string, t time.Time) (driver.Value, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		switch c := format[i]; {
		case c == '%':
			b.WriteByte('%')
		case strings.HasPrefix(format[i:], "E*S"):
			i += 2
			b.WriteString(t.Format("05.999999"))
		case strings.HasPrefix(format[i:], "E3S"), strings.HasPrefix(format[i:], "E6S"):
			b.WriteString(t.Format("05." + strings.Repeat("0", int(format[i+1]-'0'))))
			i += 2
		case c == 's':
			fmt.Fprint(&b, t.Unix())
		case layouts[c] != "":
			b.WriteString(t.Format(layouts[c]))
		default:
			return nil, fmt.Errorf("the sandbox does not support %%%c in a format", c)
		}
	}
	return b.String(), nil
}
