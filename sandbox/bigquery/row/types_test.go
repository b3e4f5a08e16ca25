package row

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// Geographies that are long, in both of their forms.
const (
	polygon        = "POLYGON((0 0, 1 0, 1 1, 0 0), (0.1 0.1, 0.2 0.1, 0.2 0.2, 0.1 0.1))"
	collection     = "GEOMETRYCOLLECTION(POINT(1 2), MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0))))"
	pointJSON      = `{"type": "Point", "coordinates": [1, 2]}`
	collectionJSON = `{"type": "GeometryCollection", "geometries": [{"type":"LineString","coordinates":[[1,2],[3,4]]}]}`
)

// Every type that a row message can name takes what BigQuery takes, in BigQuery's canonical text, and refuses the
// rest row by row.
func TestTextTypes(t *testing.T) {
	for _, c := range []struct {
		column Column
		good   map[string]string // as sent, as read
		bad    []string
	}{
		{
			Column{Type: JSON},
			map[string]string{`{"a": [1, null]}`: `{"a": [1, null]}`, `"x"`: `"x"`, "3": "3"},
			[]string{"", "{", "x", `{"a":}`, "1 2", "\xff"},
		},
		{
			Column{Type: Numeric},
			map[string]string{
				"1.50": "1.5", "-3": "-3", "99999999999999999999999999999.999999999": "99999999999999999999999999999.999999999",
			},
			[]string{"", "1,5", "NaN", "1e30", "1.0000000001"},
		},
		{
			Column{Type: Numeric, Precision: 5, Scale: 2},
			map[string]string{"999.99": "999.99"},
			[]string{"1000", "1.234"},
		},
		{
			Column{Type: BigNumeric},
			map[string]string{
				"1e38": "1" + strings.Repeat("0", 38),
				"0.00000000000000000000000000000000000001": "0.00000000000000000000000000000000000001",
			},
			[]string{"6e38", "1e39", "x"},
		},
		{
			Column{Type: Date}, map[string]string{"2024-2-9": "2024-02-09", "0001-01-01": "0001-01-01"}, []string{
				"2024-02-30", "0000-01-01", "10000-01-01", "x",
			},
		},
		{
			Column{Type: Time},
			map[string]string{"1:2:3": "01:02:03", "23:59:59.999999": "23:59:59.999999"},
			[]string{"24:00:00", "12:60:00", "x"},
		},
		{
			Column{Type: DateTime},
			map[string]string{
				"2024-02-09 01:02:03.5": "2024-02-09T01:02:03.500000", "2024-02-09T01:02:03": "2024-02-09T01:02:03",
			},
			[]string{"2024-02-09 25:00:00", "0000-01-01 00:00:00", "x"},
		},
		{Column{Type: Timestamp}, nil, []string{"x", "10000-01-01 00:00:00"}},
		{Column{Type: Geography}, map[string]string{
			"POINT(-0.1 51.5)": "POINT(-0.1 51.5)", "point empty": "point empty",
			"LINESTRING(1 1, 2 1e0)": "LINESTRING(1 1, 2 1e0)",
			polygon:                  polygon, collection: collection,
			"MULTIPOINT((1 2), (3 4))": "MULTIPOINT((1 2), (3 4))", "MULTIPOINT(1 2, 3 4)": "MULTIPOINT(1 2, 3 4)",
			pointJSON: pointJSON, collectionJSON: collectionJSON,
		}, []string{
			"", "x", "POINT", "POINT(1)", "POINT(1 91)", "POINT(1 2", "POINT(1 2) x", "POINT(1 NaN)",
			"LINESTRING(1 2; 3 4)", "CIRCLE(1 2)", "\xff", `{"type": "Point"}`,
			`{"type": "Point", "coordinates": [1, 200]}`, `{"type": "Feature"}`,
			`{"type": "LineString", "coordinates": [1, 2]}`, "{",
			strings.Repeat("GEOMETRYCOLLECTION(", 100) + "POINT(1 2)" + strings.Repeat(")", 100),
		}},
		{
			Column{Type: Interval},
			map[string]string{
				"1-2 3 4:5:6.789": "1-2 3 4:5:6.789", "-0-1 0 -0:0:1": "-0-1 0 -0:0:1",
				"10000-0 0 0:0:0": "10000-0 0 0:0:0",
			},
			[]string{
				"", "P1Y", "1-12 0 0:0:0", "10000-1 0 0:0:0", "0-0 3660001 0:0:0", "0-0 0 87840001:0:0", "0-0 0 0:60:0",
				"1-2 3",
			},
		},
		{Column{Type: String, MaxLength: 2}, map[string]string{"éé": "éé"}, []string{"abc", "\xff"}},
	} {
		c.column.Name = "c"
		columns := []*Column{&c.column}
		d, err := Descriptor(columns)
		if err != nil {
			t.Fatal(err)
		}
		if c.column.Type == Timestamp { // whose own rows are numbers
			d, err = Descriptor([]*Column{{Name: "c", Type: String}})
		}
		if err != nil {
			t.Fatal(err)
		}
		shape, err := Compile(d, columns)
		if err != nil {
			t.Fatal(err)
		}
		row := func(text string) []byte { return protowire.AppendString([]byte{0x0a}, text) }
		for in, want := range c.good {
			if err := shape.Check(row(in)); err != nil {
				t.Errorf("%s %q: %v", c.column.Type, in, err)
				continue
			}
			if r, err := shape.Decode(row(in)); err != nil || r[0] != want {
				t.Errorf("%s %q: %v, %v, want %q", c.column.Type, in, r, err, want)
			}
		}
		for _, in := range c.bad {
			if err := shape.Check(row(in)); err == nil || !strings.HasPrefix(err.Error(), "Field c: ") {
				t.Errorf("%s %q: %v, want a refusal that names the field", c.column.Type, in, err)
			}
		}
	}
}

