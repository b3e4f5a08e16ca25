package contract

import (
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// beyonds are the choices of dates.beyond.
var beyonds = map[string]decode.Beyond{
	"": decode.RefuseFar, toDeadLetter: decode.RefuseFar, "set_null": decode.NullFar, "clamp": decode.ClampFar,
}

// check reports what is wrong with the dates by themselves.
func (d *Dates) check(report func(key, message, remedy string)) {
	if _, ok := beyonds[d.Beyond]; !ok {
		report("beyond", fmt.Sprintf("%q is not one of the choices", d.Beyond),
			"choose "+strings.Join([]string{toDeadLetter, "set_null", "clamp"}, ", "))
	}
	bounds := [2]int64{decode.MinMicros, decode.MaxMicros}
	for i, bound := range []struct{ key, text string }{{"from", d.From}, {"to", d.To}} {
		if bound.text == "" {
			continue
		}
		micros, reason := boundOf(bound.text, i == 1)
		if reason != "" {
			report(bound.key, fmt.Sprintf("%q: %s", bound.text, reason),
				"write a date such as 1900-01-01, or a time such as 1900-01-01T00:00:00Z")
			return
		}
		bounds[i] = micros
	}
	if bounds[0] > bounds[1] {
		report("to", "it is before dates.from", "write a later one")
	}
}

// boundOf is a bound in microseconds: the start of a date, or its end.
func boundOf(text string, end bool) (micros int64, reason string) {
	m, reason := decode.ReadMoment([]byte(text))
	if reason == "" && m.HasClock && !m.HasZone {
		reason = "a time without a zone"
	}
	micros, ok := m.Micros()
	if reason == "" && !ok {
		reason = decode.TimestampReason
	}
	if end && !m.HasClock {
		micros += decode.DayMicros - 1
	}
	return micros, reason
}

// decoded are the dates as decoders understand them; nil for BigQuery's range alone, whose dates beyond are refused.
func (d *Dates) decoded() *decode.Dates {
	if slices.Contains([]Dates{{}, {Beyond: toDeadLetter}}, *d) {
		return nil
	}
	dates := &decode.Dates{From: decode.MinMicros, To: decode.MaxMicros, Beyond: beyonds[d.Beyond]}
	if d.From != "" {
		dates.From, _ = boundOf(d.From, false)
	}
	if d.To != "" {
		dates.To, _ = boundOf(d.To, true)
	}
	return dates
}
