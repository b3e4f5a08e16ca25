package sink

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// text makes a descriptor of STRING fields; name(a, b) is a message inside, a trailing * makes it repeated.
func text(name string, fields ...any) *descriptorpb.DescriptorProto {
	d := &descriptorpb.DescriptorProto{Name: &name}
	for i, f := range fields {
		field := &descriptorpb.FieldDescriptorProto{
			Number: proto.Int32(int32(i + 1)), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
		switch f := f.(type) {
		case string:
			field.Name, field.Type = &f, descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum()
		case *descriptorpb.DescriptorProto:
			d.NestedType = append(d.NestedType, f)
			field.Name, field.TypeName, field.Type = proto.String(strings.ToLower(f.GetName())), f.Name,
				descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
		}
		if strings.HasSuffix(field.GetName(), "_list") {
			field.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		}
		d.Field = append(d.Field, field)
	}
	return d
}

func grown(evolution lanev1.Evolution, fields ...any) *lanev1.Route {
	return &lanev1.Route{
		Table: "grows", Row: &lanev1.Route_Descriptor_{Descriptor_: text("Row", fields...)}, Evolution: evolution,
	}
}

const additive = lanev1.Evolution_EVOLUTION_ADDITIVE

// schemaOf lists the columns that the table `grows` has, as REST shows them.
func schemaOf(t *testing.T, fake *fakeBigQuery) []string {
	t.Helper()
	type field struct {
		Name, Type, Mode string
		Fields           []field
	}
	var shown struct{ Schema struct{ Fields []field } }
	fake.mu.Lock()
	defer fake.mu.Unlock()
	if err := json.Unmarshal(fake.tables["d/grows"], &shown); err != nil {
		t.Fatal(err)
	}
	var out []string
	var walk func(under string, fields []field)
	walk = func(under string, fields []field) {
		for _, f := range fields {
			out = append(out, strings.TrimSpace(under+f.Name+" "+f.Mode+" "+f.Type))
			walk(under+f.Name+".", f.Fields)
		}
	}
	walk("", shown.Schema.Fields)
	return out
}

func TestTableFollowsTheRows(t *testing.T) {
	fake, s := world(t)
	var lines strings.Builder
	s.log = slog.New(slog.NewTextHandler(&lines, nil))
	fake.tables["d/grows"] = json.RawMessage(`{"schema": {"fields": [
		{"name": "ID", "type": "STRING", "mode": "REQUIRED", "dataPolicies": [{"name": "mask"}]},
		{"name": "extra", "type": "INTEGER", "mode": "REQUIRED"},
		{"name": "lines_list", "type": "RECORD", "mode": "REPEATED", "fields": [
			{"name": "sku", "type": "STRING", "mode": "REQUIRED"}]}]}}`)
	route := grown(additive, "id", text("Lines_list", "sku", "lot", text("Weight", "unit")), "tags_list")
	if _, err := s.Table(deadline(t), route); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"ID NULLABLE STRING", "extra NULLABLE INTEGER",
		"lines_list REPEATED RECORD", "lines_list.sku NULLABLE STRING", "lines_list.lot  STRING",
		"lines_list.weight  RECORD", "lines_list.weight.unit  STRING",
		"tags_list REPEATED STRING",
	}
	if diff := cmp.Diff(want, schemaOf(t, fake)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(string(fake.tables["d/grows"]), "mask") {
		t.Error("a property of a column that has nothing to do with it is gone")
	}
	a := testutil.ToFloat64(s.metrics.columns.WithLabelValues(added))
	r := testutil.ToFloat64(s.metrics.columns.WithLabelValues(relaxed))
	if a != 3 || r != 3 {
		t.Errorf("%v added, %v relaxed, want 3 and 3", a, r)
	}
	for _, line := range []string{
		`msg="column added" table=test-project.d.grows column=lines_list.weight type=RECORD`,
		`column=tags_list type="REPEATED STRING"`,
		`msg="column relaxed" table=test-project.d.grows column=lines_list.sku was="REQUIRED STRING"`,
	} {
		if strings.Count(lines.String(), line) != 1 {
			t.Errorf("not one line %s in\n%s", line, lines.String())
		}
	}
}

// Writers that grow one table at once do not take each other's columns away.
func TestTableGrowsAtManyHands(t *testing.T) {
	fake, first := world(t)
	fake.tables["d/grows"] = json.RawMessage(`{"schema": {"fields": [{"name": "id", "type": "STRING"}]}}`)
	sinks := []*Sink{first}
	for range 3 {
		s, err := Open(context.Background(), first.config, Env{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		sinks = append(sinks, s)
	}
	var all sync.WaitGroup
	for i, s := range sinks {
		all.Go(func() {
			if _, err := s.Table(deadline(t), grown(additive, "id", string(rune('a'+i)))); err != nil {
				t.Error(err)
			}
		})
	}
	// And once for certain: a column comes between the look and the update.
	fake.mu.Lock()
	fake.patched = func() {
		fake.patched = nil
		var shown map[string]any
		if err := json.Unmarshal(fake.tables["d/grows"], &shown); err != nil {
			t.Error(err)
			return
		}
		schema := shown["schema"].(map[string]any)
		schema["fields"] = append(schema["fields"].([]any), map[string]any{"name": "late", "type": "STRING"})
		fake.tables["d/grows"], _ = json.Marshal(shown)
	}
	fake.mu.Unlock()
	all.Wait()
	if n := testutil.ToFloat64(first.metrics.faults.WithLabelValues("HTTP_412")); n != 0 {
		t.Errorf("%v changes of others count as faults of BigQuery's", n)
	}
	got := strings.Join(schemaOf(t, fake), ",")
	for _, name := range []string{"id", "a", "b", "c", "d", "late"} {
		if strings.Count(","+got, ","+name+" ") != 1 {
			t.Errorf("column %s is not there once: %s", name, got)
		}
	}
}

// What evolution does not do is refused, all of it in one message, and nothing is changed.
func TestTableThatCannotFollow(t *testing.T) {
	fake, s := world(t)
	before := `{"schema": {"fields": [
		{"name": "id", "type": "INTEGER"}, {"name": "tags_list", "type": "STRING"},
		{"name": "must", "type": "STRING", "mode": "REQUIRED"}]}}`
	fake.tables["d/grows"] = json.RawMessage(before)
	for _, c := range []struct {
		evolution lanev1.Evolution
		says, not []string
	}{
		{
			additive,
			[]string{
				"column id is INTEGER, the rows have STRING",
				"column tags_list is STRING, the rows have REPEATED STRING",
				"never changes a type",
			},
			[]string{"new", "must"},
		},
		{lanev1.Evolution_EVOLUTION_OFF, []string{
			"column id is INTEGER, the rows have STRING", "column tags_list is STRING", "column new STRING is missing",
			"column must is REQUIRED", "`evolution: additive`",
		}, nil},
	} {
		_, err := s.Table(deadline(t), grown(c.evolution, "id", "tags_list", "new"))
		if !errors.Is(err, errUnfit) {
			t.Fatalf("%v: got %v", c.evolution, err)
		}
		for _, want := range c.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %q is not in %v", c.evolution, want, err)
			}
		}
		for _, no := range c.not {
			if strings.Contains(err.Error(), "column "+no) {
				t.Errorf("%v: %q is in %v", c.evolution, no, err)
			}
		}
	}
	if string(fake.tables["d/grows"]) != before {
		t.Errorf("the table was changed: %s", fake.tables["d/grows"])
	}
}

// Off, a REQUIRED column that the rows have is left as it is: rows without a value are refused one by one.
func TestRequiredColumnStays(t *testing.T) {
	fake, s := world(t)
	fake.tables["d/grows"] = json.RawMessage(`{"schema": {"fields": [
		{"name": "id", "type": "STRING", "mode": "REQUIRED"}]}}`)
	if _, err := s.Table(deadline(t), grown(lanev1.Evolution_EVOLUTION_OFF, "id")); err != nil {
		t.Error(err)
	}
	if got := schemaOf(t, fake); got[0] != "id REQUIRED STRING" {
		t.Errorf("columns %v", got)
	}
}

// The Storage Write API learns of a change minutes after the table has it. Until then appends are refused, on a new
// connection each time, and nothing is lost, repeated, out of order or taken for a bad row.
func TestAppendBeforeTheChangeIsKnown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		refuses func() (*storagepb.AppendRowsResponse, error)
	}{
		{"extra fields", func() (*storagepb.AppendRowsResponse, error) {
			return refusal(codes.InvalidArgument, storagepb.StorageError_SCHEMA_MISMATCH_EXTRA_FIELDS,
				"Input schema has more fields than BigQuery schema, extra fields: 'b'"), nil
		}},
		{"extra fields, ending the call", func() (*storagepb.AppendRowsResponse, error) {
			return nil, storageError(codes.InvalidArgument, storagepb.StorageError_SCHEMA_MISMATCH_EXTRA_FIELDS,
				"Input schema has more fields than BigQuery schema")
		}},
		{"a row without a REQUIRED column", func() (*storagepb.AppendRowsResponse, error) {
			out := refusal(codes.InvalidArgument, 0, "Errors found while processing rows.")
			out.RowErrors = []*storagepb.RowError{{
				Index: 0, Code: storagepb.RowError_FIELDS_ERROR, Message: "Field id: required field is missing",
			}}
			return out, nil
		}},
		{"a request without a REQUIRED column, ending the call", func() (*storagepb.AppendRowsResponse, error) {
			return nil, storageError(codes.InvalidArgument, 0, "The required field id is missing in the proto message")
		}},
		{"a row message without a REQUIRED column", func() (*storagepb.AppendRowsResponse, error) {
			return refusal(codes.InvalidArgument, 0,
				"the required field extra is missing from the writer's proto schema"), nil
		}},
	} {
		for _, repeats := range []bool{false, true} {
			t.Run(c.name+map[bool]string{false: "", true: ", default stream"}[repeats], func(t *testing.T) {
				fake, s := world(t)
				fake.tables["d/grows"] = json.RawMessage(`{"schema": {"fields": [
		{"name": "id", "type": "STRING", "mode": "REQUIRED"}]}}`)
				table, err := s.Table(deadline(t), grown(additive, "id", "b"))
				if err != nil {
					t.Fatal(err)
				}
				results := make(chan lane.Result, 100)
				deliver := func(r lane.Result) { results <- r }
				stream := table.Name() + defaultStream
				var a lane.Appender
				if repeats {
					a = table.Default(deliver)
				} else {
					if stream, err = table.Create(deadline(t)); err != nil {
						t.Fatal(err)
					}
					a = table.Open(stream, 0, deliver)
				}
				defer a.Close()
				// Blind until there have been three connections.
				fake.on(func(_ *storagepb.AppendRowsRequest, written bool) (*storagepb.AppendRowsResponse, error) {
					if !written && len(fake.params) < 3 {
						return c.refuses()
					}
					return nil, nil
				})
				carryAll(t, fake, stream, a, results, 10, func(i int) string {
					return strings.Repeat(
						string(rune('a'+i)), 3)
				})
			})
		}
	}
}