func TestRange(t *testing.T) {
	for _, c := range []struct {
		element Type
		object  map[string]any
		text    string // as people see it
		seconds string // in the REST form
		bad     string
	}{
		{Date, map[string]any{"start": "2024-01-01", "end": "2024-02-01"}, "[2024-01-01, 2024-02-01)", "", ""},
		{Date, map[string]any{"start": "2024-1-1"}, "[2024-01-01, UNBOUNDED)", "", ""},
		{Date, map[string]any{}, "[UNBOUNDED, UNBOUNDED)", "", ""},
		{
			DateTime,
			map[string]any{"start": "2024-01-01 01:00:00", "end": "2024-01-01 01:00:00.5"},
			"[2024-01-01T01:00:00, 2024-01-01T01:00:00.500000)", "", "",
		},
		{
			Timestamp,
			map[string]any{"start": "1970-01-01 00:00:01+00", "end": "1970-01-01 00:00:03.5+00"},
			"[1970-01-01T00:00:01.000000Z, 1970-01-01T00:00:03.500000Z)", "[1E+00, 3.5E+00)", "",
		},
		{
			Timestamp,
			map[string]any{"end": "1970-01-01 00:00:01+00"},
			"[UNBOUNDED, 1970-01-01T00:00:01.000000Z)",
			"[UNBOUNDED, 1E+00)", "",
		},
		{Date, map[string]any{"start": "2024-02-01", "end": "2024-01-01"}, "", "", "must be smaller"},
		{Date, map[string]any{"start": "2024-02-01", "end": "2024-02-01"}, "", "", "must be smaller"},
		{
			Timestamp,
			map[string]any{"start": "1970-01-01 00:00:02+00", "end": "1970-01-01 00:00:01+00"},
			"", "",
			"must be smaller",
		},
		{Date, map[string]any{"start": "2024-02-31"}, "", "", "Field r.start: invalid date"},
	} {
		columns := []*Column{{Name: "r", Type: Range, Element: c.element}}
		d, err := Descriptor(columns)
		if err != nil {
			t.Fatal(err)
		}
		shape, err := Compile(d, columns)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Encode(columns, map[string]any{"r": c.object}, false)
		if err != nil {
			t.Fatal(err)
		}
		err = shape.Check(b)
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("%v: %v, want %q", c.object, err, c.bad)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", c.object, err)
			continue
		}
		r, err := shape.Decode(b)
		if err != nil || r[0] != c.text {
			t.Errorf("%v: %v, %v, want %s", c.object, r, err, c.text)
		}
		cell := c.seconds
		if cell == "" {
			cell = c.text
		}
		if got := string(AppendCells(nil, columns, r, false)); got != `{"f":[{"v":"`+cell+`"}]}` {
			t.Errorf("%v: cell %s, want %s", c.object, got, cell)
		}
		back, err := ParseRecord(columns, AppendObject(nil, columns, r, Query))
		if err != nil || back[0] != c.text {
			t.Errorf("%v: came back as %v, %v", c.object, back, err)
		}
	}
	// Another field than start and end, or no RANGE at all.
	wrong := []*Column{
		{Name: "r", Type: Struct, Fields: []*Column{{Name: "start", Type: Date}, {Name: "until", Type: Date}}},
	}
	d, err := Descriptor(wrong)
	if err != nil {
		t.Fatal(err)
	}
	var extra *ExtraFieldsError
	if _, err := Compile(d, []*Column{{Name: "r", Type: Range, Element: Date}}); err == nil || errors.As(err, &extra) ||
		!strings.Contains(err.Error(), "until") {
		t.Errorf("got %v", err)
	}
}

// FuzzGeography holds the two readers of a GEOGRAPHY to ending, whatever comes.
func FuzzGeography(f *testing.F) {
	for _, s := range []string{
		"POINT(1 2)", "GEOMETRYCOLLECTION(POINT(1 2), POINT EMPTY)", `{"type":"MultiPoint","coordinates":[[1,2]]}`,
		"POLYGON((", "{",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		once, twice := checkGeography(nil, scalar{b: b}), checkGeography(nil, scalar{b: append([]byte(" "), b...)})
		if (once == nil) != (twice == nil) {
			t.Fatalf("a space in front changes the verdict on %q: %v, %v", b, once, twice)
		}
	})
}
