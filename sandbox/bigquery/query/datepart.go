package query

import (
	"database/sql/driver"
	"fmt"
	"strings"
	"time"
)

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
