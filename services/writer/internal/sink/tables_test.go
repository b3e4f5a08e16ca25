package sink

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/bigquery"
	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/proto/image"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

func TestTableIsCreatedOnceForLanesAtOnce(t *testing.T) {
	fake, s := world(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			table, err := s.Table(deadline(t), stockRoute)
			if err != nil {
				t.Error(err)
				return
			}
			if want := "projects/test-project/datasets/d/tables/physical_stock_events"; table.Name() != want {
				t.Errorf("name %s, want %s", table.Name(), want)
			}
		})
	}
	all.Wait()
	fake.mu.Lock()
	defer fake.mu.Unlock()
	if fake.posts != 1 {
		t.Errorf("%d creations, want 1", fake.posts)
	}
	var made struct {
		TimePartitioning struct{ Type, Field string }
		Clustering       struct{ Fields []string }
		Schema           struct {
			Fields []struct{ Name, Type, Mode, Description string }
		}
	}
	if err := json.Unmarshal(fake.tables["d/physical_stock_events"], &made); err != nil {
		t.Fatal(err)
	}
	if made.TimePartitioning.Type != "DAY" || made.TimePartitioning.Field != "event_time" ||
		!slices.Equal(made.Clustering.Fields, []string{"event_type"}) {
		t.Errorf("layout %+v %+v", made.TimePartitioning, made.Clustering)
	}
	column := made.Schema.Fields[3]
	if column.Name != "event_time" || column.Type != "TIMESTAMP" ||
		!strings.HasPrefix(column.Description, "When the event happened") {
		t.Errorf("column %+v", column)
	}
}

func TestTableThatCannotTakeTheRows(t *testing.T) {
	fake, s := world(t)
	fake.tables["d/physical_stock_events"] = json.RawMessage(`{"schema": {"fields": [
		{"name": "EVENT_ID", "type": "STRING"}, {"name": "event_type", "type": "INTEGER"},
		{"name": "must", "type": "STRING", "mode": "REQUIRED"},
		{"name": "physical_stock", "type": "RECORD", "fields": [{"name": "timestamp", "type": "INT64"}]}]}}`)
	_, err := s.Table(deadline(t), stockRoute)
	for _, want := range []string{
		"column event_type is INTEGER, the rows have STRING", "column item_type STRING is missing",
		"column kafka_headers REPEATED RECORD is missing",
		"column must is REQUIRED", "column physical_stock.process_reference STRING is missing",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q: %v", want, err)
		}
	}
	if err != nil && (strings.Contains(err.Error(), "event_id") ||
		strings.Contains(err.Error(), "physical_stock.timestamp")) {
		t.Errorf("error names columns that are well: %v", err)
	}
	// An operator sets it right: the next lane sees it.
	fake.mu.Lock()
	delete(fake.tables, "d/physical_stock_events")
	fake.mu.Unlock()
	if _, err := s.Table(deadline(t), stockRoute); err != nil {
		t.Error(err)
	}
}

func TestDataset(t *testing.T) {
	route := proto.CloneOf(stockRoute)
	route.Table = "made.stock"
	_, s := world(t)
	if _, err := s.Table(deadline(t), route); err == nil ||
		!strings.Contains(err.Error(), "dataset test-project.made does not exist") {
		t.Errorf("got %v", err)
	}
	fake, s := world(t, func(c *Config) { c.CreateDataset, c.Location = true, "EU" })
	if _, err := s.Table(deadline(t), route); err != nil {
		t.Error(err)
	}
	if !strings.Contains(string(fake.tables["made/"]), `"EU"`) {
		t.Errorf("dataset %s", fake.tables["made/"])
	}
	route.Table = "forbidden.stock"
	if _, err := s.Table(deadline(t), route); err == nil ||
		!strings.Contains(err.Error(), "roles/bigquery.dataEditor") {
		t.Errorf("got %v", err)
	}
}

// The Storage Write API learns of a new table on its own, after a while.
func TestNewTableUnknownForAWhile(t *testing.T) {
	fake, s := world(t)
	table, err := s.Table(deadline(t), stockRoute)
	if err != nil {
		t.Fatal(err)
	}
	missing := storageError(codes.NotFound, storagepb.StorageError_TABLE_NOT_FOUND, "no table")
	fake.creates = []error{missing, missing}
	if _, err := table.Create(deadline(t)); err != nil {
		t.Error(err)
	}
}

