package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/verify"
)

const (
	sales = "sales_protobuf"

	saleSet = `file {
		name: "sale.proto" package: "shop" syntax: "proto3" dependency: "google/protobuf/timestamp.proto"
		message_type { name: "Sale"
			field { name: "id" number: 1 type: TYPE_INT64 label: LABEL_OPTIONAL }
			field { name: "at" number: 2 type: TYPE_MESSAGE type_name: ".google.protobuf.Timestamp" label: LABEL_OPTIONAL }
			field { name: "buyer" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL }
			field { name: "state" number: 4 type: TYPE_ENUM type_name: ".shop.State" label: LABEL_OPTIONAL }
			field { name: "lines" number: 5 type: TYPE_MESSAGE type_name: ".shop.Line" label: LABEL_REPEATED }
			field { name: "age" number: 6 type: TYPE_INT32 label: LABEL_OPTIONAL proto3_optional: true oneof_index: 0 }
			field { name: "scores" number: 7 type: TYPE_SINT32 label: LABEL_REPEATED }
			oneof_decl { name: "_age" } }
		message_type { name: "Line" field { name: "sku" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
			field { name: "count" number: 2 type: TYPE_UINT64 label: LABEL_OPTIONAL } }
		enum_type { name: "State" value { name: "NEW" number: 0 } value { name: "PAID" number: 1 } } }`

	saleContract = `  - topic: sales_protobuf
    format: protobuf
    schema: %s
    message: shop.Sale
    table: sales
    payload: sale
    types: ["*"]
    event_id: id
    event_time: {field: at}
`
)

// sale makes payloads of shop.Sale.
type sale struct {
	message protoreflect.MessageDescriptor
}

// encode encodes the text form of a Sale, and extra bytes behind it.
func (s sale) encode(t *testing.T, text, extra string) string {
	t.Helper()
	m := dynamicpb.NewMessage(s.message)
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + extra
}

// writeSaleSet writes the descriptor set to a file.
func writeSaleSet(t *testing.T) (path string, s sale) {
	t.Helper()
	set := &descriptorpb.FileDescriptorSet{}
	if err := prototext.Unmarshal([]byte(saleSet), set); err != nil {
		t.Fatal(err)
	}
	encoded, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "sale.binpb")
	if err := os.WriteFile(path, encoded, 0o600); err != nil {
		t.Fatal(err)
	}
	// which the file leaves out
	set.File = append(set.File, protodesc.ToFileDescriptorProto(timestamppb.File_google_protobuf_timestamp_proto))
	files, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatal(err)
	}
	m, err := files.FindDescriptorByName("shop.Sale")
	if err != nil {
		t.Fatal(err)
	}
	return path, sale{m.(protoreflect.MessageDescriptor)}
}

// ingestSays runs a command of ingest with the configuration of the stack, asserts its exit status, and returns what it
// says.
func (w *world) ingestSays(status int, args ...string) string {
	w.t.Helper()
	out, err := exec.CommandContext(w.ctx, filepath.Join(bin, "ingest"),
		append(args, "--config", w.Ingests[0].Config)...).CombinedOutput()
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		w.t.Fatal(err)
	}
	if code != status {
		w.t.Fatalf("ingest %s: exit status %d\n%s", strings.Join(args, " "), code, out)
	}
	return string(out)
}

// A topic of protobuf, by nothing but a descriptor set: good records become rows, each bad one a dead letter that names
// field and byte; a writer and an ingest are killed on the way. Before and after, the command line compares the table,
// and decodes a sample.
func TestProtobuf(t *testing.T) {
	t.Parallel()
	set, sale := writeSaleSet(t)
	w := prepared(t, stack.Config{Contracts: fmt.Sprintf(saleContract, set)})
	w.upSandbox()
	w.create(sales)
	w.upServices()
	if out := w.ingestSays(0, "contracts", "diff"); !strings.Contains(out, "sandbox.waybill.sales") ||
		!strings.Contains(out, "will be created") {
		t.Errorf("got\n%s", out)
	}

	// Bad records: the payload, the field and the byte at fault.
	whole := sale.encode(t, `id: 7 buyer: "b" lines {sku: "a"} lines {sku: "b" count: 1}`, "")
	faults := map[string]string{
		whole[:len(whole)-1]: fmt.Sprintf("sale.lines[1] %d", len(whole)-7),
		"\x1a\x02a\xff":      "sale.buyer 0",
		"\x08\x01\x0a\x00":   "sale.id 2",
		"\x08\x01\x2a\x0b\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01": "sale.lines[0].count 4",
	}
	const good = 10_000
	sample := ""
	places := w.interrupted(verify.Topic{
		Name: sales, Tables: []string{"waybill.sales"}, Schema: `"null"`, Payload: "sale",
	}, good, slices.Collect(maps.Keys(faults)), func(i int) string {
		text := fmt.Sprintf(`id: %d at {seconds: 1767323045 nanos: %d} buyer: "Zoë %d" state: PAID
			lines {sku: "a" count: %d} lines {sku: "b"} scores: [-1, %d]`, i+1, i*1000, i+1, i, i)
		// A field that the schema does not have, and a name that is there twice.
		sample = sale.encode(t, text, "\xa2\x06\x03new\x1a\x03Z0z")
		return sample
	})
	// Every value of every row, as the query engine reads it back.
	same := w.value(`SELECT COUNT(DISTINCT CAST(s.sale.id AS STRING)) FROM waybill.sales AS s
		WHERE event_id = CAST(s.sale.id AS STRING) AND event_time = s.sale.at AND EXTRACT(SECOND FROM event_time) = 5
		AND s.sale.buyer = 'Z0z' AND s.sale.state = 'PAID' AND s.sale.age IS NULL AND ARRAY_LENGTH(s.sale.lines) = 2
		AND s.sale.lines[OFFSET(0)].count = s.sale.id - 1 AND s.sale.lines[OFFSET(1)].count = 0
		AND s.sale.lines[OFFSET(1)].sku = 'b'
		AND s.sale.scores[OFFSET(0)] = -1 AND s.sale.scores[OFFSET(1)] = s.sale.id - 1`)
	if same != fmt.Sprint(good) {
		t.Errorf("%s of %d rows say what was sent", same, good)
	}
	for payload, place := range faults {
		if places[place] < 2 {
			t.Errorf("%x: no dead letters at %s; there are %v", payload, place, places)
		}
	}

	if out := w.ingestSays(0, "contracts", "diff"); !strings.Contains(out, "fits") {
		t.Errorf("got\n%s", out)
	}
	file := filepath.Join(t.TempDir(), "sale.bin")
	if err := os.WriteFile(file, []byte(sample), 0o600); err != nil {
		t.Fatal(err)
	}
	out := w.ingestSays(0, "contracts", "test", "--topic", sales, "--compact", file)
	var row struct {
		Sale struct{ Buyer, State string }
	}
	if err := json.Unmarshal([]byte(out[:strings.IndexByte(out, '\n')]), &row); err != nil || row.Sale.Buyer != "Z0z" ||
		row.Sale.State != "PAID" {
		t.Errorf("%v\n%s", err, out)
	}
	if err := os.WriteFile(file, []byte("\x1a\x02a\xff"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := w.ingestSays(1, "contracts", "test", file); !strings.Contains(out,
		"sale.buyer at byte 0: text is not valid UTF-8") || !strings.Contains(out, "1a 02 61 ff") {
		t.Errorf("got\n%s", out)
	}
	if out := w.ingestSays(0, "contracts", "list"); !strings.Contains(out, "shop.Sale") {
		t.Errorf("got\n%s", out)
	}
}
