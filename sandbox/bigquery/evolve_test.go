package bigquery_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/bigquery"
	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/api/googleapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	emulator "github.com/waybill-data/waybill/sandbox/bigquery"
	"github.com/waybill-data/waybill/sandbox/bigquery/fault"
)

// textRow is a row message of optional strings.
func textRow(names ...string) *storagepb.ProtoSchema {
	d := &descriptorpb.DescriptorProto{Name: proto.String("Row")}
	for i, name := range names {
		d.Field = append(d.Field, &descriptorpb.FieldDescriptorProto{
			Name: proto.String(name), Number: proto.Int32(int32(i + 1)),
			Type:  descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		})
	}
	return &storagepb.ProtoSchema{ProtoDescriptor: d}
}

// texts encodes one row; an empty text is left out.
func texts(values ...string) [][]byte {
	var b []byte
	for i, v := range values {
		if v != "" {
			b = protowire.AppendString(protowire.AppendTag(b, protowire.Number(i+1), protowire.BytesType), v)
		}
	}
	return [][]byte{b}
}

const growsName = "projects/sandbox/datasets/waybill/tables/grows"

// grows makes a table of its own, and gives its handle.
func (b *bench) grows(columns ...*bigquery.FieldSchema) *bigquery.Table {
	b.t.Helper()
	table := b.bq.Dataset(dataset).Table("grows")
	if err := table.Create(b.t.Context(), &bigquery.TableMetadata{Schema: columns}); err != nil {
		b.t.Fatal(err)
	}
	return table
}

func column(name string, t bigquery.FieldType) *bigquery.FieldSchema {
	return &bigquery.FieldSchema{Name: name, Type: t}
}

func update(t *testing.T, table *bigquery.Table, etag string,
	columns ...*bigquery.FieldSchema,
) (*bigquery.TableMetadata, error) {
	t.Helper()
	return table.Update(t.Context(), bigquery.TableMetadataToUpdate{Schema: columns}, etag)
}

// A schema only grows: NULLABLE and REPEATED columns, nested ones too, and REQUIRED to NULLABLE. All else is refused
// as BigQuery puts it.
func TestSchemaUpdates(t *testing.T) {
	b := start(t, emulator.Config{})
	must := &bigquery.FieldSchema{Name: "must", Type: bigquery.StringFieldType, Required: true}
	record := func(fields ...*bigquery.FieldSchema) *bigquery.FieldSchema {
		return &bigquery.FieldSchema{Name: "record", Type: bigquery.RecordFieldType, Repeated: true, Schema: fields}
	}
	number := column("number", bigquery.IntegerFieldType)
	span := &bigquery.FieldSchema{
		Name: "span", Type: bigquery.RangeFieldType,
		RangeElementType: &bigquery.RangeElementType{Type: bigquery.DateFieldType},
	}
	table := b.grows(must, number, record(column("a", bigquery.StringFieldType)), span)
	const mismatch = "Provided Schema does not match Table sandbox:waybill.grows. "
	for says, columns := range map[string][]*bigquery.FieldSchema{
		"Field number is missing in new schema": {
			must, record(column("a", bigquery.StringFieldType)), span,
		},
		"Field record.a is missing in new schema": {
			must, number, record(column("b", bigquery.StringFieldType)), span,
		},
		"Field number has changed type from INTEGER to FLOAT": {
			must, column("number", bigquery.FloatFieldType), record(column("a", bigquery.StringFieldType)), span,
		},
		"Field number has changed mode from NULLABLE to REPEATED": {
			must,
			{Name: "number", Type: bigquery.IntegerFieldType, Repeated: true},
			record(column("a", bigquery.StringFieldType)), span,
		},
		"Field number has changed mode from NULLABLE to REQUIRED": {
			must,
			{Name: "number", Type: bigquery.IntegerFieldType, Required: true},
			record(column("a", bigquery.StringFieldType)), span,
		},
		"Cannot add required fields to an existing schema. (field: other)": {
			must, number, record(column("a", bigquery.StringFieldType)), span, {
				Name: "other", Type: bigquery.StringFieldType, Required: true,
			},
		},
		"Field span has changed type from RANGE<DATE> to RANGE<TIMESTAMP>": {
			must, number, record(column("a", bigquery.StringFieldType)), {
				Name: "span", Type: bigquery.RangeFieldType,
				RangeElementType: &bigquery.RangeElementType{Type: bigquery.TimestampFieldType},
			},
		},
	} {
		_, err := update(t, table, "", columns...)
		var refused *googleapi.Error
		if !errors.As(err, &refused) || refused.Code != http.StatusBadRequest || refused.Message != mismatch+says {
			t.Errorf("got %v, want 400 %s", err, mismatch+says)
		}
	}
	before, err := table.Metadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	relaxed := column("must", bigquery.StringFieldType)
	more := []*bigquery.FieldSchema{
		relaxed, number, record(column("a", bigquery.StringFieldType), column("b", bigquery.DateFieldType)), span, {
			Name: "tags", Type: bigquery.StringFieldType, Repeated: true,
		},
	}
	after, err := update(t, table, before.ETag, more...)
	if err != nil || len(after.Schema) != 5 || after.Schema[0].Required || len(after.Schema[2].Schema) != 2 ||
		after.ETag == before.ETag {
		t.Fatalf("updated to %+v, %v", after, err)
	}
	// An update that does not know of that one.
	_, err = update(t, table, before.ETag, more...)
	var refused *googleapi.Error
	if !errors.As(err, &refused) || refused.Code != http.StatusPreconditionFailed {
		t.Errorf("got %v, want 412", err)
	}
	if _, err := table.Update(t.Context(),
		bigquery.TableMetadataToUpdate{
			TimePartitioning: &bigquery.TimePartitioning{Type: bigquery.DayPartitioningType},
		},
		""); err == nil {
		t.Error("a table was partitioned afterwards")
	}
}