// Somebody removes the table while we know it: it is made again for the next write stream.
func TestTableRemoved(t *testing.T) {
	fake, s := world(t)
	table, err := s.Table(deadline(t), stockRoute)
	if err != nil {
		t.Fatal(err)
	}
	fake.mu.Lock()
	made := fake.posts
	clear(fake.tables)
	fake.creates = []error{storageError(codes.NotFound, storagepb.StorageError_TABLE_NOT_FOUND, "no table")}
	fake.mu.Unlock()
	if _, err := table.Create(deadline(t)); err != nil {
		t.Error(err)
	}
	if fake.mu.Lock(); fake.posts != made+1 {
		t.Errorf("%d tables were made, want 1 more than %d", fake.posts, made)
	}
	fake.mu.Unlock()
}

func TestLocate(t *testing.T) {
	c := Config{Project: "p", Dataset: "d"}
	for name, want := range map[string]string{
		"t": "p.d.t", "x.t": "p.x.t", "q.x.t": "q.x.t", "example.com:q.x.t": "example.com:q.x.t", "": "", "d.": "",
		"a/b": "",
	} {
		id, err := c.locate(name)
		if got := id.String(); err == nil && got != want || err != nil && want != "" {
			t.Errorf("%q is %s (%v), want %s", name, got, err, want)
		}
	}
}

// What BigQuery gets of a row message stands on its own: proto2, and nothing that it does not know.
func TestRowTypeOfBuiltIns(t *testing.T) {
	for _, name := range []string{"delivery.v6.DeliveryEvent", "stock.v1.PhysicalStockEvent"} {
		self, err := image.Self(name)
		if err != nil {
			t.Fatal(err)
		}
		row, err := newRowType(self)
		if err != nil {
			t.Fatal(err)
		}
		file := &descriptorpb.FileDescriptorProto{
			Name: proto.String("x"), MessageType: []*descriptorpb.DescriptorProto{row.descriptor},
		}
		if _, err := protodesc.NewFile(file, nil); err != nil {
			t.Errorf("%s: not self-contained: %v", name, err)
		}
		if text := row.descriptor.String(); strings.Contains(text, "column") || strings.Contains(text, "options") ||
			strings.Contains(text, "proto3") {
			t.Errorf("%s: options are left: %s", name, text)
		}
		if len(row.columns) != 13 || row.columns[12].Type != bigquery.RecordFieldType ||
			row.columns[12].Schema[0].Description == "" {
			t.Errorf("%s: %d columns", name, len(row.columns))
		}
	}
}

