package decode

import (
	"testing"
	"time"
)

// Every format reads its texts with ReadMoment, so what it says must not depend on how many digits a part is written
// with, and the calendar must be that of the standard library.
func TestMomentsAreThoseOfTheStandardLibrary(t *testing.T) {
	for days := int64(MinDays); days <= MaxDays; days += 101 {
		at := time.Unix(days*86400+days%86400+86399*(days&1), 123456000).UTC()
		if at.Year() < 1 || at.Year() > 9999 {
			continue
		}
		for _, layout := range []string{
			"2006-01-02T15:04:05.999999Z07:00", "2006-1-2 15:4:5.999999 +0", "2006-01-02t15:04:05.999999 UTC",
		} {
			text := at.Format(layout)
			m, reason := ReadMoment([]byte(text))
			if micros, ok := m.Micros(); reason != "" || !ok || micros != at.UnixMicro() {
				t.Fatalf("%s: %d %v %s, want %d", text, micros, ok, reason, at.UnixMicro())
			}
		}
	}
}

func TestMoments(t *testing.T) {
	for _, c := range []struct {
		text   string
		micros int64
		reason string
		full   bool
	}{
		{"1970-01-01T00:00:01Z", 1_000_000, "", true},
		{"1970-1-1 0:0:1Z", 1_000_000, "", false},
		{"1970-01-01T00:00:01.1234567891Z", 1_123_456, "", true}, // any number of digits
		{"1970-01-01T15:00:00+14:59", 60_000_000, "", true},
		{"1970-01-01T00:00:00+15:00", 0, MalformedReason, false},
		{"1970-01-01T01:00:00+01", 0, "", false},
		{"1970-01-01T00:00:00+01:60", 0, MalformedReason, false},
		{"1970-01-01T00:00:00 UTC", 0, "", false},
		{"1970-01-01", 0, "", true},
		{"1970-01-01T", 0, MalformedReason, false},
		{"1970-01-01T24:00:00", 0, MalformedReason, false},
		{"1970-01-01T00:00:00.", 0, MalformedReason, false},
		{"1970-02-30", 0, NoDayReason, false},
		{"0000-01-01", 0, TimestampReason, false},
		{"19700-01-01", 0, MalformedReason, false},
		{"", 0, MalformedReason, false},
	} {
		m, reason := ReadMoment([]byte(c.text))
		if micros, _ := m.Micros(); reason != c.reason || reason == "" && (micros != c.micros || m.Full != c.full) {
			t.Errorf("%s: %d full %v %s, want %d %v %s", c.text, micros, m.Full, reason, c.micros, c.full, c.reason)
		}
	}
}
