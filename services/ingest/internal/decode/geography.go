package decode

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"unsafe"
)

// checkGeography checks that text is WKT of two dimensions, or a JSON object, which BigQuery takes for GeoJSON. What a
// shape means, whether its rings close and do not cross, is BigQuery's to say: it refuses such a row.
func checkGeography(text []byte) (at int, reason string) {
	if trimmed := bytes.TrimLeft(text, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		return CheckJSON(text)
	}
	w := wkt{text: text}
	if reason = w.shapes(); reason == "" {
		if w.space(); w.at < len(text) {
			reason = "bytes are left over behind the shape"
		}
	}
	return w.at, reason
}

// wkt walks a text of the OGC's well-known text. A collection is a flat list of shapes for it, and brackets are
// counted: no recursion.
type wkt struct {
	text []byte
	at   int
}

func (w *wkt) space() {
	for w.at < len(w.text) &&
		(w.text[w.at] == ' ' || w.text[w.at] == '\t' || w.text[w.at] == '\n' || w.text[w.at] == '\r') {
		w.at++
	}
}

// take reads c behind spaces.
func (w *wkt) take(c byte) bool {
	if w.space(); w.at < len(w.text) && w.text[w.at] == c {
		w.at++
		return true
	}
	return false
}

// word reads letters behind spaces.
func (w *wkt) word() []byte {
	w.space()
	start := w.at
	for w.at < len(w.text) && w.text[w.at]|0x20 >= 'a' && w.text[w.at]|0x20 <= 'z' {
		w.at++
	}
	return w.text[start:w.at]
}

// brackets is how many brackets are around the points of each shape.
var brackets = []struct {
	name  string
	depth int
}{
	{"POINT", 1},
	{"LINESTRING", 1},
	{"POLYGON", 2},
	{"MULTIPOINT", 1},
	{"MULTILINESTRING", 2},
	{"MULTIPOLYGON", 3},
	{"GEOMETRYCOLLECTION", 0},
}

// shapes reads one shape, collections with all that is in them.
func (w *wkt) shapes() string {
	const noShape = "no shape of WKT (POINT, LINESTRING, POLYGON, MULTIPOINT, MULTILINESTRING, MULTIPOLYGON, " +
		"GEOMETRYCOLLECTION) starts here"
	collections := 0
	for {
		start := w.at
		word := w.word()
		at := -1
		for i := range brackets {
			if name := brackets[i].name; len(word) == len(name) && strings.EqualFold(string(word), name) {
				at = i
			}
		}
		if at < 0 {
			w.at = start
			return noShape
		}
		start = w.at
		switch word := w.word(); {
		case len(word) == len("EMPTY") && strings.EqualFold(string(word), "EMPTY"):
		case len(word) > 0:
			w.at = start
			return "neither ( nor EMPTY; BigQuery's shapes have two dimensions"
		case brackets[at].depth == 0:
			if !w.take('(') {
				return "no ( behind GEOMETRYCOLLECTION"
			}
			collections++
			continue
		default:
			w.at = start
			if reason := w.points(brackets[at].depth, brackets[at].name == "POINT",
				brackets[at].name == "MULTIPOINT"); reason != "" {
				return reason
			}
		}
		for collections > 0 && w.take(')') {
			collections--
		}
		if collections == 0 {
			return ""
		}
		if !w.take(',') {
			return "neither a comma nor the end of the collection"
		}
	}
}

// points reads lists of points in that many brackets: one point only, or points that may have brackets of their own.
func (w *wkt) points(depth int, one, own bool) string {
	open := 0
	for {
		for open < depth {
			if !w.take('(') {
				return "no ( here"
			}
			open++
		}
		bracket := own && w.take('(')
		if reason := w.point(); reason != "" {
			return reason
		}
		if bracket && !w.take(')') {
			return "no ) behind the point"
		}
		for !w.take(',') || one {
			if !w.take(')') {
				return "neither a comma nor ) behind the point"
			}
			if open--; open == 0 {
				return ""
			}
		}
	}
}

// point reads longitude and latitude, in degrees.
func (w *wkt) point() string {
	if _, ok := w.number(); !ok {
		return "no longitude here"
	}
	latitude, ok := w.number()
	switch {
	case !ok:
		return "no latitude here"
	case math.Abs(latitude) > 90:
		return "the latitude is not within 90 degrees"
	}
	return ""
}

func (w *wkt) number() (v float64, ok bool) {
	w.space()
	end := w.at
	for end < len(w.text) && bytes.IndexByte([]byte("+-.0123456789eE"), w.text[end]) >= 0 {
		end++
	}
	if end == w.at {
		return 0, false
	}
	v, err := strconv.ParseFloat(unsafe.String(&w.text[w.at], end-w.at), 64)
	if err != nil {
		return 0, false
	}
	w.at = end
	return v, true
}
