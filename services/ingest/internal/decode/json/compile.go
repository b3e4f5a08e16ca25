package json

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// object is a compiled record: its fields in the order of the schema, which is the order they are expected in.
type object struct {
	steps []step
	words int // of a bit set of the fields
	first int // its part of Decoder.follows
	// must holds the fields that something is to be done about when they are missing: a default, or a refusal.
	must []uint64
	// table finds a field by its name: open addressing, an index into steps plus one.
	table []uint16
	shift uint8
}

// step is one compiled field, item of an array or branch of a union.
type step struct {
	// head and mask compare the field's name in quotes and the colon with the payload, 24 bytes at once; no payload
	// matches if it is longer.
	head, mask [3]uint64
	headLen    int
	name       string

	kind   shape.Kind
	tagLen uint8
	take   decode.Take
	many   bool // an array of the kind
	deep   bool // holds objects whose fields the schema knows, and may not know
	plain  bool // one value without objects: neither many, deep nor a map
	skip   bool // checked to be JSON, and nothing more
	// notNull is set where null is refused.
	notNull bool
	numbers bool
	written bool
	quick   bool // a TIMESTAMP whose numbers need no more than their unit
	unit    decode.Unit
	tag     uint32
	guess   int32

	size     int    // bytes
	fallback []byte // tag and value of what stands for the missing field
	missing  string // why there is no row without the field, where that is so
	object   *object
	bounds   *decode.RangeBounds
	value    *step     // values of a map
	branches *[5]*step // union: by kind of JSON value
	symbols  *symbols
	cell     *decode.Cell // of what is written by its rules
	composed *composed    // an object that is one value
}

type compiler struct {
	plan   *Plan
	faults decode.Faults // of unions whose branches were changed
}

// object compiles the fields of a record at a path.
func (c *compiler) object(fields []*shape.Node, path *decode.Path) *object {
	ob := &object{words: (len(fields) + 63) / 64}
	ob.must = make([]uint64, ob.words)
	for i, f := range fields {
		at := path.Field(f.Name)
		s := c.step(f, at)
		s.name, s.notNull = f.Name, f.NotNull && s.nullable() && !f.Skip
		s.setHead()
		s.plain = !s.many && !s.deep && s.kind != shape.Map
		if f.Skip {
			ob.steps = append(ob.steps, *s)
			continue
		}
		s.missing = "the schema requires it"
		fallback, err := fallbackOf(f)
		if err == nil && fallback != nil {
			s.fallback, err = c.fallback(s, fallback)
		}
		if err != nil {
			f.NoDefault, s.fallback = "its default is no value of its type: "+err.Error(), nil
			c.plan.warnings = append(c.plan.warnings, at.String()+": "+f.NoDefault+
				": a record that needs it is refused")
		}
		if f.NoDefault != "" {
			s.missing = f.NoDefault
		}
		if s.fallback != nil || (f.Required || f.NoDefault != "") && !c.plan.settings.Lenient {
			ob.must[i/64] |= 1 << (i % 64)
		}
		ob.steps = append(ob.steps, *s)
	}
	ob.index()
	ob.first, c.plan.follows = c.plan.follows, c.plan.follows+len(ob.steps)+1
	return ob
}

// step compiles a value at a path.
func (c *compiler) step(n *shape.Node, path *decode.Path) *step {
	return c.numbered(n, n.Number, path)
}

// numbered compiles a value that is written as the field of a number.
func (c *compiler) numbered(n *shape.Node, number int32, path *decode.Path) *step {
	if n.Skip {
		return &step{kind: shape.JSON, skip: true}
	}
	if n.Kind == shape.Array {
		s := c.numbered(n.Parts[0], number, path.Items())
		s.many = true
		if s.cell != nil {
			s.cell.Item = true
		}
		return s
	}
	s := &step{
		kind: n.Kind, written: n.Override != nil && n.Override.Type == decode.String, size: n.Size, bounds: n.Bounds(),
		numbers: n.Numbers || c.plan.settings.Lenient && (n.Kind == shape.Timestamp || n.Kind == shape.DateTime),
	}
	if column := n.AsOverride(); column != nil {
		s.cell = &decode.Cell{Column: column, Dates: c.plan.options.Dates}
		s.unit, s.quick = n.Unit, n.Kind == shape.Timestamp && s.numbers && !s.written && s.cell.Dates == nil
	}
	if s.composed = composedOf(n); s.composed != nil {
		s.kind, s.cell = kindComposed, &decode.Cell{Column: n.Override, Dates: c.plan.options.Dates}
	}
	switch n.Kind {
	case shape.Record, shape.Range:
		s.deep = true
		s.object = c.object(n.Parts, path)
	case shape.Map:
		value := n.Parts[1]
		s.value = c.step(value, path.Items().Field(shape.Value))
		s.value.notNull = value.NotNull && s.value.nullable()
		s.deep = s.value.deep
	case shape.Union:
		s.branches = c.union(n, path)
		s.deep = slices.ContainsFunc(s.branches[:], func(b *step) bool { return b != nil && b.deep })
	case shape.Item:
		s.value = c.step(n.Parts[0], path.Field(n.Parts[0].Name))
		s.deep = s.value.deep
	case shape.Enum:
		s.symbols = newSymbols(n)
	}
	if s.object != nil || s.value != nil || s.branches != nil {
		s.guess = int32(c.plan.guesses)
		c.plan.guesses++
	}
	var tag [8]byte
	written := protowire.AppendTag(tag[:0], protowire.Number(number), n.Kind.Wire())
	s.tagLen, s.tag = uint8(len(written)), binary.LittleEndian.Uint32(tag[:])
	if s.cell != nil {
		s.cell.Tag = written
	}
	s.take = c.plan.options.Takes(path)
	return s
}

