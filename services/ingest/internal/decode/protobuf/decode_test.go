package protobuf

import (
	"context"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// parse compiles the text of a .proto file.
func parse(t testing.TB, text string) protoreflect.FileDescriptor {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"x.proto": text}),
	}), SourceInfoMode: protocompile.SourceInfoStandard}
	files, err := compiler.Compile(context.Background(), "x.proto")
	if err != nil {
		t.Fatal(err)
	}
	return files[0]
}

var options = decode.Options{Contract: "test", Payload: "payload"}

func compile(t testing.TB, m protoreflect.MessageDescriptor, unknown Unknown, o decode.Options) *Plan {
	t.Helper()
	p, err := CompileMessage(m, unknown, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
