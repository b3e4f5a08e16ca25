package decode

import (
	"encoding/binary"
	"math"
	"strconv"
)

// maxShapes bounds how deep collections of shapes nest.
const maxShapes = 16

// AppendWKB appends the WKT that a shape in the OGC's well-known binary is, as BigQuery reads a GEOGRAPHY. A reference
// system in it (EWKB, as PostGIS writes it) is WGS 84 or none. What a shape means is BigQuery's to say.
func AppendWKB(dst, shape []byte) (_ []byte, reason string) {
	w := wkb{out: dst, rest: shape}
	if reason = w.shape(0, 0); reason == "" && len(w.rest) > 0 {
		reason = "bytes are left over behind the shape"
	}
	return w.out, reason
}

// sridReason says why a shape of a reference system is no GEOGRAPHY; empty if it is one, or none is given.
func sridReason(srid int64) string {
	if srid == 0 || srid == 4326 {
		return ""
	}
	return "the reference system " + strconv.FormatInt(srid, 10) + " is not WGS 84 (4326), which a GEOGRAPHY is in"
}

// appendPoint appends a place as WKT.
func appendPoint(dst []byte, longitude, latitude float64) (_ []byte, reason string) {
	w := wkb{out: append(dst, "POINT("...)}
	if reason = w.place(longitude, latitude); reason != "" {
		return dst, reason
	}
	return append(w.out, ')'), ""
}

type wkb struct {
	out, rest []byte
	order     binary.ByteOrder
}

const (
	wkbEnds   = "the shape's bytes end too early"
	wkbNoKind = "no shape of WKB of two dimensions"
	hasSRID   = 0x20000000
)

func (w *wkb) uint32() (v uint32, ok bool) {
	if len(w.rest) < 4 {
		return 0, false
	}
	v, w.rest = w.order.Uint32(w.rest), w.rest[4:]
	return v, true
}

// shape reads one shape. one is the kind that a collection is of, 0 for any: WKT leaves its name out there.
func (w *wkb) shape(one uint32, depth int) string {
	if len(w.rest) < 5 || w.rest[0] > 1 {
		return wkbEnds
	}
	if w.order = binary.BigEndian; w.rest[0] == 1 {
		w.order = binary.LittleEndian
	}
	w.rest = w.rest[1:]
	kind, _ := w.uint32()
	if kind&hasSRID != 0 {
		srid, ok := w.uint32()
		if !ok {
			return wkbEnds
		}
		if reason := sridReason(int64(srid)); reason != "" {
			return reason
		}
	}
	switch kind &^= hasSRID; {
	case kind < 1 || kind > uint32(len(brackets)) || one != 0 && kind != one:
		return wkbNoKind
	case one == 0:
		w.out = append(w.out, brackets[kind-1].name...)
	}
	if kind == 1 {
		w.out = append(w.out, '(')
		if reason := w.point(); reason != "" {
			return reason
		}
		w.out = append(w.out, ')')
		return ""
	}
	if depth == maxShapes {
		return "the shape nests deeper than 16 levels"
	}
	return w.list(kind, depth)
}

// isRing is the kind of a ring of a polygon, which is a list of points.
const isRing = 2

// list reads a count and as many parts of a shape of a kind: points, rings, or shapes.
func (w *wkb) list(kind uint32, depth int) string {
	n, ok := w.uint32()
	if !ok || uint64(n) > uint64(len(w.rest)) {
		return wkbEnds
	}
	if n == 0 {
		// BigQuery knows an empty shape, and no empty part of one.
		if before := w.out[len(w.out)-1]; before == '(' || before == ',' {
			return "a part of the shape is empty"
		}
		w.out = append(w.out, " EMPTY"...)
		return ""
	}
	for i := range n {
		w.out = append(w.out, "(,"[min(i, 1)])
		var reason string
		switch kind {
		case isRing:
			reason = w.point()
		case 3:
			reason = w.list(isRing, depth)
		case 7:
			reason = w.shape(0, depth+1)
		default: // of many of a kind: WKT leaves their names out
			reason = w.shape(kind-3, depth+1)
		}
		if reason != "" {
			return reason
		}
	}
	w.out = append(w.out, ')')
	return ""
}

func (w *wkb) point() string {
	if len(w.rest) < 16 {
		return wkbEnds
	}
	x, y := math.Float64frombits(w.order.Uint64(w.rest)), math.Float64frombits(w.order.Uint64(w.rest[8:]))
	w.rest = w.rest[16:]
	return w.place(x, y)
}

func (w *wkb) place(x, y float64) string {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0) || math.IsNaN(y):
		return "a coordinate is no number"
	case math.Abs(y) > 90:
		return "the latitude is not within 90 degrees"
	}
	w.out = append(AppendNumber(w.out, x, 64), ' ')
	w.out = AppendNumber(w.out, y, 64)
	return ""
}
