package avro

import (
	"encoding/binary"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// maxSteps bounds a program. BigQuery takes 10,000 columns; a hostile file's schema could ask for any number.
const maxSteps = 1 << 17

// compiler turns a pair of schemas, the writer's (how the payload is laid out) and the reader's (what the columns are),
// into a program, by Avro's schema resolution. The contract's own payloads have one schema in both roles.
type compiler struct {
	program
	options *decode.Options
	// origin names the writer's schema in errors. lenient makes null of what it has as null, or lacks.
	origin  string
	lenient bool
	// bare are the items being compiled of an array without a RECORD around them: a null there has no place, lenient or
	// not.
	bare     *shape.Node
	open     map[*typ]bool // writer records being laid out, to find recursion
	least    map[*typ]int  // what leastBytes found
	steps    int           // types visited: a few named types can name each other an exponential number of times
	most     int           // of steps
	passed   map[passing]*skipped
	tables   map[enums]int32
	defaults map[*shape.Node]int32 // of fields: their index in consts, -1 for none
	messages int
	arrays   int
}

// payload compiles the body of the payload message.
func (c *compiler) payload(s *Schema, reader *typ, r *shape.Node) (*program, error) {
	path := decode.PathOf(c.options.Payload)
	if s.root.kind != kindRecord {
		return nil, decode.FaultAt(path.String(), "the schema is of type "+s.root.kind.String()+
			", a payload is a record")
	}
	record := func(w *typ) error {
		if w == s.root {
			return c.record(w, r, path)
		}
		c.fail("the payload is of type "+w.String()+" "+w.name+", the contract reads "+reader.name, path)
		return nil
	}
	var err error
	if s.top.kind == kindUnion {
		err = c.branches(s.top, path, record)
	} else {
		err = record(s.top)
	}
	c.emit(op{code: opEnd}, path)
	return &c.program, err
}

func newCompiler(o *decode.Options) *compiler {
	return &compiler{
		options: o, origin: "the file", open: map[*typ]bool{}, least: map[*typ]int{}, most: maxSteps,
		passed: map[passing]*skipped{}, tables: map[enums]int32{}, defaults: map[*shape.Node]int32{},
	}
}

// step bounds the work of compiling.
func (c *compiler) step(path *decode.Path) error {
	if c.steps++; c.steps > c.most {
		return decode.FaultAt(path.String(), "the schema is too large")
	}
	return nil
}

func (c *compiler) emit(in op, path *decode.Path) int {
	c.ops = append(c.ops, in)
	c.paths = append(c.paths, path)
	return len(c.ops) - 1
}

func (c *compiler) emitTagged(in op, number int32, wire protowire.Type, path *decode.Path) int {
	var tag [8]byte
	in.tagLen = uint8(len(protowire.AppendTag(tag[:0], protowire.Number(number), wire)))
	in.tag = binary.LittleEndian.Uint32(tag[:])
	return c.emit(in, path)
}

func (c *compiler) here() int32 { return int32(len(c.ops)) }

// record compiles the fields of a record, in the order they are read.
func (c *compiler) record(w *typ, r *shape.Node, path *decode.Path) error {
	if c.open[w] {
		return decode.FaultAt(path.String(), "the type "+w.name+" contains itself; a table has a fixed shape")
	}
	c.open[w] = true
	defer delete(c.open, w)
	found := make([]bool, len(r.Parts))
	for i := range w.fields {
		wf := &w.fields[i]
		at := r.Part(wf.name)
		if at < 0 {
			at = slices.IndexFunc(r.Parts, func(p *shape.Node) bool { return slices.Contains(p.Aliases, wf.name) })
		}
		var err error
		if at < 0 || found[at] {
			err = c.skip(wf.typ, path.Field(wf.name))
		} else {
			found[at] = true
			err = c.value(wf.typ, r.Parts[at], r.Parts[at].Number, path.Field(r.Parts[at].Name))
		}
		if err != nil {
			return err
		}
	}
	for i, p := range r.Parts {
		if !found[i] {
			if err := c.missing(p, path.Field(p.Name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// missing compiles a field that the payload does not have: its default, or null. A lenient reader always makes null of
// it: its columns come and go with the schemas it meets, and what a row holds must not depend on when that was.
func (c *compiler) missing(f *shape.Node, path *decode.Path) error {
	if c.lenient || f.Skip {
		return nil
	}
	if f.NoDefault != "" {
		c.fail(c.origin+" lacks the field, and "+f.NoDefault, path)
		return nil
	}
	if !f.HasDefault {
		if f.Nullable {
			return nil
		}
		return decode.FaultAt(path.String(), c.origin+" lacks the field, and the contract's schema gives it no default")
	}
	if err := c.step(path); err != nil {
		return err
	}
	at, known := c.defaults[f]
	if !known {
		encoded, err := c.fallback(f, path)
		if err != nil {
			c.fail(c.origin+" lacks the field, and its default is no value of the column: "+err.Error(), path)
			return nil //nolint:nilerr // of the records that need it
		}
		if at = -1; len(encoded) > 0 {
			c.consts = append(c.consts, encoded)
			at = int32(len(c.consts) - 1)
		}
		c.defaults[f] = at
	}
	if at >= 0 {
		c.emit(op{code: opConst, arg: at}, path)
	}
	return nil
}

// fallback is a field's default as it stands in a row, tag included.
func (c *compiler) fallback(f *shape.Node, path *decode.Path) ([]byte, error) {
	t := f.Source.(*typ)
	schema, err := t.source.Schema()
	if err != nil {
		return nil, err
	}
	datum, err := schema.Encode(f.Default)
	if err != nil {
		return nil, err
	}
	sub := newCompiler(&decode.Options{Contract: c.options.Contract, Dates: c.options.Dates})
	if err := sub.value(t, f, f.Number, path); err != nil {
		return nil, err
	}
	sub.emit(op{code: opEnd}, path)
	encoded, refusal := newMachine(c.options.Contract).run(&sub.program, nil, datum)
	if refusal != nil {
		return nil, refusal
	}
	return encoded, nil
}

// nullable reports whether the column of a reader's type takes null. A lenient reader's does whatever the schema says,
// as the table's does.
func (c *compiler) nullable(r *shape.Node) bool { return r.Nullable || c.lenient && r != c.bare }

// value compiles one value of the writer's type w into field number of the reader's r.
func (c *compiler) value(w *typ, r *shape.Node, number int32, path *decode.Path) error {
	if err := c.step(path); err != nil {
		return err
	}
	switch {
	case r.Skip:
		return c.skip(w, path)
	case w.kind == kindUnion:
		return c.union(w, r, number, path)
	case w.kind == kindNull:
		if !c.nullable(r) {
			c.fail("null where the contract wants "+typeOf(r).kind.String(), path)
		}
		return nil
	case r.From == shape.Record && (r.Kind == shape.Decimal || r.Kind == shape.Double || r.Kind == shape.String):
		c.variable(w, r, number, path)
		return nil
	case r.From == shape.Record && r.Kind == shape.Geography:
		c.geometry(w, r, number, path)
		return nil
	case r.Kind == shape.JSON && r.From >= shape.Record:
		c.program.skipped = append(c.program.skipped, c.skippedOf(w, true))
		c.emitTagged(op{code: opJSON, arg: int32(len(c.program.skipped) - 1)}, number, protowire.BytesType, path)
		return nil
	case r.Kind == shape.Union:
		branch := matchBranch(w, r)
		if branch < 0 {
			c.fail(c.origin+"'s "+w.kind.String()+" is in none of the contract's branches", path)
			return nil
		}
		if r.Parts[branch].Skip {
			return c.skip(w, path)
		}
		end := c.message(number, path)
		if err := c.value(w, r.Parts[branch], r.Parts[branch].Number, path.Field(r.Parts[branch].Name)); err != nil {
			return err
		}
		end()
		return nil
	case w.kind == kindRecord && (r.Kind == shape.Record || r.Kind == shape.Range):
		end := c.message(number, path)
		if err := c.record(w, r, path); err != nil {
			return err
		}
		if bounds := r.Bounds(); bounds != nil {
			c.ranges = append(c.ranges, *bounds)
			c.emit(op{code: opRange, arg: int32(len(c.ranges) - 1)}, path)
		}
		end()
		return nil
	case w.kind == kindArray && r.Kind == shape.Array:
		if c.leastBytes(w.items) == 0 {
			return decode.FaultAt(path.String(), emptyReason)
		}
		return c.loop(path, func() error { return c.item(w.items, r.Parts[0], number, path.Items()) })
	case w.kind == kindMap && r.Kind == shape.Map:
		return c.loop(path, func() error {
			end := c.message(number, path.Items())
			c.emitTagged(op{code: opString}, 1, protowire.BytesType, path.Items().Field("key"))
			if err := c.value(w.items, r.Parts[1], 2, path.Items().Field(shape.Value)); err != nil {
				return err
			}
			end()
			return nil
		})
	}
	return c.scalar(w, r, number, path)
}

// item compiles an item of an array, with the RECORD around it if it needs one.
func (c *compiler) item(w *typ, r *shape.Node, number int32, path *decode.Path) error {
	if r.Kind != shape.Item {
		outer := c.bare
		c.bare = r
		err := c.value(w, r, number, path)
		c.bare = outer
		return err
	}
	end := c.message(number, path)
	if err := c.value(w, r.Parts[0], 1, path.Field(r.Parts[0].Name)); err != nil {
		return err
	}
	end()
	return nil
}

// message starts a nested message and returns what ends it.
func (c *compiler) message(number int32, path *decode.Path) (end func()) {
	begin := c.emitTagged(op{code: opMessage}, number, protowire.BytesType, path)
	c.messages++
	c.program.messages = max(c.program.messages, c.messages)
	return func() {
		c.messages--
		c.emit(op{code: opMessageEnd, arg: int32(begin)}, path)
	}
}

// loop compiles the items of an array or the entries of a map.
func (c *compiler) loop(path *decode.Path, item func() error) error {
	begin := c.emit(op{code: opArray}, path)
	c.arrays++
	c.program.arrays = max(c.program.arrays, c.arrays)
	if err := item(); err != nil {
		return err
	}
	c.arrays--
	c.emit(op{code: opNext, jump: int32(begin) + 1}, path)
	c.ops[begin].jump = c.here()
	return nil
}

// fail compiles a value that cannot become a column. It is an error of the record, not of the schema: another branch
// may be taken.
func (c *compiler) fail(reason string, path *decode.Path) {
	c.reasons = append(c.reasons, reason)
	c.emit(op{code: opFail, arg: int32(len(c.reasons) - 1)}, path)
}

// union compiles a value whose branch the payload chooses.
func (c *compiler) union(w *typ, r *shape.Node, number int32, path *decode.Path) error {
	branch := func(b *typ) error { return c.value(b, r, number, path) }
	if null := slices.IndexFunc(w.branches, func(b *typ) bool { return b.kind == kindNull }); len(w.branches) == 2 &&
		null >= 0 && c.nullable(r) {
		at := c.emit(op{code: opOptional, arg: int32(null)}, path)
		if err := branch(w.branches[1-null]); err != nil {
			return err
		}
		c.ops[at].jump = c.here()
		return nil
	}
	return c.branches(w, path, branch)
}

// branches compiles a jump table over the branches of w.
func (c *compiler) branches(w *typ, path *decode.Path, branch func(*typ) error) error {
	if len(w.branches) == 1 {
		c.emit(op{code: opOneBranch}, path)
		return branch(w.branches[0])
	}
	table := make([]int32, len(w.branches))
	c.unions = append(c.unions, table)
	c.emit(op{code: opUnion, arg: int32(len(c.unions) - 1)}, path)
	var jumps []int
	for i, b := range w.branches {
		table[i] = c.here()
		if err := branch(b); err != nil {
			return err
		}
		if i < len(w.branches)-1 {
			jumps = append(jumps, c.emit(op{code: opJump}, path))
		}
	}
	for _, at := range jumps {
		c.ops[at].jump = c.here()
	}
	return nil
}

// matchBranch returns the branch of the union r that a value of type w becomes, -1 if none. The same type comes before
// a promoted one, as Avro's resolution asks; of named types the one of that name comes first.
func matchBranch(w *typ, r *shape.Node) int {
	for _, pass := range []func(n *shape.Node, b *typ) bool{
		func(_ *shape.Node, b *typ) bool {
			return b == w || (b.kind == w.kind && b.name != "" && b.name == w.name)
		},
		func(_ *shape.Node, b *typ) bool {
			return b.kind == w.kind && (b.shortName() == w.shortName() || slices.Contains(b.aliases, w.shortName()))
		},
		func(n *shape.Node, _ *typ) bool { _, ok := scalarOp(w, n); return ok },
	} {
		if i := slices.IndexFunc(r.Parts, func(n *shape.Node) bool { return pass(n, typeOf(n)) }); i >= 0 {
			return i
		}
	}
	return -1
}

// leastBytes is the least number of bytes a value takes, up to 1.
func (c *compiler) leastBytes(t *typ) int {
	switch t.kind {
	case kindNull:
		return 0
	case kindFixed:
		return min(t.size, 1)
	case kindRecord:
		n, done := c.least[t]
		if done {
			return n
		}
		c.least[t] = 0 // a record within itself adds nothing
		for i := range t.fields {
			n = max(n, c.leastBytes(t.fields[i].typ))
		}
		c.least[t] = n
		return n
	}
	return 1
}

func (c *compiler) incompatible(w *typ, r *shape.Node) string {
	return fmt.Sprintf("%s's %s cannot be read as the contract's %s", c.origin, w, typeOf(r))
}
