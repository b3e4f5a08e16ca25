package row

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A GEOGRAPHY comes as WKT or as the geometry of GeoJSON (https://cloud.google.com/bigquery/docs/geospatial-data).
// The emulator keeps the text as it came and checks its form and that latitudes are latitudes; it has no geometry.

// depths are how many levels of parentheses, or of arrays, lie around the positions of a geometry.
var depths = map[string]int{
	"POINT": 0, "LINESTRING": 1, "MULTIPOINT": 1, "POLYGON": 2, "MULTILINESTRING": 2, "MULTIPOLYGON": 3,
}

// maxCollections bounds collections in collections.
const maxCollections = 32

func checkGeography(_ *field, s scalar) error {
	text := strings.TrimSpace(string(s.b))
	var err error
	switch {
	case !utf8.Valid(s.b):
		err = errors.New("not valid UTF-8")
	case strings.HasPrefix(text, "{"):
		err = checkGeoJSON([]byte(text), 0)
	default:
		w := wkt{text: text}
		if err = w.geometry(0); err == nil && w.peek() != "" {
			err = fmt.Errorf("%q is left over", w.peek())
		}
	}
	if err != nil {
		return fmt.Errorf("invalid GEOGRAPHY: %w", err)
	}
	return nil
}

// wkt reads well-known text word by word.
type wkt struct{ text string }

// peek is the next word: a parenthesis, a comma, or what lies between such and spaces. Empty at the end.
func (w *wkt) peek() string {
	w.text = strings.TrimLeft(w.text, " \t\r\n")
	if w.text == "" {
		return ""
	}
	if strings.ContainsRune("(),", rune(w.text[0])) {
		return w.text[:1]
	}
	if end := strings.IndexAny(w.text, " \t\r\n(),"); end >= 0 {
		return w.text[:end]
	}
	return w.text
}

func (w *wkt) take() string {
	word := w.peek()
	w.text = w.text[len(word):]
	return word
}

func (w *wkt) expect(word string) error {
	if got := w.take(); got != word {
		return fmt.Errorf("%q where %q is expected", got, word)
	}
	return nil
}

func (w *wkt) geometry(depth int) error {
	name := strings.ToUpper(w.take())
	levels, known := depths[name]
	switch {
	case name != "GEOMETRYCOLLECTION" && !known:
		return fmt.Errorf("%q is no geometry", name)
	case strings.EqualFold(w.peek(), "EMPTY"):
		w.take()
		return nil
	case known:
		if name == "MULTIPOINT" { // either form of its points: (1 2, 3 4) and ((1 2), (3 4))
			return w.list(func() error {
				if w.peek() == "(" {
					return w.list(w.position)
				}
				return w.position()
			})
		}
		return w.nested(max(levels, 1))
	case depth >= maxCollections:
		return errors.New("collections are nested too deep")
	}
	return w.list(func() error { return w.geometry(depth + 1) })
}

// nested reads positions inside levels of parentheses.
func (w *wkt) nested(levels int) error {
	if levels == 1 {
		return w.list(w.position)
	}
	return w.list(func() error { return w.nested(levels - 1) })
}

func (w *wkt) list(one func() error) error {
	if err := w.expect("("); err != nil {
		return err
	}
	for {
		if err := one(); err != nil {
			return err
		}
		if w.peek() != "," {
			return w.expect(")")
		}
		w.take()
	}
}

func (w *wkt) position() error {
	longitude, err1 := strconv.ParseFloat(w.take(), 64)
	latitude, err2 := strconv.ParseFloat(w.take(), 64)
	if err := errors.Join(err1, err2); err != nil {
		return errors.New("a position is a longitude and a latitude")
	}
	return checkPosition(longitude, latitude)
}

func checkPosition(longitude, latitude float64) error {
	if !(latitude >= -90 && latitude <= 90) { // NaN is not either
		return fmt.Errorf("latitude %v is not between -90 and 90", latitude)
	}
	if !(longitude >= -360 && longitude <= 360) {
		return fmt.Errorf("longitude %v is not between -360 and 360", longitude)
	}
	return nil
}

func checkGeoJSON(b []byte, depth int) error {
	var g struct {
		Type        string            `json:"type"`
		Coordinates json.RawMessage   `json:"coordinates"`
		Geometries  []json.RawMessage `json:"geometries"`
	}
	if err := json.Unmarshal(b, &g); err != nil {
		return err
	}
	if g.Type == "GeometryCollection" {
		if depth >= maxCollections {
			return errors.New("collections are nested too deep")
		}
		for _, inner := range g.Geometries {
			if err := checkGeoJSON(inner, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	levels, known := depths[strings.ToUpper(g.Type)]
	if !known {
		return fmt.Errorf("%q is no geometry of GeoJSON", g.Type)
	}
	return checkCoordinates(g.Coordinates, levels)
}

func checkCoordinates(b json.RawMessage, levels int) error {
	if levels == 0 {
		var position []float64
		if err := json.Unmarshal(b, &position); err != nil || len(position) != 2 {
			return errors.New("a position is a longitude and a latitude")
		}
		return checkPosition(position[0], position[1])
	}
	var inner []json.RawMessage
	if err := json.Unmarshal(b, &inner); err != nil {
		return err
	}
	for _, one := range inner {
		if err := checkCoordinates(one, levels-1); err != nil {
			return err
		}
	}
	return nil
}
