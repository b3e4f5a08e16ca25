package protobuf

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Merge returns the file whose messages have the fields of both, and what newer has brought, by the full names of fields. Fields meet by their
// numbers and keep them. A field that has another type in newer, or a name that is taken, stays as it is in older. The error says why the two
// do not fit into one file.
func Merge(older, newer protoreflect.FileDescriptor) (protoreflect.FileDescriptor, decode.Changes, error) {
	var m merger
	ours, theirs := &descriptorpb.FileDescriptorSet{}, &descriptorpb.FileDescriptorSet{}
	addFile(ours, older, map[string]bool{})
	addFile(theirs, newer, map[string]bool{})
	for _, w := range theirs.File {
		at := slices.IndexFunc(ours.File, func(f *descriptorpb.FileDescriptorProto) bool { return f.GetName() == w.GetName() })
		switch {
		case at < 0:
			ours.File = append(ours.File, w)
		case w.GetName() == newer.Path():
			ours.File[at] = m.file(proto.CloneOf(ours.File[at]), w)
		case !proto.Equal(ours.File[at], w):
			ours.File[at] = m.file(proto.CloneOf(ours.File[at]), w)
		}
	}
	files, err := protodesc.NewFiles(ours)
	if err != nil {
		return nil, decode.Changes{}, fmt.Errorf("the two versions do not fit into one: %w", err)
	}
	merged, err := files.FindFileByPath(older.Path())
	return merged, m.changes, err
}

// merger merges the messages of a newer file into those of an older one.
type merger struct{ changes decode.Changes }

