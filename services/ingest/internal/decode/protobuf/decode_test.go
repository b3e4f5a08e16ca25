package protobuf

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// parse compiles the text of a .proto file.
func parse(t testing.TB, text string) protoreflect.FileDescriptor {
	t.Helper()
	file, err := ParseSource(map[string]string{"x.proto": text}, "x.proto")
	if err != nil {
		t.Fatal(err)
	}
	return file
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
