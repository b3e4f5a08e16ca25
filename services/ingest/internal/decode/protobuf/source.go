package protobuf

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// builtinSources are the files that Confluent's serializers know without a reference, protobuf's own apart.
var builtinSources = map[string]string{
	"confluent/meta.proto": `syntax = "proto3"; package confluent; import "google/protobuf/descriptor.proto";
message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }`,
	"confluent/type/decimal.proto": `syntax = "proto3"; package confluent.type; message Decimal { bytes value = 1; ` +
		`uint32 precision = 2; int32 scale = 3; }`,
}

// ParseSource compiles the text of a .proto file. files holds it and what it imports, by import path; protobuf's own
// files, google/type, and those of the column options and of Confluent's serializers need not be among them.
func ParseSource(files map[string]string, file string) (protoreflect.FileDescriptor, error) {
	size := 0
	for _, text := range files {
		size += len(text)
	}
	if size > decode.MaxSchema {
		return nil, fmt.Errorf("the schema and its references have %d bytes, more than %d", size, decode.MaxSchema)
	}
	texts := maps.Clone(builtinSources)
	for name, text := range googleTypes {
		texts["google/type/"+name] = `syntax = "proto3"; package google.type; ` + text
	}
	maps.Copy(texts, files)
	own := protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
		if d := columnv1.File_column_v1_column_proto; path == d.Path() {
			return protocompile.SearchResult{Desc: d}, nil
		}
		return protocompile.SearchResult{}, protoregistry.NotFound
	})
	compiler := protocompile.Compiler{
		MaxParallelism: 1,
		SourceInfoMode: protocompile.SourceInfoStandard,
		Resolver: protocompile.WithStandardImports(protocompile.CompositeResolver{
			&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(texts)}, own,
		}),
	}
	compiled, err := compiler.Compile(context.Background(), file)
	if err != nil {
		return nil, fmt.Errorf("the schema does not compile: %w", err)
	}
	// By way of its bytes, or the column options would not be those that this program knows.
	set := &descriptorpb.FileDescriptorSet{}
	addFile(set, compiled[0], map[string]bool{})
	encoded, err := proto.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("the schema does not compile: %w", err)
	}
	parsed, err := parseSet(encoded)
	if err != nil {
		return nil, err
	}
	return parsed.FindFileByPath(file)
}

// addFile adds a file and what it imports.
func addFile(set *descriptorpb.FileDescriptorSet, f protoreflect.FileDescriptor, have map[string]bool) {
	if have[f.Path()] {
		return
	}
	have[f.Path()] = true
	for i := range f.Imports().Len() {
		addFile(set, f.Imports().Get(i).FileDescriptor, have)
	}
	set.File = append(set.File, protoutil.ProtoFromFileDescriptor(f))
}

// messageOf finds a message of a file by its full name, nil if there is none.
func messageOf(f protoreflect.FileDescriptor, name string) protoreflect.MessageDescriptor {
	var alone protoregistry.Files
	if alone.RegisterFile(f) != nil {
		return nil // names in a file that has been compiled do not clash
	}
	d, err := alone.FindDescriptorByName(protoreflect.FullName(strings.TrimPrefix(name, ".")))
	if m, ok := d.(protoreflect.MessageDescriptor); err == nil && ok && !m.IsMapEntry() {
		return m
	}
	return nil
}
