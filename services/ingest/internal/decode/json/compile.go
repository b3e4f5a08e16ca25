package json

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
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
	// head and mask compare the field's name in quotes and the colon with the payload, 24 bytes at once; no payload matches if it is longer.
	head, mask [3]uint64
	headLen    int
	name       string

	kind   kind
	tagLen uint8
	take   take
	many   bool // an array of the kind
	deep   bool // holds objects whose fields the schema knows, and may not know
	plain  bool // one value without objects: neither many, deep nor a map
	// notNull is set where null is refused.
	notNull bool
	numbers bool
	written bool
	unit    decode.Unit
	tag     uint32
	guess   int32

	size     int // bytes
	decimal  decimalType
	fallback []byte // tag and value of what stands for the missing field
	object   *object
	bounds   *decode.RangeBounds
	value    *step     // values of a map
	branches *[5]*step // union: by kind of JSON value
	symbols  *symbols
}

type compiler struct {
	plan    *Plan
	objects map[*typ]*object
	faults  decode.Misfits // of defaults
}

// object compiles a record at a path. Uses of a type at several places share the steps, but for a type on the way to what the envelope takes.
func (c *compiler) object(t *typ, path string) (*object, error) {
	on := c.plan.options.Leads(path)
	if known := c.objects[t]; known != nil && !on {
		return known, nil
	}
	ob := &object{words: (len(t.fields) + 63) / 64}
	ob.must = make([]uint64, ob.words)
	for i := range t.fields {
		f := &t.fields[i]
		s, err := c.step(f.typ, int(f.number), path+"."+f.name)
		if err != nil {
			return nil, err
		}
		s.name, s.notNull = f.name, f.notNull && s.nullable()
		s.setHead()
		s.plain = !s.many && !s.deep && s.kind != kindMap
		if f.required && !c.plan.settings.Lenient {
			ob.must[i/64] |= 1 << (i % 64)
		}
		if f.fallback != nil {
			s.fallback, err = c.fallback(s, f.fallback, path+"."+f.name)
			if err == nil {
				ob.must[i/64] |= 1 << (i % 64)
			} else if err := c.faults.Add(err); err != nil {
				return nil, err
			}
		}
		ob.steps = append(ob.steps, *s)
	}
	ob.index()
	ob.first, c.plan.follows = c.plan.follows, c.plan.follows+len(ob.steps)+1
	if !on {
		c.objects[t] = ob
	}
	return ob, nil
}

// step compiles a value of a type, written as the field of a number.
func (c *compiler) step(t *typ, number int, path string) (s *step, err error) {
	numbers := t.numbers || c.plan.settings.Lenient && (t.kind == kindTimestamp || t.kind == kindDateTime)
	s = &step{kind: t.kind, written: t.written, unit: t.unit, numbers: numbers, size: t.size, decimal: decimalType{t.precision, t.scale}}
	if t.kind == kindArray {
		if s, err = c.step(t.items, number, path+"[]"); err == nil {
			s.many = true
		}
		return s, err
	}
	wire := protowire.BytesType
	switch t.kind {
	case kindBool, kindInt32, kindInt64, kindTimestamp, kindDate:
		wire = protowire.VarintType
	case kindFloat:
		wire = protowire.Fixed32Type
	case kindDouble:
		wire = protowire.Fixed64Type
	case kindRecord:
		s.deep = true
		if t.isRange {
			s.kind, s.bounds = kindRange, t.bounds()
		}
		s.object, err = c.object(t, path)
	case kindMap:
		if s.value, err = c.step(t.items, 2, path+"[].value"); err == nil {
			s.value.notNull = !t.nullItems && s.value.nullable()
			s.deep = s.value.deep
		}
	case kindUnion:
		if s.branches, err = c.union(t, path); err == nil {
			s.deep = slices.ContainsFunc(s.branches[:], func(b *step) bool { return b != nil && b.deep })
		}
	case kindItem:
		if s.value, err = c.step(t.items, 1, path+"."+t.name); err == nil {
			s.deep = s.value.deep
		}
	case kindEnum:
		s.symbols = newSymbols(t)
	}
	if err != nil {
		return nil, err
	}
	if s.object != nil || s.value != nil || s.branches != nil {
		s.guess = int32(c.plan.guesses)
		c.plan.guesses++
	}
	var tag [8]byte
	s.tagLen = uint8(len(protowire.AppendTag(tag[:0], protowire.Number(number), wire)))
	s.tag = binary.LittleEndian.Uint32(tag[:])
	if path == c.plan.options.EventIDPath() {
		s.take |= takeID
	}
	if path == c.plan.options.EventTimePath() {
		s.take |= takeTime
	}
	return s, nil
}

// nullable reports whether null is not the same as empty.
func (s *step) nullable() bool { return !s.many && s.kind != kindMap }

// union compiles the branches, by the kinds of JSON values that they take.
func (c *compiler) union(t *typ, path string) (*[5]*step, error) {
	branches := &[5]*step{}
	for i := range t.branches {
		b := &t.branches[i]
		s, err := c.step(b.typ, int(b.number), path+"."+b.name)
		if err != nil {
			return nil, err
		}
		for kinds := b.typ.takes(); kinds != 0; kinds &= kinds - 1 {
			branches[bits.TrailingZeros8(uint8(kinds))] = s
		}
	}
	return branches, nil
}

// fallback makes the bytes of a default by decoding it.
func (c *compiler) fallback(s *step, value []byte, path string) ([]byte, error) {
	d := c.plan.decoder()
	d.src = value
	d.room(0, 0)
	p, o := d.field(s, 0, 0)
	if p < 0 {
		return nil, decode.Misfit(path, "default: "+d.fault.reason)
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
