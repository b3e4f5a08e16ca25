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
	p, err := compileMessage(m, unknown, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// compileMessage compiles the columns of a message.
func compileMessage(m protoreflect.MessageDescriptor, unknown Unknown, o decode.Options) (*Plan, error) {
	return (&Schema{m, shapeOf(m)}).Compile(unknown, o)
}

// compileSource compiles a message of the text of a .proto file; files and file are those of ParseSource.
func compileSource(files map[string]string, file, message string, o decode.Options) (*Plan, error) {
	f, err := ParseSource(files, file)
	if err != nil {
		return nil, err
	}
	s, err := NewSchema(f, message)
	if err != nil {
		return nil, err
	}
	return s.Compile(Drop, o)
}
