package protobuf

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	// Protobuf's own types, which a descriptor set may leave out.
	_ "google.golang.org/protobuf/types/known/anypb"
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/emptypb"
	_ "google.golang.org/protobuf/types/known/fieldmaskpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// parseSet reads a FileDescriptorSet. Protobuf's own files and that of the column options may be missing from it.
func parseSet(encoded []byte) (*protoregistry.Files, error) {
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(encoded, set); err != nil || len(set.File) == 0 {
		return nil, errors.New("it is no FileDescriptorSet: write one with `buf build -o x.binpb` or " +
			"`protoc --include_imports -o x.pb`")
	}
	have := map[string]bool{}
	for _, f := range set.File {
		have[f.GetName()] = true
	}
	for i := 0; i < len(set.File); i++ { // grows as files are added
		for _, name := range set.File[i].GetDependency() {
			if have[name] {
				continue
			}
			own, err := protoregistry.GlobalFiles.FindFileByPath(name)
			if err != nil || !strings.HasPrefix(name, "google/protobuf/") &&
				name != columnv1.File_column_v1_column_proto.Path() {
				return nil, fmt.Errorf("%s imports %s, which the set does not hold: write the set with "+
					"--include_imports",
					set.File[i].GetName(), name)
			}
			have[name] = true
			set.File = append(set.File, protodesc.ToFileDescriptorProto(own))
		}
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("the descriptor set does not fit together: %w", err)
	}
	return files, nil
}

// findMessage finds the payload's message by its full name.
func findMessage(files *protoregistry.Files, name, payload string) (protoreflect.MessageDescriptor, error) {
	if name == "" {
		return nil, decode.FaultAt(payload, "message: it is missing; the schema has "+messages(files))
	}
	d, err := files.FindDescriptorByName(protoreflect.FullName(strings.TrimPrefix(name, ".")))
	if err != nil {
		return nil, decode.FaultAt(payload, fmt.Sprintf("message: the schema has no %s, but %s", name, messages(files)))
	}
	m, ok := d.(protoreflect.MessageDescriptor)
	if !ok || m.IsMapEntry() {
		return nil, decode.FaultAt(payload, fmt.Sprintf("message: %s is no message; the schema has %s", name,
			messages(files)))
	}
	return m, nil
}

// messages lists the top-level messages of a set for people, protobuf's own left out.
func messages(files *protoregistry.Files) string {
	const most = 8
	var names []string
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Messages().Len() {
			if f.Package() != "google.protobuf" {
				names = append(names, string(f.Messages().Get(i).FullName()))
			}
		}
		return true
	})
	slices.Sort(names)
	switch {
	case len(names) == 0:
		return "no messages"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
