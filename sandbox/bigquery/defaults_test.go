package bigquery_test

import (
	"fmt"
	"strings"
	"testing"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	emulator "github.com/waybill-data/waybill/sandbox/bigquery"
)

// withDefaults is a table whose columns have default values, some of them REQUIRED.
const withDefaults = `{"tableReference": {"tableId": "orders"}, "schema": {"fields": [
	{"name": "id", "type": "INTEGER", "mode": "REQUIRED"},
	{"name": "state", "type": "STRING", "mode": "REQUIRED", "defaultValueExpression": "'new'"},
	{"name": "price", "type": "NUMERIC", "precision": "6", "scale": "2", "defaultValueExpression": "1.25"},
	{"name": "at", "type": "TIMESTAMP", "defaultValueExpression": "CURRENT_TIMESTAMP"},
	{"name": "day", "type": "DATE", "defaultValueExpression": "'2024-01-02'"},
	{"name": "mark", "type": "STRING", "defaultValueExpression": "GENERATE_UUID()"},
	{"name": "tags", "type": "STRING", "mode": "REPEATED", "defaultValueExpression": "['a', 'b']"},
	{"name": "note", "type": "STRING"}]}}`

// writer is a connection that sends rows of a few fields: its schema is the names given, in order, id an int64 and
// the others texts.
type writer struct {
	b   *bench
	rpc storagepb.BigQueryWrite_AppendRowsClient
}

func (b *bench) writer(stream string, names ...string) *writer {
	b.t.Helper()
	rpc, err := b.write.AppendRows(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	d := &descriptorpb.DescriptorProto{Name: proto.String("Order")}
	for i, name := range names {
		kind := descriptorpb.FieldDescriptorProto_TYPE_STRING
		if name == "id" {
			kind = descriptorpb.FieldDescriptorProto_TYPE_INT64
		}
		d.Field = append(d.Field, &descriptorpb.FieldDescriptorProto{
			Name: proto.String(name), Number: proto.Int32(int32(i + 1)), Type: kind.Enum(),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		})
	}
	w := &writer{b: b, rpc: rpc}
	w.send(&storagepb.AppendRowsRequest{WriteStream: stream, Rows: &storagepb.AppendRowsRequest_ProtoRows{
		ProtoRows: &storagepb.AppendRowsRequest_ProtoData{WriterSchema: &storagepb.ProtoSchema{ProtoDescriptor: d}},
	}})
	return w
}

func (w *writer) send(r *storagepb.AppendRowsRequest) *storagepb.AppendRowsResponse {
	w.b.t.Helper()
	if err := w.rpc.Send(r); err != nil {
		w.b.t.Fatal(err)
	}
	out, err := w.rpc.Recv()
	if err != nil {
		w.b.t.Fatal(err)
	}
	return out
}

// append sends one row: field 1 is id, and the others texts by their numbers.
func (w *writer) append(id int64, texts map[int]string, set func(*storagepb.AppendRowsRequest)) error {
	w.b.t.Helper()
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(id))
	for number, text := range texts {
		b = protowire.AppendString(protowire.AppendTag(b, protowire.Number(number), protowire.BytesType), text)
	}
	r := &storagepb.AppendRowsRequest{Rows: &storagepb.AppendRowsRequest_ProtoRows{
		ProtoRows: &storagepb.AppendRowsRequest_ProtoData{Rows: &storagepb.ProtoRows{SerializedRows: [][]byte{b}}},
	}}
	if set != nil {
		set(r)
	}
	out := w.send(r)
	if len(out.RowErrors) > 0 {
		return status.Error(codes.InvalidArgument, out.RowErrors[0].Message)
	}
	return status.ErrorProto(out.GetError())
}

const (
	null  = storagepb.AppendRowsRequest_NULL_VALUE
	value = storagepb.AppendRowsRequest_DEFAULT_VALUE
)

type interpretations = map[string]storagepb.AppendRowsRequest_MissingValueInterpretation

