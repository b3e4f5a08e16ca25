package protobuf

import (
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// text is how a message is written as JSON. One that contains itself is a part of its own: what a plan holds of it
// follows the length of the schema.
type text struct {
	op code
	// bare: the message stands for the value of the one field that is there, as a Struct, a Value, a ListValue and the
	// wrappers do.
	bare   bool
	fields []member  // ascending by number
	dense  []*member // finds a field by its number; numbers beyond it are searched for
	none   []uint64  // a bit for each field; members of a oneof share one
	zero   func(*jsonText) (reason string)
}

// member is a field in JSON.
type member struct {
	tag, packed uint32
	scalar
	list    bool
	bit     int
	name    string
	symbols *symbols
	message *text
	// key and value are those of a map.
	key, value *member
}

// find looks a field up by its number; nil for one that the schema does not have.
func (t *text) find(number uint64) *member {
	if number < uint64(len(t.dense)) {
		return t.dense[number]
	}
	return t.sparse(number)
}

func (t *text) sparse(number uint64) *member {
	at, ok := slices.BinarySearchFunc(t.fields, number, func(f member, number uint64) int {
		return int(int64(f.tag>>3) - int64(number))
	})
	if !ok {
		return nil
	}
	return &t.fields[at]
}

// jsonOf is how a field is written as JSON.
func (c *compiler) jsonOf(fd protoreflect.FieldDescriptor) *member {
	f := &member{
		name: string(fd.Name()), scalar: scalars[fd.Kind()], list: fd.Cardinality() == protoreflect.Repeated,
	}
	f.tag = uint32(protowire.EncodeTag(fd.Number(), f.wire))
	if f.list && f.wire != protowire.BytesType {
		f.packed = uint32(protowire.EncodeTag(fd.Number(), protowire.BytesType))
	}
	switch {
	case f.form == formEnum:
		f.symbols = newSymbols(symbolsOf(fd.Enum()))
		if fd.Enum().FullName() == "google.protobuf.NullValue" {
			f.form = formNull
		}
	case fd.IsMap():
		f.key, f.value = c.jsonOf(fd.MapKey()), c.jsonOf(fd.MapValue())
	case f.form == formMessage:
		f.message = c.textOf(fd.Message())
	}
	return f
}

// textOf is how a message is written as JSON.
func (c *compiler) textOf(md protoreflect.MessageDescriptor) *text {
	if t := c.texts[md.FullName()]; t != nil {
		return t
	}
	t := &text{op: well[md.FullName()]}
	c.texts[md.FullName()] = t
	t.bare = t.op == opJSON || t.op == opWrapper
	oneofs := map[protoreflect.FullName]int{}
	last := 0
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		f := c.jsonOf(fd)
		if f.bit = last; fd.ContainingOneof() != nil {
			if bit, ok := oneofs[fd.ContainingOneof().FullName()]; ok {
				f.bit = bit
			}
			oneofs[fd.ContainingOneof().FullName()] = f.bit
		}
		last = max(last, f.bit+1)
		t.fields = append(t.fields, *f)
	}
	slices.SortFunc(t.fields, func(a, b member) int { return int(int64(a.tag>>3) - int64(b.tag>>3)) })
	if n := len(t.fields); n > 0 {
		t.dense = make([]*member, min(int(t.fields[n-1].tag>>3), 4*n+64)+1)
		t.none = make([]uint64, (last+63)/64)
	}
	for i := range t.fields {
		if at := int(t.fields[i].tag >> 3); at < len(t.dense) {
			t.dense[at] = &t.fields[i]
		}
	}
	if t.bare {
		t.zero = zeroOf(&t.fields[0], md.Name())
	}
	return t
}

// zeroOf writes what stands for a bare message without a field.
func zeroOf(f *member, name protoreflect.Name) func(*jsonText) (reason string) {
	switch name {
	case "Struct":
		return func(j *jsonText) string { return j.Empty('{', '}') }
	case "ListValue":
		return func(j *jsonText) string { return j.Empty('[', ']') }
	case "Value":
		f = &member{scalar: scalar{form: formNull}}
	}
	return func(j *jsonText) string {
		f.zero(j)
		return ""
	}
}

// zero writes the value of a field of an entry, or of a wrapper, that is absent.
func (f *member) zero(j *jsonText) {
	if f.form == formText || f.form == formBytes {
		j.Name("")
		return
	}
	_ = f.write(j, 0) // zero is in JSON
}

// write writes a number of any kind by its bits.
func (f *member) write(j *jsonText, bits uint64) (reason string) {
	if f.form == formFloat && f.wide {
		return j.Float(math.Float64frombits(bits), 64)
	}
	switch v := f.number(bits); f.form {
	case formNull:
		j.Null()
	case formBool:
		j.Bool(v != 0)
	case formEnum:
		if name := f.symbols.name(int32(v)); name != "" {
			j.Name(name)
		} else {
			j.Int(v)
		}
	case formUnsigned:
		j.Uint(uint64(v))
	case formFloat:
		return j.Float(float64(math.Float32frombits(uint32(bits))), 32)
	default:
		j.Int(v)
	}
	return ""
}