// growing opens an append call on a stream of the table that grows.
func (b *bench) growing(stream string, names ...string) *appender {
	a := b.open(stream)
	a.schema = textRow(names...)
	return a
}

func wantExtraFields(t *testing.T, out *storagepb.AppendRowsResponse) {
	t.Helper()
	err := status.ErrorProto(out.GetError())
	if status.Code(err) != codes.InvalidArgument ||
		storageCode(t, err) != storagepb.StorageError_SCHEMA_MISMATCH_EXTRA_FIELDS {
		t.Fatalf("got %v, want SCHEMA_MISMATCH_EXTRA_FIELDS", out)
	}
}

// The Storage Write API sees an update a while after the table has it, and only new connections write by it.
func TestSchemaDelay(t *testing.T) {
	b := start(t, emulator.Config{})
	id := &bigquery.FieldSchema{Name: "id", Type: bigquery.StringFieldType, Required: true}
	table := b.grows(id)
	post := httptest.NewRecorder()
	b.e.Admin().ServeHTTP(post, httptest.NewRequest(http.MethodPost, "/bigquery/faults",
		bytes.NewBufferString(`{"kind": "schema_delay", "delay": "3m", "table": "waybill.grows"}`)))
	var added fault.Fault
	if err := json.Unmarshal(post.Body.Bytes(), &added); err != nil || added.ID == "" {
		t.Fatalf("%s: %v", post.Body, err)
	}
	for _, stream := range []string{growsName + "/streams/_default", ""} {
		if stream == "" {
			st, err := b.write.CreateWriteStream(t.Context(), &storagepb.CreateWriteStreamRequest{
				Parent: growsName, WriteStream: &storagepb.WriteStream{Type: storagepb.WriteStream_COMMITTED},
			})
			if err != nil {
				t.Fatal(err)
			}
			stream = st.GetName()
		}
		old := b.growing(stream, "id")
		old.mustAppend(-1, texts("1"))
		grown := "a"
		if !strings.HasSuffix(stream, "/_default") {
			grown = "b"
		}
		// Relaxed and grown in two updates, a minute apart: each is seen in its turn.
		meta, err := table.Metadata(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		relaxed := append(bigquery.Schema{column("id", bigquery.StringFieldType)}, meta.Schema[1:]...)
		if _, err := update(t, table, meta.ETag, relaxed...); err != nil {
			t.Fatal(err)
		}
		jump(t, b, time.Minute)
		if _, err := update(t, table, "", append(relaxed, column(grown, bigquery.StringFieldType))...); err != nil {
			t.Fatal(err)
		}
		wantExtraFields(t, b.growing(stream, "id", grown).append(-1, texts("2", "x")))
		if grown == "a" {
			if out := b.growing(stream, "id").append(-1, texts("")); len(out.GetRowErrors()) != 1 {
				t.Errorf("a row without a column that was REQUIRED a minute ago: %v", out)
			}
		}
		jump(t, b, 2*time.Minute+time.Second)
		b.growing(stream, "id").mustAppend(-1, texts(""))
		wantExtraFields(t, b.growing(stream, "id", grown).append(-1, texts("2", "x")))
		jump(t, b, time.Minute)
		b.growing(stream, "id", grown).mustAppend(-1, texts("2", "x"))
		// The old connection goes on by the schema that it began with, and is given the new one.
		if out := old.append(-1, texts("3")); out.GetError() != nil || len(out.GetUpdatedSchema().GetFields()) < 2 {
			t.Errorf("old rows beside new ones: %v", out)
		}
	}
	got := b.query("SELECT COUNT(*), COUNTIF(a = 'x'), COUNTIF(b = 'x'), COUNTIF(id IS NULL) FROM waybill.grows")
	if want := []bigquery.Value{int64(8), int64(1), int64(1), int64(2)}; !slices.Equal(got[0], want) {
		t.Errorf("table holds %v", got)
	}
	for _, f := range b.e.Faults().List() {
		if f.ID == added.ID && f.Hits != 4 {
			t.Errorf("the delay struck %d updates, want 4", f.Hits)
		}
	}
}

func jump(t *testing.T, b *bench, d time.Duration) {
	t.Helper()
	if _, err := b.e.Faults().Add(fault.Fault{Kind: fault.ClockJump, Delay: fault.Duration(d)}); err != nil {
		t.Fatal(err)
	}
}

// A default stream takes rows without offsets, and no others; a refused request does not stop those behind it.
func TestDefaultStream(t *testing.T) {
	b := start(t, emulator.Config{})
	b.grows(column("id", bigquery.StringFieldType))
	stream := growsName + "/streams/_default"
	a := b.growing(stream, "id")
	a.send(-1, texts("1"))
	a.send(-1, [][]byte{{0x0a, 1, 0xff}})
	a.send(-1, texts("2"))
	for i, refused := range []bool{false, true, false} {
		out, err := a.rpc.Recv()
		if err != nil || (len(out.GetRowErrors()) > 0) != refused || out.GetAppendResult().GetOffset() != nil {
			t.Fatalf("response %d: %v, %v", i, out, err)
		}
	}
	if err := status.ErrorProto(a.append(0, texts("3")).GetError()); status.Code(err) != codes.InvalidArgument {
		t.Errorf("an offset: %v", err)
	}
	if _, err := b.write.FinalizeWriteStream(t.Context(),
		&storagepb.FinalizeWriteStreamRequest{Name: stream}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("finalize: %v", err)
	}
	if got := b.query("SELECT id FROM waybill.grows ORDER BY id"); len(got) != 2 || got[0][0] != "1" ||
		got[1][0] != "2" {
		t.Errorf("table holds %v", got)
	}
}

// RANGE columns come back through the REST API as Google's client reads them.
func TestRangeColumn(t *testing.T) {
	b := start(t, emulator.Config{})
	b.grows(column("id", bigquery.StringFieldType),
		&bigquery.FieldSchema{
			Name: "days", Type: bigquery.RangeFieldType,
			RangeElementType: &bigquery.RangeElementType{Type: bigquery.DateFieldType},
		},
		&bigquery.FieldSchema{
			Name: "moments", Type: bigquery.RangeFieldType,
			RangeElementType: &bigquery.RangeElementType{Type: bigquery.TimestampFieldType},
		})
	schema := textRow("id")
	bound := func(name string, number int32,
		kind descriptorpb.FieldDescriptorProto_Type,
	) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name: &name, Number: &number, Type: kind.Enum(),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
	}
	for i, kind := range []descriptorpb.FieldDescriptorProto_Type{
		descriptorpb.FieldDescriptorProto_TYPE_INT32, descriptorpb.FieldDescriptorProto_TYPE_INT64,
	} {
		name := []string{"Days", "Moments"}[i]
		d := schema.GetProtoDescriptor()
		d.NestedType = append(d.NestedType, &descriptorpb.DescriptorProto{
			Name: &name, Field: []*descriptorpb.FieldDescriptorProto{bound("start", 1, kind), bound("end", 2, kind)},
		})
		f := bound(strings.ToLower(name), int32(i+2), descriptorpb.FieldDescriptorProto_TYPE_MESSAGE)
		f.TypeName = &name
		d.Field = append(d.Field, f)
	}
	a := b.open(growsName + "/streams/_default")
	a.schema = schema
	a.mustAppend(-1, [][]byte{
		{0x0a, 1, 'a', 0x12, 4, 8, 1, 16, 3, 0x1a, 2, 16, 5}, // days [1, 3), moments [, 5)
		{0x0a, 1, 'b', 0x12, 0},                              // days [, )
		{0x0a, 1, 'c'},
	})
	a.send(-1, [][]byte{{0x0a, 1, 'd', 0x12, 4, 8, 3, 16, 1}})
	if out, err := a.rpc.Recv(); err != nil || len(out.GetRowErrors()) != 1 ||
		!strings.Contains(out.GetRowErrors()[0].GetMessage(), "Field days: Range start element must be smaller") {
		t.Errorf("a range that ends before it starts: %v, %v", out, err)
	}
	got := b.query("SELECT id, days, moments FROM waybill.grows ORDER BY id")
	if len(got) != 3 {
		t.Fatalf("got %v", got)
	}
	days, _ := got[0][1].(*bigquery.RangeValue)
	moments, _ := got[0][2].(*bigquery.RangeValue)
	if days == nil || moments == nil {
		t.Fatalf("got %v", got[0])
	}
	if s, e := days.Start.(interface{ String() string }).String(),
		days.End.(interface{ String() string }).String(); s != "1970-01-02" || e != "1970-01-04" {
		t.Errorf("days [%s, %s)", s, e)
	}
	if end, ok := moments.End.(time.Time); !ok || moments.Start != nil || end.UnixMicro() != 5 {
		t.Errorf("moments %+v", moments)
	}
	if open, ok := got[1][1].(*bigquery.RangeValue); !ok || open.Start != nil || open.End != nil {
		t.Errorf("unbounded %v", got[1][1])
	}
	if got[2][1] != nil {
		t.Errorf("no range: %v", got[2][1])
	}
}