func TestColumns(t *testing.T) {
	option := func(number, value byte) *descriptorpb.FieldOptions {
		o := &descriptorpb.FieldOptions{}
		// column.v1.column as it comes from the wire: field 50100, one varint inside.
		if err := proto.Unmarshal([]byte{0xa2, 0xbb, 0x18, 2, number << 3, value}, o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	field := func(
		name string, kind descriptorpb.FieldDescriptorProto_Type, number int32, o *descriptorpb.FieldOptions,
	) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name: &name, Number: &number, Type: kind.Enum(), Options: o,
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
	}
	nested := field("inner", descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, 4, nil)
	nested.TypeName, nested.Label = proto.String("Inner"), descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	row, err := newRowType(&descriptorpb.DescriptorProto{
		Name: proto.String("Row"),
		Field: []*descriptorpb.FieldDescriptorProto{
			field("at", descriptorpb.FieldDescriptorProto_TYPE_INT64, 1, option(1, 1)),
			field("day", descriptorpb.FieldDescriptorProto_TYPE_INT32, 2, option(1, 2)),
			field("price", descriptorpb.FieldDescriptorProto_TYPE_STRING, 3, option(1, 5)), nested,
		},
		NestedType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("Inner"),
			Field: []*descriptorpb.FieldDescriptorProto{
				field("ratio", descriptorpb.FieldDescriptorProto_TYPE_FLOAT, 1, nil),
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := bigquery.Schema{
		{Name: "at", Type: "TIMESTAMP"},
		{Name: "day", Type: "DATE"},
		{Name: "price", Type: "NUMERIC"},
		{Name: "inner", Type: "RECORD", Repeated: true, Schema: bigquery.Schema{{Name: "ratio", Type: "FLOAT"}}},
	}
	if diff := cmp.Diff(want, row.columns, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	wrong := &descriptorpb.DescriptorProto{Name: proto.String("Row"), Field: []*descriptorpb.FieldDescriptorProto{
		field("at", descriptorpb.FieldDescriptorProto_TYPE_STRING, 1, option(1, 1)),
	}}
	if _, err := newRowType(wrong); err == nil || !strings.Contains(err.Error(), "Row.at") {
		t.Errorf("got %v", err)
	}
	if _, err := newRowType(&descriptorpb.DescriptorProto{
		Name: proto.String("Row"), Field: []*descriptorpb.FieldDescriptorProto{nested},
	}); err == nil {
		t.Error("a type that is not there was found")
	}
}

func TestTableOfUnknownMessage(t *testing.T) {
	_, s := world(t)
	if _, err := s.Table(deadline(t), &lanev1.Route{
		Table: "t", Row: &lanev1.Route_Message{Message: "no.Such"},
	}); err == nil {
		t.Error("no error")
	}
}

// Tables are told apart by what rows go to them: a contract that has grown gets the new descriptor, not the one in the
// cache. The same rows get the same table, and with it its calls.
func TestTheCacheKnowsTheRows(t *testing.T) {
	_, s := world(t)
	get := func(route *lanev1.Route) *table {
		t.Helper()
		found, err := s.Table(deadline(t), route)
		if err != nil {
			t.Fatal(err)
		}
		return found.(*table)
	}
	routes := []*lanev1.Route{
		grown(additive, "id"), grown(additive, "id", "b"), grown(0, "id"),
		{Table: "stock", Row: &lanev1.Route_Message{Message: "stock.v1.PhysicalStockEvent"}, Evolution: additive},
		{Table: "stock", Row: &lanev1.Route_Message{Message: "delivery.v6.DeliveryEvent"}, Evolution: additive},
		{Table: "other", Row: &lanev1.Route_Message{Message: "stock.v1.PhysicalStockEvent"}, Evolution: additive},
	}
	var all []*table
	for i, route := range routes {
		found := get(route)
		if n := slices.Index(all, found); n >= 0 {
			t.Errorf("routes %d and %d get one table", n, i)
		}
		if get(proto.CloneOf(route)) != found {
			t.Errorf("route %d gets two tables", i)
		}
		all = append(all, found)
	}
	if strings.Contains(string(all[0].schema), "b") || !strings.Contains(string(all[1].schema), "b") {
		t.Error("a table has the other's descriptor")
	}
	// What a lane knows to be out of date is forgotten, and not what another lane has found since.
	s.forget(all[0])
	fresh := get(routes[0])
	if fresh == all[0] {
		t.Error("the table was not forgotten")
	}
	if s.forget(all[0]); get(routes[0]) != fresh {
		t.Error("a newer table was forgotten")
	}
	if all[0].weather != all[1].weather || all[0].weather == all[3].weather {
		t.Error("the weather is not the table's")
	}
}

// A name that is no table's is the route's fault.
func TestWrongNamesAreTheRoutes(t *testing.T) {
	_, s := world(t, func(c *Config) { c.Endpoint.REST = "http://127.0.0.1:1" })
	for _, name := range []string{"a/b", "d.t*", "d-d.t"} {
		route := proto.CloneOf(stockRoute)
		route.Table = name
		if _, err := s.Table(deadline(t), route); !errors.Is(err, lane.ErrRoute) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Care is for as long as somebody last asked for it.
func TestCareIsNotCutShort(t *testing.T) {
	tb := &table{}
	now := time.Now()
	tb.beCareful(time.Time{})
	if tb.carefulUntil().After(now) {
		t.Error("careful without a reason")
	}
	tb.beCareful(now.Add(time.Hour))
	tb.beCareful(now.Add(time.Minute))
	tb.beCareful(time.Time{})
	if got := tb.carefulUntil(); !got.Equal(now.Add(time.Hour)) {
		t.Errorf("careful until %v", got)
	}
}
