package row

import "google.golang.org/protobuf/encoding/protowire"

// Record is a decoded row or RECORD: a value a column, in the order of the columns. A value is nil, bool, int64
// (INTEGER, and TIMESTAMP in microseconds since the epoch), float64, string (STRING, NUMERIC, BIGNUMERIC, DATE, TIME,
// DATETIME, JSON, GEOGRAPHY, INTERVAL and RANGE in BigQuery's canonical text), []byte, Record, or List of these.
type Record []any

// List is a REPEATED column's value; an empty one is nil or has no elements.
type List []any

// Decode decodes a whole row that has passed [Shape.Check].
func (s *Shape) Decode(row []byte) (Record, error) { return s.root.decode(row, nil) }

func (m *message) decode(b []byte, into Record) (Record, error) {
	if into == nil {
		into = make(Record, m.width)
	}
	err := walkFields(b, m.field, func(f *field, wire protowire.Type, v scalar) (err error) {
		into[f.index], err = f.merge(into[f.index], wire, v)
		return err
	})
	return into, err
}

// walkFields reads a message's known fields; unknown ones are passed over.
func walkFields(b []byte, known func(protowire.Number) *field, each func(*field, protowire.Type, scalar) error) error {
	for len(b) > 0 {
		num, wire, n := head(b)
		if n == 0 {
			return errWire
		}
		b = b[n:]
		f := known(num)
		v, n := body(num, wire, b, f != nil)
		if n == 0 {
			return errWire
		}
		b = b[n:]
		if f == nil {
			continue
		}
		if err := each(f, wire, v); err != nil {
			return err
		}
	}
	return nil
}

// merge adds an occurrence of the field to what was read before, as proto2 does: lists grow, messages merge, the last
// scalar wins.
func (f *field) merge(old any, wire protowire.Type, v scalar) (any, error) {
	if !f.list {
		return f.one(old, v)
	}
	list, _ := old.(List)
	if wire == protowire.BytesType && f.wire != protowire.BytesType {
		err := f.packed(v.b, func(s scalar) error {
			one, err := f.one(nil, s)
			list = append(list, one)
			return err
		})
		return list, err
	}
	one, err := f.one(nil, v)
	return append(list, one), err
}

func (f *field) one(old any, v scalar) (any, error) {
	switch {
	case f.sub != nil:
		before, _ := old.(Record)
		return f.sub.decode(v.b, before)
	case f.wrap != nil:
		inner, err := f.wrap.unwrap(v.b)
		if err != nil {
			return nil, err
		}
		return f.wrap.read(f.wrap, inner), nil
	case f.span != nil:
		return f.rangeText(v.b)
	case f.stamp:
		return stampMicros(v.b)
	}
	return f.read(f, v), nil
}

// Projection reads chosen columns out of rows of one Shape and passes over the rest by length.
type Projection struct {
	root  *pick
	slots int
}

// pick is a message of which some fields are wanted: slot >= 0 takes the field whole, sub goes on inside.
type pick struct {
	of     *message
	wanted map[int]*choice // by column index
}

type choice struct {
	slots []int
	sub   *pick
}

// Project compiles a choice of columns. Each path leads from a top-level column through RECORDs that are not
// REPEATED; a path whose column this shape's descriptor lacks reads as nil, since older rows do not have it.
func (s *Shape) Project(paths [][]string) *Projection {
	p := &Projection{root: &pick{of: s.root, wanted: map[int]*choice{}}, slots: len(paths)}
	for slot, path := range paths {
		p.root.add(s.columns, path, slot)
	}
	return p
}

func (p *pick) add(columns []*Column, path []string, slot int) {
	index, column := Field(columns, path[0])
	if column == nil {
		return
	}
	c := p.wanted[index]
	if c == nil {
		c = &choice{}
		p.wanted[index] = c
	}
	if len(path) == 1 {
		c.slots = append(c.slots, slot)
		return
	}
	if c.sub == nil {
		f := p.of.byColumn(index)
		if f == nil || f.sub == nil || f.list {
			return
		}
		c.sub = &pick{of: f.sub, wanted: map[int]*choice{}}
	}
	c.sub.add(column.Fields, path[1:], slot)
}

func (m *message) byColumn(index int) *field {
	for _, f := range m.dense {
		if f != nil && f.index == index {
			return f
		}
	}
	for _, f := range m.sparse {
		if f.index == index {
			return f
		}
	}
	return nil
}

// Read fills out, which has a place for each path, from a row.
func (p *Projection) Read(row []byte, out []any) error {
	clear(out[:p.slots])
	return p.root.read(row, out)
}

func (p *pick) read(b []byte, out []any) error {
	known := func(n protowire.Number) *field {
		if f := p.of.field(n); f != nil && p.wanted[f.index] != nil {
			return f
		}
		return nil
	}
	return walkFields(b, known, func(f *field, wire protowire.Type, v scalar) (err error) {
		c := p.wanted[f.index]
		for _, slot := range c.slots {
			if out[slot], err = f.merge(out[slot], wire, v); err != nil {
				return err
			}
		}
		if c.sub != nil {
			return c.sub.read(v.b, out)
		}
		return nil
	})
}