// Long after the look a row without a REQUIRED column is what it says: somebody has made the table anew.
func TestRequiredIsBelievedLater(t *testing.T) {
	fresh := func() *fault {
		return &fault{kind: refused, rows: []lane.RefusedRow{{Message: "Field id: required field is missing"}}}
	}
	now := time.Now()
	for _, c := range []struct {
		table *table
		want  kind
	}{
		{&table{additive: true, looked: now.Add(-time.Minute)}, renew},
		{&table{additive: true, looked: now.Add(-time.Hour)}, refused},
		{&table{looked: now}, refused},
	} {
		f := fresh()
		if c.table.excuse(f, now); f.kind != c.want {
			t.Errorf("%+v: %v, want %v", c.table, f.kind, c.want)
		}
	}
	other := &fault{kind: refused, rows: []lane.RefusedRow{{Message: "Field id: value is not valid JSON"}}}
	if (&table{additive: true, looked: now}).excuse(other, now); other.kind != refused {
		t.Error("a bad row was excused")
	}
}

// A column that is taken away under an open appender: the table gets it back where it follows the rows, else the lane
// is told what is wrong.
func TestColumnTakenAway(t *testing.T) {
	for _, evolution := range []lanev1.Evolution{additive, lanev1.Evolution_EVOLUTION_OFF} {
		t.Run(evolution.String(), func(t *testing.T) {
			fake, s := world(t)
			s.blindFor = 0
			table, err := s.Table(deadline(t), grown(evolution, "id", "b"))
			if err != nil {
				t.Fatal(err)
			}
			results := make(chan lane.Result, 1)
			a := table.Default(func(r lane.Result) { results <- r })
			defer a.Close()
			fake.mu.Lock()
			fake.tables["d/grows"] = json.RawMessage(`{"schema": {"fields": [{"name": "id", "type": "STRING"}]}}`)
			fake.mu.Unlock()
			fake.on(func(*storagepb.AppendRowsRequest, bool) (*storagepb.AppendRowsResponse, error) {
				if !strings.Contains(string(fake.tables["d/grows"]), `"b"`) {
					return refusal(codes.InvalidArgument, storagepb.StorageError_SCHEMA_MISMATCH_EXTRA_FIELDS,
						"extra fields: 'b'"), nil
				}
				return nil, nil
			})
			send(a, 1, "x")
			if evolution == additive {
				wantWritten(t, results, 1, 1)
				return
			}
			r := receive(t, results)
			if grpcstatus.Code(r.Err) != codes.FailedPrecondition ||
				!strings.Contains(r.Err.Error(), "column b STRING is missing") {
				t.Errorf("got %+v", r)
			}
			if _, err := s.Table(deadline(t), grown(evolution, "id", "b")); !errors.Is(err, errUnfit) {
				t.Errorf("the next lane: %v", err)
			}
		})
	}
}
