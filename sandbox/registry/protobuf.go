package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/bufbuild/protocompile"
	"github.com/jhump/protoreflect/v2/protoprint"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	_ "google.golang.org/protobuf/types/known/anypb" // what schemas import without a reference, down to wrapperspb
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/emptypb"
	_ "google.golang.org/protobuf/types/known/fieldmaskpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"
)

// A protobuf schema has two forms: its text, which is what the registry keeps, and the base64 of its
// FileDescriptorProto, which clients that have no compiler send, and ask for with format=serialized.

// mainFile is what a schema's own file is called while it is compiled; references have names of their own.
const mainFile = "waybill-registered.proto"

// sources are the texts that a schema refers to, by the name they are imported by, those of references included.
func sources(fake *srfake.Registry, references []sr.SchemaReference) (map[string]string, error) {
	out := map[string]string{}
	for _, reference := range references {
		s, ok := fake.GetSchema(reference.Subject, reference.Version)
		if !ok {
			return nil, fmt.Errorf("no schema for the reference %s: version %d of subject %s",
				reference.Name, reference.Version, reference.Subject)
		}
		more, err := sources(fake, s.References)
		if err != nil {
			return nil, err
		}
		maps.Copy(out, more)
		out[reference.Name] = s.Schema.Schema
	}
	return out, nil
}

func compile(texts map[string]string, names ...string) (*protoregistry.Files, error) {
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			Accessor: protocompile.SourceAccessorFromMap(texts),
		}),
	}
	files, err := compiler.Compile(context.Background(), names...)
	if err != nil {
		return nil, err
	}
	out := &protoregistry.Files{}
	for _, file := range files {
		if err := out.RegisterFile(file); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// serialized is the base64 of a schema's descriptor.
func serialized(fake *srfake.Registry, schema string, references []sr.SchemaReference) (string, error) {
	texts, err := sources(fake, references)
	if err != nil {
		return "", err
	}
	texts[mainFile] = schema
	files, err := compile(texts, mainFile)
	if err != nil {
		return "", err
	}
	file, err := files.FindFileByPath(mainFile)
	if err != nil {
		return "", err
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(protodesc.ToFileDescriptorProto(file))
	return base64.StdEncoding.EncodeToString(b), err
}

// descriptorOf reads a schema that is the base64 of a descriptor; ok is false for a text.
func descriptorOf(schema string) (_ *descriptorpb.FileDescriptorProto, ok bool) {
	b, err := base64.StdEncoding.DecodeString(schema)
	if err != nil || len(b) == 0 {
		return nil, false
	}
	file := &descriptorpb.FileDescriptorProto{}
	if err := proto.Unmarshal(b, file); err != nil || len(file.ProtoReflect().GetUnknown()) > 0 {
		return nil, false
	}
	return file, true
}

// text writes a descriptor as a .proto file.
func text(fake *srfake.Registry, file *descriptorpb.FileDescriptorProto,
	references []sr.SchemaReference,
) (string, error) {
	texts, err := sources(fake, references)
	if err != nil {
		return "", err
	}
	imported, err := compile(texts, slices.Sorted(maps.Keys(texts))...)
	if err != nil {
		return "", err
	}
	file.Name = proto.String(mainFile)
	descriptor, err := protodesc.NewFile(file, either{imported, protoregistry.GlobalFiles})
	if err != nil {
		return "", err
	}
	printer := protoprint.Printer{Compact: true}
	return printer.PrintProtoToString(descriptor)
}

// either looks in one set of files and then in another.
type either [2]*protoregistry.Files

// FindFileByPath implements protodesc.Resolver.
func (e either) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	file, err := e[0].FindFileByPath(path)
	if errors.Is(err, protoregistry.NotFound) {
		return e[1].FindFileByPath(path)
	}
	return file, err
}

// FindDescriptorByName implements protodesc.Resolver.
func (e either) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	found, err := e[0].FindDescriptorByName(name)
	if errors.Is(err, protoregistry.NotFound) {
		return e[1].FindDescriptorByName(name)
	}
	return found, err
}
