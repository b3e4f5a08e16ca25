package protobuf

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// text is how a message is written as JSON. One that contains itself is a part of its own: what a plan holds of it
// follows the length of the schema.
type text struct {
	cell cell
	// bare: the message stands for the value of the one field that is there, as a Struct, a Value, a ListValue and the
	// wrappers do.
	bare   bool
	fields []member  // ascending by number
	dense  []*member // finds a field by its number; numbers beyond it are searched for
	none   []uint64  // a bit for each field; members of a oneof share one
	zero   func(*jsonText) (reason string)
}

// form is how the bytes of a value are read.
type form uint8

const (
	formSigned form = iota
	formUnsigned
	formZigzag
	formBool
	formEnum
	formNull
	formFloat
	formText
	formBytes
	formMessage
)

// member is a field in JSON.
type member struct {
	tag, packed uint32
	form        form
	// wide: whole numbers of 64 bits.
	wide, list bool
	bit        int
	name       string
	symbols    *symbols
	message    *text
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
	f := &member{name: string(fd.Name()), list: fd.Cardinality() == protoreflect.Repeated}
	wire := protowire.BytesType
	if fd.Kind() != protoreflect.MessageKind && fd.Kind() != protoreflect.GroupKind {
		wire = wireOf(scalarCode(fd.Kind(), 0))
	}
	f.tag = uint32(protowire.EncodeTag(fd.Number(), wire))
	if f.list && wire != protowire.BytesType {
		f.packed = uint32(protowire.EncodeTag(fd.Number(), protowire.BytesType))
	}
	switch k := fd.Kind(); k {
	case protoreflect.BoolKind:
		f.form = formBool
	case protoreflect.EnumKind:
		if f.form = formEnum; fd.Enum().FullName() == "google.protobuf.NullValue" {
			f.form = formNull
		}
		f.symbols = newSymbols(symbolsOf(fd.Enum()))
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		f.form = formFloat
	case protoreflect.StringKind:
		f.form = formText
	case protoreflect.BytesKind:
		f.form = formBytes
	case protoreflect.MessageKind, protoreflect.GroupKind:
		f.form = formMessage
		if fd.IsMap() {
			f.key, f.value = c.jsonOf(fd.MapKey()), c.jsonOf(fd.MapValue())
		} else {
			f.message = c.textOf(fd.Message())
		}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		f.form, f.wide = formUnsigned, k == protoreflect.Uint64Kind || k == protoreflect.Fixed64Kind
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		f.form, f.wide = formZigzag, k == protoreflect.Sint64Kind
	default:
		f.form, f.wide = formSigned, k == protoreflect.Int64Kind || k == protoreflect.Sfixed64Kind
	}
	return f
}

// textOf is how a message is written as JSON.
func (c *compiler) textOf(md protoreflect.MessageDescriptor) *text {
	if t := c.texts[md.FullName()]; t != nil {
		return t
	}
	t := &text{cell: well[md.FullName()]}
	c.texts[md.FullName()] = t
	t.bare = t.cell == cellJSON || t.cell == cellWrapper
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
		f = &member{form: formNull}
	}
	return func(j *jsonText) string {
		f.zero(j)
		return ""
	}
}

// zero writes the value of a field of an entry, or of a wrapper, that is absent.
func (f *member) zero(j *jsonText) {
	switch f.form {
	case formText, formBytes:
		j.Name("")
	case formFloat:
		j.Int(0)
	default:
		f.whole(j, 0)
	}
}

// whole writes a value that is a whole number on the wire.
func (f *member) whole(j *jsonText, v uint64) {
	switch f.form {
	case formNull:
		j.Null()
	case formBool:
		j.Bool(v != 0)
	case formEnum:
		if name := f.symbols.name(int32(v)); name != "" {
			j.Name(name)
		} else {
			j.Int(int64(int32(v)))
		}
	case formUnsigned:
		if !f.wide {
			v = uint64(uint32(v))
		}
		j.Uint(v)
	case formZigzag:
		if !f.wide {
			v = uint64(uint32(v))
		}
		j.Int(protowire.DecodeZigZag(v))
	default:
		if !f.wide {
			v = uint64(int64(int32(v)))
		}
		j.Int(int64(v))
	}
}
