package bigquery_test

import (
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/bigquery"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// managedwriter leaves a goroutine asleep for 20 s after each call it opens, and opencensus one for ever.
		goleak.IgnoreAnyFunction("cloud.google.com/go/bigquery/storage/managedwriter.(*connection).getStream.func1"),
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

func find(s bigquery.Schema, name string) *bigquery.FieldSchema {
	if i := slices.IndexFunc(s, func(f *bigquery.FieldSchema) bool { return f.Name == name }); i >= 0 {
		return s[i]
	}
	return nil
}

// collect notes which schema each nested message stands for.
func collect(byName map[string]bigquery.Schema, fields []*descriptorpb.FieldDescriptorProto, message string) {
	for _, f := range fields {
		if column := find(byName[message], f.GetName()); column != nil && f.GetTypeName() != "" {
			byName[f.GetTypeName()] = column.Schema
			byName[f.GetTypeName()[max(0, lastDot(f.GetTypeName())+1):]] = column.Schema
		}
	}
}

func lastDot(s string) int { return strings.LastIndexByte(s, 46) }

func keep(fields []*descriptorpb.FieldDescriptorProto, columns bigquery.Schema) []*descriptorpb.FieldDescriptorProto {
	return slices.DeleteFunc(fields, func(f *descriptorpb.FieldDescriptorProto) bool {
		return find(columns, f.GetName()) == nil
	})
}

func int64Value(n int64) *wrapperspb.Int64Value { return wrapperspb.Int64(n) }