// A column that the writer's schema lacks gets its default value; one that it has, and a row has not, as
// missing_value_interpretations and default_missing_value_interpretation say, the latter for the rest of the call.
// Required columns are complete with a default value.
func TestDefaultsOfStorageWrite(t *testing.T) {
	b := start(t, emulator.Config{})
	b.ok(rest{method: "POST", path: v2 + "/datasets/waybill/tables", body: withDefaults})
	stored := func(id int, columns string) any {
		t.Helper()
		return b.cells(fmt.Sprintf("SELECT %s FROM orders WHERE id = %d", columns, id), "[]")
	}
	const stream = "projects/sandbox/datasets/waybill/tables/orders/streams/_default"

	w := b.writer(stream, "id")
	if err := w.append(1, nil, nil); err != nil {
		t.Fatal(err)
	}
	want := any(list(list("new", "1.25", "2024-01-02", "36", "false", list("a", "b"), nil)))
	if diff := cmp.Diff(want, stored(1, "state, price, day, LENGTH(mark), at IS NULL, tags, note")); diff != "" {
		t.Errorf("a schema without the columns: %s", diff)
	}

	w = b.writer(stream, "id", "state", "price", "day", "note")
	const columns = "state, price, day, note"
	for i, c := range []struct {
		name string
		set  func(*storagepb.AppendRowsRequest)
		want any // nil: refused, for state is REQUIRED
	}{
		{"nothing said", nil, nil},
		{"by column", func(r *storagepb.AppendRowsRequest) {
			r.MissingValueInterpretations = interpretations{"STATE": value, "note": value}
		}, list("new", nil, nil, nil)},
		{"not for the next request", nil, nil},
		{
			"for all", func(r *storagepb.AppendRowsRequest) { r.DefaultMissingValueInterpretation = value },
			list("new", "1.25", "2024-01-02", nil),
		},
		{"from then on", nil, list("new", "1.25", "2024-01-02", nil)},
		{
			"but by column", func(r *storagepb.AppendRowsRequest) {
				r.MissingValueInterpretations = interpretations{"price": null}
			}, list("new", nil, "2024-01-02", nil),
		},
		{"back", func(r *storagepb.AppendRowsRequest) { r.DefaultMissingValueInterpretation = null }, nil},
	} {
		id := 10 + i
		err := w.append(int64(id), nil, c.set)
		if c.want == nil {
			if err == nil || !strings.Contains(err.Error(), "state: required field is missing") {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if diff := cmp.Diff(any(list(c.want)), stored(id, columns)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	if err := w.append(30, map[int]string{2: "old", 3: "9", 4: "2020-05-06", 5: "n"},
		func(r *storagepb.AppendRowsRequest) {
			r.DefaultMissingValueInterpretation = value
		}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(any(list(list("old", "9", "2020-05-06", "n"))), stored(30, columns)); diff != "" {
		t.Errorf("values that are given: %s", diff)
	}
	for _, wrong := range []interpretations{{"nothing": value}, {"note.x": value}, {"note": 0}} {
		err := w.append(40, map[int]string{2: "x"},
			func(r *storagepb.AppendRowsRequest) { r.MissingValueInterpretations = wrong })
		if status.Code(err) != codes.InvalidArgument ||
			!strings.Contains(err.Error(), "missing_value_interpretations") {
			t.Errorf("%v: %v", wrong, err)
		}
	}
	marks := b.cells("SELECT COUNT(DISTINCT mark) = COUNT(mark), COUNT(mark) > 3 FROM orders", "[]")
	if !cmp.Equal(marks, any(list(list("true", "true")))) {
		t.Errorf("GENERATE_UUID: %v", marks)
	}
}

// Rows that streaming and load jobs bring get default values too: of streaming the columns that a row does not name,
// of a load job those that the job's schema does not.
func TestDefaultsOfJSON(t *testing.T) {
	b := start(t, emulator.Config{})
	b.ok(rest{method: "POST", path: v2 + "/datasets/waybill/tables", body: withDefaults})
	out := b.ok(rest{method: "POST", path: v2 + "/datasets/waybill/tables/orders/insertAll", body: `{"rows": [
		{"json": {"id": 1}}, {"json": {"ID": 2, "State": "old", "price": null}}]}`})
	if out["insertErrors"] != nil {
		t.Fatal(out)
	}
	b.load(`{"load": {"sourceFormat": "NEWLINE_DELIMITED_JSON",
		"destinationTable": {"projectId": "sandbox", "datasetId": "waybill", "tableId": "orders"},
		"schema": {"fields": [{"name": "id", "type": "INTEGER"}, {"name": "price", "type": "NUMERIC"}]}}}`, `{"id": 3}`+
		"\n")
	// In one request CURRENT_TIMESTAMP is one time, and GENERATE_UUID gives each row its own text.
	once := b.cells("SELECT COUNT(DISTINCT at), COUNT(DISTINCT mark) FROM orders WHERE id < 3", "[]")
	if diff := cmp.Diff(any(list(list("1", "2"))), once); diff != "" {
		t.Errorf("values of one request: %s", diff)
	}
	want := any(list(list("1", "new", "1.25"), list("2", "old", nil), list("3", "new", nil)))
	if diff := cmp.Diff(want, b.cells("SELECT id, state, price FROM orders ORDER BY id", "[]")); diff != "" {
		t.Error(diff)
	}
}

// A default value that does not fit its column is refused with the table.
func TestDefaultsThatDoNotFit(t *testing.T) {
	b := start(t, emulator.Config{})
	create := func(field string) rest {
		return rest{
			method: "POST", path: v2 + "/datasets/waybill/tables",
			body: `{"tableReference": {"tableId": "t"}, "schema": {"fields": [` + field + `]}}`,
		}
	}
	for _, field := range []string{
		`{"name": "n", "type": "INTEGER", "defaultValueExpression": "'x'"}`,
		`{"name": "n", "type": "INTEGER", "defaultValueExpression": "1.5"}`,
		`{"name": "n", "type": "NUMERIC", "precision": "3", "scale": "1", "defaultValueExpression": "1.25"}`,
		`{"name": "s", "type": "STRING", "maxLength": "2", "defaultValueExpression": "'abc'"}`,
		`{"name": "s", "type": "STRING", "defaultValueExpression": "other"}`,
		`{"name": "d", "type": "DATE", "defaultValueExpression": "'2024-02-30'"}`,
		`{"name": "s", "type": "STRING", "defaultValueExpression": "1 +"}`,
		`{"name": "s", "type": "STRING", "defaultValueExpression": "['a']"}`,
		`{"name": "r", "type": "RECORD", "fields": [{"name": "x", "type": "INTEGER", "defaultValueExpression": "1"}]}`,
	} {
		b.refused(400, create(field))
	}
	b.ok(create(`{"name": "n", "type": "FLOAT", "defaultValueExpression": "1"},
		{"name": "d", "type": "DATETIME", "defaultValueExpression": "CURRENT_DATETIME()"},
		{"name": "x", "type": "STRING", "mode": "REPEATED", "defaultValueExpression": "[]"},
		{"name": "z", "type": "INTEGER", "defaultValueExpression": "NULL"}`))
}
