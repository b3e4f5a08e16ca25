package row

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The bounds of DATE and TIMESTAMP: 0001-01-01 to 9999-12-31, in days and in microseconds since the epoch.
const (
	minDay, maxDay       = -719162, 2932896
	minMicros, maxMicros = -62135596800000000, 253402300799999999
)

func timestampRange(us int64) error {
	if us < minMicros || us > maxMicros {
		return fmt.Errorf("TIMESTAMP %d microseconds since the epoch is out of the range 0001-01-01 to 9999-12-31", us)
	}
	return nil
}

func formatDate(days int64) string { return time.Unix(days*86400, 0).UTC().Format(time.DateOnly) }

// FormatTimestamp renders microseconds since the epoch as RFC 3339 in UTC with six digits.
func FormatTimestamp(us int64) string {
	return time.UnixMicro(us).UTC().Format("2006-01-02T15:04:05.000000Z")
}

var zoneTail = regexp.MustCompile(`(?i)(Z| ?UTC| ?[+-]\d{1,2}(:?\d{2})?)$`)

// ParseTimestamp reads a TIMESTAMP literal, with or without a zone (UTC then), and gives microseconds since the epoch.
func ParseTimestamp(s string) (int64, error) {
	civil, zone := s, ""
	if loc := zoneTail.FindStringIndex(s); len(loc) > 0 && loc[0] >= len("2006-01-02") {
		civil, zone = s[:loc[0]], strings.TrimSpace(s[loc[0]:])
	}
	t, err := parseCivilTime(civil)
	if err != nil {
		return 0, fmt.Errorf("invalid timestamp: %q", s)
	}
	if zone != "" && !strings.EqualFold(zone, "Z") && !strings.EqualFold(zone, "UTC") {
		digits := strings.ReplaceAll(zone[1:], ":", "")
		if len(digits) <= 2 {
			digits += "00"
		}
		hhmm, _ := strconv.Atoi(digits)
		off := time.Duration(hhmm/100)*time.Hour + time.Duration(hhmm%100)*time.Minute
		if zone[0] == '-' {
			off = -off
		}
		t = t.Add(-off)
	}
	us := t.UnixMicro()
	return us, timestampRange(us)
}

func parseCivilTime(s string) (time.Time, error) {
	s = strings.Replace(strings.Replace(s, "t", "T", 1), "T", " ", 1)
	for _, layout := range []string{"2006-1-2 15:4:5", "2006-1-2 15:4", "2006-1-2"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("not a date and time")
}

func parseDate(s string) (string, error) {
	t, err := time.Parse("2006-1-2", s)
	if err != nil || t.Year() < 1 {
		return "", fmt.Errorf("invalid date: %q", s)
	}
	return t.Format(time.DateOnly), nil
}

func parseTime(s string) (string, error) {
	for _, layout := range []string{"15:4:5", "15:4"} {
		if t, err := time.Parse(layout, s); err == nil {
			return clock(t), nil
		}
	}
	return "", fmt.Errorf("invalid time: %q", s)
}

func parseDateTime(s string) (string, error) {
	t, err := parseCivilTime(s)
	if err != nil || t.Year() < 1 {
		return "", fmt.Errorf("invalid datetime: %q", s)
	}
	return t.Format(time.DateOnly) + "T" + clock(t), nil
}

// clock renders a time of day with no fraction or six digits of it, as BigQuery does.
func clock(t time.Time) string {
	if t.Nanosecond()/1000 == 0 {
		return t.Format(time.TimeOnly)
	}
	return t.Format("15:04:05.000000")
}

// civilTime and civilDateTime read the packed int64 forms of ZetaSQL's CivilTimeEncoder with microseconds
// (https://github.com/google/zetasql, public/civil_time.h).
func civilTime(v int64) (string, error) {
	us, sec, minute, hour := v&0xfffff, v>>20&0x3f, v>>26&0x3f, v>>32&0x1f
	if v < 0 || v>>37 != 0 || us > 999999 || sec > 59 || minute > 59 || hour > 23 {
		return "", fmt.Errorf("invalid packed TIME %d", v)
	}
	return clock(time.Date(2000, 1, 1, int(hour), int(minute), int(sec), int(us)*1000, time.UTC)), nil
}

func civilDateTime(v int64) (string, error) {
	day, month, year := v>>37&0x1f, v>>42&0xf, v>>46
	tod, err := civilTime(v & (1<<37 - 1))
	t := time.Date(int(year), time.Month(month), int(day), 0, 0, 0, 0, time.UTC)
	if err != nil || v < 0 || year < 1 || year > 9999 || t.Day() != int(day) || t.Month() != time.Month(month) {
		return "", fmt.Errorf("invalid packed DATETIME %d", v)
	}
	return t.Format(time.DateOnly) + "T" + tod, nil
}

func checkCivil(unpack func(int64) (string, error)) func(*field, scalar) error {
	return func(_ *field, s scalar) error { _, err := unpack(int64(s.n)); return err }
}

func readCivil(unpack func(int64) (string, error)) func(*field, scalar) any {
	return func(_ *field, s scalar) any { v, _ := unpack(int64(s.n)); return v }
}

var interval = regexp.MustCompile(`^(-?)(\d{1,5})-(\d{1,2}) (-?\d{1,7}) (-?)(\d{1,8}):(\d{1,2}):(\d{1,2})(\.\d{1,6})?$`)

// checkInterval takes the canonical form [-]Y-M [-]D [-]H:M:S[.F], each part within its bounds: 10000 years, 3660000
// days, 87840000 hours (https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#interval_type).
func checkInterval(_ *field, s scalar) error {
	m := interval.FindSubmatch(s.b)
	if m == nil {
		return fmt.Errorf("invalid interval: %q", s.b)
	}
	n := func(i int) int { v, _ := strconv.Atoi(string(m[i])); return v } // bounded digits
	years, months, days, hours, minutes, seconds := n(2), n(3), n(4), n(6), n(7), n(8)
	if months > 11 || minutes > 59 || seconds > 59 || years*12+months > 120000 || days < -3660000 || days > 3660000 ||
		hours*3600+minutes*60+seconds > 87840000*3600 {
		return fmt.Errorf("interval out of range: %q", s.b)
	}
	return nil
}

// bounds are the most digits before and after the point.
type bounds struct{ whole, scale int64 }

var (
	numericBounds    = bounds{29, 9}
	bigNumericBounds = bounds{39, 38}
	// bigNumericMax is 5.7896044618658097711785492504343953926634992332820282019728792003956564819967e+38, scaled by
	// 10^38.
	bigNumericMax = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(1))
)