// A table partitioned by the time of ingestion shows which partition a row lies in, and when it is asked only.
func TestPartitionsByTimeOfIngestion(t *testing.T) {
	b := start(t, emulator.Config{})
	for name, unit := range map[string]bigquery.TimePartitioningType{
		"grows": bigquery.DayPartitioningType, "hourly": bigquery.HourPartitioningType,
	} {
		meta := &bigquery.TableMetadata{
			Schema:           bigquery.Schema{column("id", bigquery.StringFieldType)},
			TimePartitioning: &bigquery.TimePartitioning{Type: unit},
		}
		if err := b.bq.Dataset(dataset).Table(name).Create(t.Context(), meta); err != nil {
			t.Fatal(err)
		}
	}
	a := b.growing(growsName+"/streams/_default", "id")
	// From noon on: no midnight comes between.
	jump(t, b, 36*time.Hour-time.Duration(b.e.Clock().Now().UnixNano())%(24*time.Hour))
	before := b.e.Clock().Now()
	a.mustAppend(-1, texts("1"))
	jump(t, b, 48*time.Hour)
	a.mustAppend(-1, texts("2"))
	got := b.query("SELECT id, _PARTITIONTIME, _PARTITIONDATE FROM waybill.grows ORDER BY id")
	if len(got) != 2 {
		t.Fatalf("got %v", got)
	}
	for i, row := range got {
		day := before.UTC().AddDate(0, 0, 2*i).Truncate(24 * time.Hour)
		if at, ok := row[1].(time.Time); !ok || !at.Equal(day) {
			t.Errorf("row %v lies in %v, want %v", row[0], row[1], day)
		}
		if date := row[2].(interface{ String() string }).String(); date != day.Format(time.DateOnly) {
			t.Errorf("row %v lies in %v, want %v", row[0], date, day)
		}
	}
	if got := b.query("SELECT COUNT(*) FROM waybill.grows AS g WHERE g._PARTITIONTIME > TIMESTAMP '" +
		before.UTC().Format(time.DateOnly) + "'"); got[0][0] != int64(1) {
		t.Errorf("%v rows in later partitions, want 1", got[0][0])
	}
	if got := b.query("SELECT * FROM waybill.grows"); len(got[0]) != 1 {
		t.Errorf("* shows %v", got[0])
	}
	for _, sql := range []string{
		"SELECT _PARTITIONDATE FROM waybill.hourly", "SELECT _PARTITIONTIME FROM (SELECT 1 AS n)",
	} {
		if _, err := b.bq.Query(sql).Read(t.Context()); err == nil {
			t.Errorf("%s gives something", sql)
		}
	}
}