// nullable reports whether null is not the same as empty.
func (s *step) nullable() bool { return !s.many && s.kind != shape.Map }

// union compiles the branches, by the kinds of JSON values that they take.
func (c *compiler) union(n *shape.Node, path *decode.Path) *[5]*step {
	branches := &[5]*step{}
	for _, b := range n.Parts {
		at := path.Field(b.Name)
		s := c.step(b, at)
		for kinds := takesOf(b); kinds != 0; kinds &= kinds - 1 {
			branches[bits.TrailingZeros8(uint8(kinds))] = s
		}
		if (b.Override != nil || b.Skip) && !distinct(n) {
			_ = c.faults.Add(decode.FaultAt(at.String(),
				"columns: JSON does not tell the types of the union apart any more"))
		}
	}
	return branches
}

// fallback makes the bytes of a default by decoding it.
func (c *compiler) fallback(s *step, value []byte) ([]byte, error) {
	d := c.plan.decoder()
	d.src = value
	d.room(0, 0)
	p, o := d.field(s, 0, 0)
	if p < 0 {
		return nil, errors.New(d.fault.reason)
	}
	return d.out[:o:o], nil
}

// setHead lays out the name as it usually stands in a payload.
func (s *step) setHead() {
	text := `"` + s.name + `":`
	s.headLen = len(text)
	if len(text) > 24 {
		s.mask = [3]uint64{^uint64(0)} // no payload has eight zero bytes in place of a name
		return
	}
	var head, mask [24]byte
	for i := copy(head[:], text) - 1; i >= 0; i-- {
		mask[i] = 0xff
	}
	for i := range s.head {
		s.head[i], s.mask[i] = binary.LittleEndian.Uint64(head[8*i:]), binary.LittleEndian.Uint64(mask[8*i:])
	}
}

// index fills the table of names.
func (ob *object) index() {
	size := 4
	ob.shift = 62
	for size < 2*len(ob.steps) {
		size *= 2
		ob.shift--
	}
	ob.table = make([]uint16, size)
	for i := range ob.steps {
		at := hash([]byte(ob.steps[i].name)) >> ob.shift
		for ob.table[at] != 0 {
			at = (at + 1) & uint64(size-1)
		}
		ob.table[at] = uint16(i + 1)
	}
}

// find returns the index of the field with a name, -1 if there is none.
func (ob *object) find(name []byte) int {
	at := hash(name) >> ob.shift
	for {
		i := ob.table[at]
		if i == 0 {
			return -1
		}
		if string(name) == ob.steps[i-1].name {
			return int(i) - 1
		}
		at = (at + 1) & uint64(len(ob.table)-1)
	}
}

// hash mixes a name's length, first and last bytes. The table is the schema's, so no payload can make it slow.
func hash(name []byte) uint64 {
	const a, b = 0x9e3779b97f4a7c15, 0xff51afd7ed558ccd
	n := len(name)
	var first, last uint64
	switch {
	case n >= 8:
		first, last = binary.LittleEndian.Uint64(name), binary.LittleEndian.Uint64(name[n-8:])
	case n >= 4:
		first, last = uint64(binary.LittleEndian.Uint32(name)), uint64(binary.LittleEndian.Uint32(name[n-4:]))
	case n > 0:
		first = uint64(name[0]) | uint64(name[n/2])<<8 | uint64(name[n-1])<<16
	}
	h := (first^uint64(n))*a ^ last*b
	return (h ^ h>>29) * a
}
