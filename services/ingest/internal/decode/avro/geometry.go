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
	parts     []*skipped
	types     []*typ
	names     []string
	wkb, srid int // of the parts; srid is -1 where there is none
	cell      *decode.Cell
}

// isGeometry says that a type is such a shape.
func isGeometry(t *typ) bool {
	at := t.field("wkb")
	return t.kind == kindRecord && strings.HasPrefix(t.name, "io.debezium.data.geometry.") && at >= 0 &&
		plainOf(t.fields[at].typ).kind == kindBytes
}

func (t *typ) field(name string) int {
	return slices.IndexFunc(t.fields, func(f field) bool { return f.name == name })
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
	g := geometry{wkb: w.field("wkb"), srid: w.field("srid"), cell: c.cells[c.cell(r.Override, r, number)]}
	if g.srid >= 0 && plainOf(w.fields[g.srid].typ).kind != kindInt {
		g.srid = -1
	}
	for i := range w.fields {
		g.parts = append(g.parts, c.skippedOf(w.fields[i].typ, false))
		g.types, g.names = append(g.types, w.fields[i].typ), append(g.names, w.fields[i].name)
	}
	c.geometries = append(c.geometries, g)
	c.emitTagged(op{code: opGeometry, arg: int32(len(c.geometries) - 1)}, number, protowire.BytesType, path)
}

// readGeometry reads a shape and its reference system, and says where it ends. A nil shape is none.
func (m *machine) readGeometry(g *geometry, src []byte, p int) (wkb []byte, srid int64, next int, reason string) {
	for i, part := range g.parts {
		from := p
		if p, reason = m.pass(part, src, p, 0); reason != "" {
			m.within = "." + g.names[i] + m.within
			return nil, 0, p, reason
		}
		value, t := src[from:p], g.types[i]
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
