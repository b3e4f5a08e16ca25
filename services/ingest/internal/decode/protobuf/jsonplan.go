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
	fields []member // ascending by number
	numbers
	none []uint64 // a bit for each field; members of a oneof share one
	zero func(*jsonText) (reason string)
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
	t.none = make([]uint64, (last+63)/64)
	t.numbers = numbersOf(t.fields, func(f *member) uint32 { return f.tag >> 3 })
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
