// Package decodetest reads recorded payloads, and rows, for tests of formats and of what is made of them.
package decodetest

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// T is a test, or a run of rapid's.
type T interface {
	Helper()
	Fatal(args ...any)
}

// Payload is the message of a plan's payload, by a row that holds nothing else.
func Payload(t T, p decode.Plan) protoreflect.MessageDescriptor {
	t.Helper()
	row := &descriptorpb.DescriptorProto{Name: proto.String("Row")}
	if err := p.AddPayload(row, "payload", 16); err != nil {
		t.Fatal(err)
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("row.proto"), Syntax: proto.String("proto2"),
		MessageType: []*descriptorpb.DescriptorProto{row},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().Get(0).Fields().ByNumber(16).Message()
}

// Bench decodes one payload again and again.
func Bench(b *testing.B, p decode.Plan, payload []byte) {
	b.Helper()
	d := p.NewDecoder()
	row, err := d.Append(nil, payload)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Append(row[:0], payload); err != nil {
			b.Fatal(err)
		}
	}
}

// Faults are the fields at fault of a schema, which must have several, in their order.
func Faults(t T, err error) string {
	t.Helper()
	var all decode.SchemaErrors
	if !errors.As(err, &all) {
		t.Fatal("no faults of a schema:", err)
	}
	fields := make([]string, len(all))
	for i, e := range all {
		fields[i] = e.Field
	}
	return strings.Join(fields, " ")
}

// Read reads a file of compressed JSON lines, each into a T, and fails the test when there is none.
func Read[T any](t testing.TB, path string) (all []T) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v T
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	if err := lines.Err(); err != nil || len(all) == 0 {
		t.Fatalf("%s: %d payloads, %v", path, len(all), err)
	}
	return all
}
