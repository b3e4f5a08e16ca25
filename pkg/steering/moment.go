package steering

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Moment reads a time as people write it: a day, a second, or how long ago.
func Moment(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339Nano} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Now().Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return time.Now().Add(-ago), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: write 2026-01-31, 2026-01-31T12:00:00Z, or how long ago, as 90m, "+
		"2h or 7d", text)
}

// Mark reads where a replay begins or ends: an offset, as @125, or a Moment.
func Mark(text string) (offset *int64, at time.Time, err error) {
	if digits, ok := strings.CutPrefix(text, "@"); ok {
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 {
			return nil, at, fmt.Errorf("%q is no offset: write @ and a number", text)
		}
		return &n, at, nil
	}
	if at, err = Moment(text); err != nil {
		return nil, at, fmt.Errorf("%w; or an offset, as @125", err)
	}
	return nil, at, nil
}

// Into reads where the rows of a replay go: one table, or OLD=NEW for each.
func Into(texts []string) (map[string]string, error) {
	out := map[string]string{}
	for _, text := range texts {
		old, other, named := strings.Cut(text, "=")
		if !named {
			old, other = "", text
		}
		if _, twice := out[old]; twice || other == "" || named && old == "" || !named && len(texts) > 1 {
			return nil, fmt.Errorf("%q: write one table, or OLD=NEW for each table", text)
		}
		out[old] = other
	}
	return out, nil
}
