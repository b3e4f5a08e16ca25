package avro

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// geometry is how Debezium's shapes are read that a contract makes a GEOGRAPHY of: records that hold one as WKB, and
// the reference system that it is in (io.debezium.data.geometry).
type geometry struct {
	record    *skipped
	wkb, srid int // of its parts; srid is -1 where there is none
	cell      *decode.Cell
}

// isGeometry says that a type is such a shape.
func isGeometry(t *typ) bool {
	return t.kind == kindRecord && strings.HasPrefix(t.name, "io.debezium.data.geometry.") &&
		slices.ContainsFunc(t.fields, func(f field) bool { return f.name == "wkb" && plainOf(f.typ).kind == kindBytes })
}

// plainOf is a type without null.
func plainOf(t *typ) *typ {
	plain, _ := t.column()
	return plain
}

// geometry compiles a shape.
func (c *compiler) geometry(w *typ, r *shape.Node, number int32, path *decode.Path) {
	if !isGeometry(w) {
		c.fail(c.origin+"'s "+w.String()+" has no wkb, which a GEOGRAPHY is made of", path)
		return
	}
	read := c.skippedOf(w, false)
	g := geometry{
		record: read, wkb: slices.Index(read.names, "wkb"), srid: slices.Index(read.names, "srid"),
		cell: c.cells[c.cell(r.Override, r, number)],
	}
	if g.srid >= 0 && plainOf(read.parts[g.srid].typ).kind != kindInt {
		g.srid = -1
	}
	c.geometries = append(c.geometries, g)
	c.emitTagged(op{code: opGeometry, arg: int32(len(c.geometries) - 1)}, number, protowire.BytesType, path)
}

// readGeometry reads a shape and its reference system, and says where it ends. A nil shape is none.
func (m *machine) readGeometry(g *geometry, src []byte, p int) (wkb []byte, srid int64, next int, reason string) {
	for i, part := range g.record.parts {
		from := p
		if p, reason = m.pass(part, src, p, 0); reason != "" {
			m.within = "." + g.record.names[i] + m.within
			return nil, 0, p, reason
		}
		value, t := src[from:p], part.typ
		if i != g.wkb && i != g.srid {
			continue
		}
		if t.kind == kindUnion {
			branch, at := decode.Varint(value, 0)
			if t, value = t.branches[branch>>1], value[at:]; t.kind == kindNull {
				continue
			}
		}
		if i == g.srid {
			v, _ := decode.Varint(value, 0)
			srid = protowire.DecodeZigZag(v)
			continue
		}
		_, start := length(value, 0)
		wkb = value[start:]
	}
	return wkb, srid, p, ""
}
