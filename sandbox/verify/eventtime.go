package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// EventTime says where a payload has its event_time, as a contract does.
type EventTime struct {
	// Field is the path of the field; empty is "timestamp".
	Field string
	// Unit is what a whole number counts since the epoch: one of Units; empty is "auto".
	Unit string
	// None says that the contract names no field: event_time is null.
	None bool
}

// Units are the units of a whole number: auto goes by its magnitude, as contracts do.
var Units = []string{"auto", "s", "ms", "us", "ns"}

func (e EventTime) valid() error {
	if e.Unit != "" && !slices.Contains(Units, e.Unit) {
		return fmt.Errorf("event time in %q: want one of %s", e.Unit, strings.Join(Units, ", "))
	}
	return nil
}

// of is what event_time must hold: nil where the payload has none, or none that this package can read.
func (e EventTime) of(payload map[string]any) any {
	if e.None {
		return nil
	}
	field := e.Field
	if field == "" {
		field = "timestamp"
	}
	var v any = payload
	for name := range strings.SplitSeq(field, ".") {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	switch v := v.(type) {
	case int64:
		return e.moment(v)
	case int32:
		return e.moment(int64(v))
	case time.Time:
		return v
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return at
		}
	}
	return nil
}

// moment is what a whole number means.
func (e EventTime) moment(n int64) time.Time {
	unit := e.Unit
	if unit == "" || unit == "auto" {
		abs := max(n, -n)
		switch {
		case abs < 0: // -1 << 63
			unit = "ns"
		case abs < 1e11:
			unit = "s"
		case abs < 1e14:
			unit = "ms"
		case abs < 1e17:
			unit = "us"
		default:
			unit = "ns"
		}
	}
	switch unit {
	case "s":
		return time.Unix(n, 0)
	case "ms":
		return time.UnixMilli(n)
	case "us":
		return time.UnixMicro(n)
	}
	return time.Unix(0, n)
}