// of narrows the type's bounds to a column's precision and scale.
func (b bounds) of(c *Column) bounds {
	if c.Precision > 0 {
		return bounds{c.Precision - c.Scale, c.Scale}
	}
	return b
}

// parseDecimal brings a decimal string, with or without exponent, into BigQuery's canonical form.
func parseDecimal(s string, b bounds) (string, error) {
	bad := fmt.Errorf("invalid NUMERIC value: %q", s)
	mantissa, exponent := s, int64(0)
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.ParseInt(s[i+1:], 10, 16)
		if err != nil || e > 100 || e < -100 {
			return "", bad
		}
		mantissa, exponent = s[:i], e
	}
	negative := strings.HasPrefix(mantissa, "-")
	mantissa = strings.TrimPrefix(strings.TrimPrefix(mantissa, "-"), "+")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" || len(s) > 200 {
		return "", bad
	}
	point := int64(len(whole)) + exponent
	switch {
	case point < 0:
		digits, point = strings.Repeat("0", int(-point))+digits, 0
	case point > int64(len(digits)):
		digits += strings.Repeat("0", int(point)-len(digits))
	}
	whole, fraction = strings.TrimLeft(digits[:point], "0"), strings.TrimRight(digits[point:], "0")
	if int64(len(whole)) > b.whole || int64(len(fraction)) > b.scale {
		return "", fmt.Errorf("NUMERIC value out of range: %q has more than %d digits before or %d after the point",
			s, b.whole, b.scale)
	}
	if b == bigNumericBounds {
		if v, _ := new(big.Int).SetString("0"+whole+fraction+strings.Repeat("0", 38-len(fraction)),
			10); v.Cmp(bigNumericMax) > 0 {
			return "", fmt.Errorf("BIGNUMERIC value out of range: %q", s)
		}
	}
	return decimalText(negative, whole, fraction), nil
}

func decimalText(negative bool, whole, fraction string) string {
	out := whole
	if out == "" {
		out = "0"
	}
	if fraction != "" {
		out += "." + fraction
	}
	if negative && out != "0" {
		out = "-" + out
	}
	return out
}

// decimalBytes reads the packed form: a little-endian two's complement integer scaled by the type's scale.
func decimalBytes(b []byte, of, limit bounds) (string, error) {
	most := 16
	if of == bigNumericBounds {
		most = 32
	}
	if len(b) == 0 || len(b) > most {
		return "", fmt.Errorf("invalid packed NUMERIC of %d bytes", len(b))
	}
	be := slices.Clone(b)
	slices.Reverse(be)
	v := new(big.Int).SetBytes(be)
	if be[0]&0x80 != 0 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(be))))
	}
	negative := v.Sign() < 0
	digits := v.Abs(v).String()
	if pad := int(of.scale) + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	point := len(digits) - int(of.scale)
	s := digits[:point] + "." + digits[point:]
	if negative {
		s = "-" + s
	}
	return parseDecimal(s, limit)
}

// Canonical brings the text of a DATE, TIME, DATETIME, NUMERIC or BIGNUMERIC into BigQuery's canonical form.
func Canonical(t Type, s string) (string, error) {
	switch t {
	case Date:
		return parseDate(s)
	case Time:
		return parseTime(s)
	case DateTime:
		return parseDateTime(s)
	case Numeric:
		return parseDecimal(s, numericBounds)
	case BigNumeric:
		return parseDecimal(s, bigNumericBounds)
	}
	return "", fmt.Errorf("%s has no canonical text", t)
}
