package decode

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

// value is what a text becomes in a column, or the reason that it does not.
func value(c Column, text string) string {
	cell := Cell{Column: &c}
	out, reason := cell.AppendText([]byte("+"), []byte(text), &Taken{})
	return written(&c, out, reason)
}

// written is the value behind a plus, or the reason why there is none.
func written(c *Column, out []byte, reason string) string {
	switch rest := out[1:]; {
	case reason != "" && len(rest) > 0:
		return "bytes and a reason"
	case reason != "":
		return "refused: " + reason
	case c.IsNumber():
		v, _ := protowire.ConsumeVarint(rest)
		return fmt.Sprint(int64(v))
	default:
		v, _ := protowire.ConsumeString(rest)
		return v
	}
}

func TestTexts(t *testing.T) {
	const refused = "refused"
	for _, c := range []struct {
		column     Column
		text, want string
	}{
		{Column{Type: Date}, "1970-01-01", "0"},
		{Column{Type: Date}, "0001-01-01", fmt.Sprint(MinDays)},
		{Column{Type: Date}, "9999-12-31", fmt.Sprint(MaxDays)},
		{Column{Type: Date}, "2024-2-29", "19782"},
		{Column{Type: Date}, "2023-02-29", refused},
		{Column{Type: Date}, "0000-01-01", refused},
		{Column{Type: Date}, "10000-01-01", refused},
		{Column{Type: Date}, "2024-01-01 ", refused},
		{Column{Type: Date}, "24-01-01", refused},
		{Column{Type: Date}, "", refused},
		{Column{Type: Time}, "23:59:59.999999999", "23:59:59.999999"},
		{Column{Type: Time}, "1:2:3", "01:02:03.000000"},
		{Column{Type: Time}, "24:00:00", refused},
		{Column{Type: Time}, "23:59:60", refused},
		{Column{Type: Time}, "12:00:00.", refused},
		{Column{Type: DateTime}, "2026-02-28T13:05:00.25", "2026-02-28 13:05:00.250000"},
		{Column{Type: DateTime}, "2026-02-28 13:05:00", "2026-02-28 13:05:00.000000"},
		{Column{Type: DateTime}, "2026-02-28", "2026-02-28 00:00:00.000000"},
		{Column{Type: DateTime}, "2026-02-28T13:05:00Z", refused},
		{Column{Type: Timestamp}, "1970-01-01T00:00:01Z", "1000000"},
		{Column{Type: Timestamp}, "1970-01-01 01:00:00+01:00", "0"},
		{Column{Type: Timestamp}, "1970-01-01 00:00:00 -0130", "5400000000"},
		{Column{Type: Timestamp}, "1970-01-01 00:00:00+1", "-3600000000"},
		{Column{Type: Timestamp}, "1970-01-01 00:00:00.5 UTC", "500000"},
		{Column{Type: Timestamp}, "1970-01-01", "0"},
		{Column{Type: Timestamp}, "0001-01-01T00:00:00+01:00", refused},
		{Column{Type: Timestamp}, "9999-12-31T23:59:59.999999-00:01", refused},
		{Column{Type: Timestamp}, "1970-01-01T00:00:00 Europe/Paris", refused},
		{Column{Type: Timestamp}, "1970-01-01T00:00:00+15:00", refused},
		{Column{Type: Timestamp}, "1970-01-01T00:00:00+01:0x", refused},
		{Column{Type: Numeric}, "-0012.3400", "-12.34"},
		{Column{Type: Numeric}, "1.5e3", "1500"},
		{Column{Type: Numeric}, "15E-4", "0.0015"},
		{Column{Type: Numeric}, "-0.000", "0"},
		{Column{Type: Numeric}, "99999999999999999999999999999.999999999", "99999999999999999999999999999.999999999"},
		{Column{Type: Numeric}, "100000000000000000000000000000", refused},
		{Column{Type: Numeric}, "0.0000000001", refused},
		{Column{Type: Numeric}, "1.0000000000000", "1"},
		{Column{Type: BigNumeric}, "0.0000000001", "0.0000000001"},
		{
			Column{Type: BigNumeric},
			strings.Repeat("9", 38) + "." + strings.Repeat("9", 38),
			strings.Repeat("9", 38) + "." + strings.Repeat("9", 38),
		},
		{Column{Type: BigNumeric}, strings.Repeat("9", 39), refused},
		{Column{Type: BigNumeric}, "1" + strings.Repeat("0", 100), refused},
		{Column{Type: BigNumeric}, "1e-39", refused},
		{Column{Type: BigNumeric}, "1e99999999999", refused},
		{Column{Type: Numeric, Precision: 5, Scale: 2}, "123.45", "123.45"},
		{Column{Type: Numeric, Precision: 5, Scale: 2}, "1234", refused},
		{Column{Type: Numeric, Precision: 5, Scale: 2}, "1.234", refused},
		{Column{Type: Numeric}, "1_000", refused},
		{Column{Type: Numeric}, "", refused},
		{Column{Type: Numeric}, "NaN", refused},
		{Column{Type: Numeric}, ".5", "0.5"},
		{Column{Type: Numeric}, "1.2.3", refused},
		{Column{Type: Interval}, "1-2 3 4:5:6.789", "1-2 3 4:5:6.789"},
		{Column{Type: Interval}, "-1-2 -3 -4:5:6", "-1-2 -3 -4:5:6"},
		{Column{Type: Interval}, "10000-0 3660000 87840000:0:0", "10000-0 3660000 87840000:0:0"},
		{Column{Type: Interval}, "10000-1 0 0:0:0", refused},
		{Column{Type: Interval}, "0-12 0 0:0:0", refused},
		{Column{Type: Interval}, "0-0 3660001 0:0:0", refused},
		{Column{Type: Interval}, "0-0 0 87840000:0:1", refused},
		{Column{Type: Interval}, "P1Y", refused},
		{Column{Type: Interval}, "1-2 3 4:5:6.1234567", refused},
		{Column{Type: JSON}, `{"a":1}`, `{"a":1}`},
		{Column{Type: JSON}, `{"a":}`, "refused: no JSON value starts here, but '}', at byte 5 of the text"},
		{Column{Type: String}, "é", "é"},
		{Column{Type: String}, "a\xff", "refused: text is not valid UTF-8, at byte 1 of the text"},
		{Column{Type: Geography}, "POINT(1 2)", "POINT(1 2)"},
		{Column{Type: Geography}, "point ( -1.5e1 89.9 )", "point ( -1.5e1 89.9 )"},
		{Column{Type: Geography}, "POINT EMPTY", "POINT EMPTY"},
		{Column{Type: Geography}, "LINESTRING(1 1, 2 2)", "LINESTRING(1 1, 2 2)"},
		{
			Column{Type: Geography},
			"POLYGON((0 0,1 0,1 1,0 0),(0 0,1 0,1 1,0 0))",
			"POLYGON((0 0,1 0,1 1,0 0),(0 0,1 0,1 1,0 0))",
		},
		{
			Column{Type: Geography},
			"MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((0 0,1 0,1 1,0 0)))",
			"MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((0 0,1 0,1 1,0 0)))",
		},
		{Column{Type: Geography}, "MULTIPOINT((1 2),3 4)", "MULTIPOINT((1 2),3 4)"},
		{
			Column{Type: Geography},
			"GEOMETRYCOLLECTION(POINT(1 2),GEOMETRYCOLLECTION(POINT(1 2)),LINESTRING(1 2,3 4))",
			"GEOMETRYCOLLECTION(POINT(1 2),GEOMETRYCOLLECTION(POINT(1 2)),LINESTRING(1 2,3 4))",
		},
		{Column{Type: Geography}, `{"type":"Point","coordinates":[1,2]}`, `{"type":"Point","coordinates":[1,2]}`},
		{Column{Type: Geography}, `{"type":`, refused},
		{Column{Type: Geography}, "POINT(1 91)", "refused: the latitude is not within 90 degrees, at byte 10 of " +
			"the text"},
		{Column{Type: Geography}, "POINT(1 2 3)", refused},
		{Column{Type: Geography}, "POINT Z(1 2 3)", refused},
		{Column{Type: Geography}, "POINT(1 2, 3 4)", refused},
		{Column{Type: Geography}, "POLYGON(0 0,1 0)", refused},
		{Column{Type: Geography}, "POINT(1 2", refused},
		{Column{Type: Geography}, "POINT(1 2))", refused},
		{Column{Type: Geography}, "CIRCLE(1 2)", refused},
		{Column{Type: Geography}, "", refused},
		{Column{Type: Geography}, "GEOMETRYCOLLECTION(POINT(1 2)", refused},
	} {
		got := value(c.column, c.text)
		if got != c.want && (c.want != refused || !strings.HasPrefix(got, refused)) {
			t.Errorf("%v of %q: %s, want %s", c.column.Type, c.text, got, c.want)
		}
		if strings.HasPrefix(got, refused) {
			continue
		}
		room, text, cell, taken := make([]byte, 0, 300), []byte(c.text), Cell{Column: &c.column}, Taken{}
		if n := testing.AllocsPerRun(10, func() { cell.AppendText(room, text, &taken) }); n > 0 {
			t.Errorf("%v of %q: %v allocations", c.column.Type, c.text, n)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		column Column
		v      int64
		want   string
	}{
		{Column{Type: Date}, 19782, "19782"},
		{Column{Type: Date}, MaxDays + 1, "refused"},
		{Column{Type: Date, Unit: Millis}, -1, "-1"},
		{Column{Type: Timestamp, Unit: Seconds}, 5, "5000000"},
		{Column{Type: Timestamp}, 1_800_000_000_123, "1800000000123000"},
		{Column{Type: Timestamp, Unit: Seconds}, 1 << 62, "refused"},
		{Column{Type: DateTime, Unit: Millis}, 1500, "1970-01-01 00:00:01.500000"},
		{Column{Type: DateTime, Unit: Seconds}, 1 << 62, "refused"},
		{Column{Type: Time, Unit: Nanos}, 1_500_000_000, "00:00:01.500000"},
		{Column{Type: Time, Unit: Seconds}, 86400, "refused"},
		{Column{Type: Time, Unit: Seconds}, -1, "refused"},
		{Column{Type: Numeric}, -1 << 63, "-9223372036854775808"},
		{Column{Type: Numeric, Precision: 3}, 1000, "refused"},
		{Column{Type: Numeric, Precision: 4, Scale: 1}, 100, "100"},
		{Column{Type: String}, -7, "-7"},
	} {
		cell := Cell{Column: &c.column}
		out, reason := cell.AppendNumber([]byte("+"), c.v, &Taken{})
		got := written(&c.column, out, reason)
		if reason != "" {
			got = "refused"
		}
		if got != c.want {
			t.Errorf("%v of %d: %s (%s), want %s", c.column, c.v, got, reason, c.want)
		}
	}
}

func TestChecks(t *testing.T) {
	for _, c := range []struct {
		column Column
		source Source
		ok     bool
	}{
		{Column{Type: JSON}, FromText, true},
		{Column{Type: JSON}, FromNumber, false},
		{Column{Type: Timestamp, Unit: Millis}, FromText, false},
		{Column{Type: Timestamp, Unit: Millis}, FromNumber, true},
		{Column{Type: Time}, FromNumber, false},
		{Column{Type: Range}, FromRecord, true},
		{Column{Type: Range}, FromText, false},
		{Column{Type: Date}, FromRecord, false},
		{Column{Type: Numeric, Precision: 38, Scale: 9}, FromText, true},
		{Column{Type: Numeric, Precision: 39, Scale: 9}, FromText, false},
		{Column{Type: Numeric, Precision: 10, Scale: 10}, FromText, false},
		{Column{Type: BigNumeric, Precision: 76, Scale: 38}, FromText, true},
	} {
		if reason := c.column.Check(c.source); (reason == "") != c.ok {
			t.Errorf("%+v from %v: %q", c.column, c.source, reason)
		}
	}
	for _, name := range TargetNames() {
		if TargetOf(name).String() != name {
			t.Errorf("%s is %v", name, TargetOf(name))
		}
	}
	if TargetOf("json") != NoTarget || TargetOf("") != NoTarget {
		t.Error("a target out of nothing")
	}
}

// Moments are what the standard library says, and decimals what big.Rat says.
func TestAgainstStandardLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMicro(rapid.Int64Range(MinMicros, MaxMicros).Draw(t, "at")).UTC()
		date, stamp := Column{Type: Date}, Column{Type: Timestamp}
		if got, want := value(date, at.Format("2006-01-02")),
			fmt.Sprint(floorDiv(at.UnixMicro(), DayMicros)); got != want {
			t.Fatalf("%v: %s, want %s", at, got, want)
		}
		zone := time.FixedZone("", 60*rapid.IntRange(-14*60, 14*60).Draw(t, "zone"))
		if local := at.In(zone); local.Year() >= 1 && local.Year() <= 9999 {
			for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999-0700"} {
				if got, want := value(stamp, local.Format(layout)), fmt.Sprint(at.UnixMicro()); got != want {
					t.Fatalf("%s: %s, want %s", local.Format(layout), got, want)
				}
			}
		}
		text := rapid.StringMatching(`[-+]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,2})?`).Draw(t, "decimal")
		want, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("%s is no number", text)
		}
		got := value(Column{Type: BigNumeric}, text)
		if strings.HasPrefix(got, "refused") {
			limit := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(38), nil))
			small := new(big.Rat).Mul(want, limit)
			if new(big.Rat).Abs(want).Cmp(limit) < 0 && small.IsInt() {
				t.Fatalf("%s: %s", text, got)
			}
			return
		}
		if back, ok := new(big.Rat).SetString(got); !ok || back.Cmp(want) != 0 {
			t.Fatalf("%s became %s", text, got)
		}
	})
}

// FuzzTexts looks for texts that break a column's parser, or that get through as text that is none.
func FuzzTexts(f *testing.F) {
	for _, text := range []string{
		"1-2 3 4:5:6.7", "POINT(1 2)", "GEOMETRYCOLLECTION(POINT EMPTY)", "2026-02-28T13:05:00.25+01:00", "-1.5e-3",
		`{"a":[1]}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for target := String; target <= Interval; target++ {
			got := value(Column{Type: target}, text)
			if !strings.HasPrefix(got, "refused") && !utf8.ValidString(got) {
				t.Errorf("%v of %q: %q", target, text, got)
			}
			if target == DateTime && !strings.HasPrefix(got, "refused") && value(Column{Type: DateTime}, got) != got {
				t.Errorf("%q became %q, which is another", text, got)
			}
		}
	})
}