func (m *merger) file(r, w *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorProto {
	for _, name := range w.Dependency {
		if !slices.Contains(r.Dependency, name) {
			r.Dependency = append(r.Dependency, name)
		}
	}
	r.MessageType = m.messages(r.MessageType, w.MessageType, r.GetPackage())
	r.EnumType = m.enums(r.EnumType, w.EnumType, r.GetPackage())
	return r
}

func (m *merger) messages(r, w []*descriptorpb.DescriptorProto, path string) []*descriptorpb.DescriptorProto {
	for _, wm := range w {
		at := slices.IndexFunc(r, func(rm *descriptorpb.DescriptorProto) bool { return rm.GetName() == wm.GetName() })
		if at < 0 {
			r = append(r, wm)
			continue
		}
		m.message(r[at], wm, dotted(path, wm.GetName()))
	}
	return r
}

func (m *merger) message(r, w *descriptorpb.DescriptorProto, path string) {
	if r.GetOptions().GetMapEntry() || w.GetOptions().GetMapEntry() {
		return
	}
	r.NestedType = m.messages(r.NestedType, w.NestedType, path)
	r.EnumType = m.enums(r.EnumType, w.EnumType, path)
	// What one version has removed and reserved, the other one has.
	r.ReservedRange, r.ReservedName = nil, nil
	for _, wf := range w.Field {
		at := dotted(path, wf.GetName())
		i := slices.IndexFunc(r.Field, func(rf *descriptorpb.FieldDescriptorProto) bool { return rf.GetNumber() == wf.GetNumber() })
		switch {
		case i >= 0:
			m.field(r.Field[i], wf, at)
		case slices.ContainsFunc(r.Field, func(rf *descriptorpb.FieldDescriptorProto) bool { return rf.GetName() == wf.GetName() }):
			m.conflict(at, "another number", fmt.Sprint("number ", wf.GetNumber()))
		default:
			added, place := proto.CloneOf(wf), len(r.Field)
			if wf.OneofIndex != nil {
				index := oneof(r, w.OneofDecl[wf.GetOneofIndex()])
				added.OneofIndex = &index
				// The members of a oneof stand together.
				for i, rf := range r.Field {
					if rf.OneofIndex != nil && rf.GetOneofIndex() == index {
						place = i + 1
					}
				}
			}
			r.Field = slices.Insert(r.Field, place, added)
			m.changes.Added = append(m.changes.Added, at)
		}
	}
	orderOneofs(r)
}

func (m *merger) field(r, w *descriptorpb.FieldDescriptorProto, path string) {
	switch {
	case r.GetType() == w.GetType() && r.GetTypeName() == w.GetTypeName() && r.GetLabel() == w.GetLabel():
	case r.GetLabel() == w.GetLabel() && grows[[2]descriptorpb.FieldDescriptorProto_Type{r.GetType(), w.GetType()}]:
		r.Type = w.Type
		m.changes.Widened = append(m.changes.Widened, path)
	default:
		m.conflict(path, spellField(r), spellField(w))
	}
}

// grows are the pairs of types, the older first, of which the second holds more, with the same bytes and a column of the same type.
var grows = map[[2]descriptorpb.FieldDescriptorProto_Type]bool{
	{descriptorpb.FieldDescriptorProto_TYPE_INT32, descriptorpb.FieldDescriptorProto_TYPE_INT64}:   true,
	{descriptorpb.FieldDescriptorProto_TYPE_SINT32, descriptorpb.FieldDescriptorProto_TYPE_SINT64}: true,
}

func (m *merger) conflict(path, have, want string) {
	m.changes.Conflicts = append(m.changes.Conflicts, decode.Conflict{Path: path, Have: have, Want: want})
}

func (m *merger) enums(r, w []*descriptorpb.EnumDescriptorProto, path string) []*descriptorpb.EnumDescriptorProto {
	for _, we := range w {
		at := slices.IndexFunc(r, func(re *descriptorpb.EnumDescriptorProto) bool { return re.GetName() == we.GetName() })
		if at < 0 {
			r = append(r, we)
			continue
		}
		re := r[at]
		re.ReservedRange, re.ReservedName = nil, nil
		for _, v := range we.Value {
			if !slices.ContainsFunc(re.Value, func(own *descriptorpb.EnumValueDescriptorProto) bool {
				return own.GetNumber() == v.GetNumber() || own.GetName() == v.GetName()
			}) {
				re.Value = append(re.Value, v)
				m.changes.Widened = append(m.changes.Widened, fmt.Sprintf("%s (%s)", dotted(path, re.GetName()), v.GetName()))
			}
		}
	}
	return r
}

// oneof is the index of a oneof of this name, which is added if it is not there.
func oneof(m *descriptorpb.DescriptorProto, decl *descriptorpb.OneofDescriptorProto) int32 {
	at := slices.IndexFunc(m.OneofDecl, func(d *descriptorpb.OneofDescriptorProto) bool { return d.GetName() == decl.GetName() })
	if at < 0 {
		at = len(m.OneofDecl)
		m.OneofDecl = append(m.OneofDecl, decl)
	}
	return int32(at)
}

// orderOneofs puts those that only stand for proto3's optional behind the others, as a descriptor wants them.
func orderOneofs(m *descriptorpb.DescriptorProto) {
	synthetic := make([]bool, len(m.OneofDecl))
	for _, f := range m.Field {
		if f.OneofIndex != nil && f.GetProto3Optional() {
			synthetic[f.GetOneofIndex()] = true
		}
	}
	place := make([]int32, len(m.OneofDecl))
	var ordered []*descriptorpb.OneofDescriptorProto
	for _, last := range []bool{false, true} {
		for i, d := range m.OneofDecl {
			if synthetic[i] == last {
				place[i] = int32(len(ordered))
				ordered = append(ordered, d)
			}
		}
	}
	m.OneofDecl = ordered
	for _, f := range m.Field {
		if f.OneofIndex != nil {
			f.OneofIndex = proto.Int32(place[f.GetOneofIndex()])
		}
	}
}

func dotted(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// spellField is a field's type for people.
func spellField(f *descriptorpb.FieldDescriptorProto) string {
	text := f.GetTypeName()
	if text == "" {
		text = protoreflect.Kind(f.GetType()).String()
	} else {
		text = text[1:]
	}
	if f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED {
		return "repeated " + text
	}
	return text
}
