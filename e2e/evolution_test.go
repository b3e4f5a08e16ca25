package e2e

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/e2e/stack"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

const (
	growingLanes = 4
	perLane      = 3000
)

// grownRow is the row message of a version: 0 is what the table begins with, each later one has one column more.
func grownRow(version int) *descriptorpb.DescriptorProto {
	d := &descriptorpb.DescriptorProto{Name: proto.String("Row")}
	add := func(into *descriptorpb.DescriptorProto, number int32, name string,
		kind descriptorpb.FieldDescriptorProto_Type, label descriptorpb.FieldDescriptorProto_Label,
	) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Type: kind.Enum(), Label: label.Enum()}
		into.Field = append(into.Field, f)
		return f
	}
	const (
		text, whole, message = descriptorpb.FieldDescriptorProto_TYPE_STRING,
			descriptorpb.FieldDescriptorProto_TYPE_INT64, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
		optional, repeated = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL,
			descriptorpb.FieldDescriptorProto_LABEL_REPEATED
	)
	add(d, 1, "kafka_topic", text, optional)
	add(d, 2, "kafka_partition", whole, optional)
	add(d, 3, "kafka_offset", whole, optional)
	sub := &descriptorpb.DescriptorProto{Name: proto.String("Sub")}
	d.NestedType = append(d.NestedType, sub)
	add(d, 4, "sub", message, repeated).TypeName = proto.String("Sub")
	add(sub, 1, "old", text, optional)
	if version > 0 {
		add(sub, 2, "grown", whole, optional)
	}
	if version > 1 {
		add(d, 5, "tags", text, repeated)
	}
	return d
}

// encodeGrown makes rows of a version that name it.
func encodeGrown(topic string, partition int32, version int) func(int64) []byte {
	return func(offset int64) []byte {
		number := func(b []byte, field protowire.Number, n int64) []byte {
			return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(n))
		}
		b := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), topic)
		b = number(number(b, 2, int64(partition)), 3, offset)
		sub := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "o")
		if version > 0 {
			sub = number(sub, 2, int64(version))
		}
		b = protowire.AppendBytes(protowire.AppendTag(b, 4, protowire.BytesType), sub)
		if version > 1 {
			b = protowire.AppendString(protowire.AppendTag(b, 5, protowire.BytesType), "t")
		}
		return b
	}
}

// The table grows twice under load, at the hands of two writers, and the Storage Write API learns of it late. Some
// lanes go on with the old row message beside the new ones, some are cut off in the middle and carried on elsewhere.
// Every offset is compared.
func TestTableGrowsUnderLoad(t *testing.T) {
	t.Parallel()
	for _, delivery := range []lanev1.Delivery{
		lanev1.Delivery_DELIVERY_EXACTLY_ONCE, lanev1.Delivery_DELIVERY_AT_LEAST_ONCE,
	} {
		t.Run(delivery.String(), func(t *testing.T) {
			t.Parallel()
			growUnderLoad(t, delivery)
		})
	}
}

func growUnderLoad(t *testing.T, delivery lanev1.Delivery) {
	w, writers := writersAlone(t, 2)
	w.fault("bigquery", map[string]any{"kind": "schema_delay", "delay": "1500ms"})
	done := make(chan error, growingLanes)
	for lane := range int32(growingLanes) {
		go func() { done <- grow(w.ctx, lane, delivery, writers) }()
	}
	for range growingLanes {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		return
	}

	// Every offset: once, or at least once; twice only what was cut off.
	times := w.offsets("grows")
	for lane := range int64(growingLanes) {
		for offset := range int64(perLane) {
			n := times[[2]int64{lane, offset}]
			if n == 0 || n > 1 && (delivery == lanev1.Delivery_DELIVERY_EXACTLY_ONCE || lane%2 == 0) {
				t.Fatalf("partition %d offset %d is in the table %d times", lane, offset, n)
			}
		}
	}
	if len(times) != growingLanes*perLane {
		t.Errorf("%d offsets in the table, want %d", len(times), growingLanes*perLane)
	}
	got := w.value(`SELECT COUNT(DISTINCT IF(s.grown IS NULL, NULL, kafka_offset))
		FROM waybill.grows, UNNEST(sub) AS s WHERE kafka_partition = 3`)
	if want := fmt.Sprint(perLane - perLane/3); got != want {
		t.Errorf("%s rows of lane 3 have the column that came first, want %s", got, want)
	}
	var blind, columns float64
	for _, s := range w.Writers {
		blind += w.metric(s, "waybill_writer_faults_total", "code", "SCHEMA_MISMATCH_EXTRA_FIELDS")
		columns += w.metric(s, "waybill_writer_columns_changed_total", "change", "added")
		if n := w.metric(s, "waybill_writer_rows_refused_total"); n > 0 {
			t.Errorf("%v rows were refused", n)
		}
	}
	if blind == 0 || columns != 2 {
		t.Errorf("%v appends met a schema that was not known yet, want some; %v columns were added, want 2", blind,
			columns)
	}
}

// grow carries one partition. Odd lanes grow after each third and are cut off now and then; even ones keep the first
// row message.
func grow(ctx context.Context, lane int32, delivery lanev1.Delivery, writers []*grpc.ClientConn) error {
	h := &hand{topic: "grows", partition: lane}
	for third := range 3 {
		version := third
		if lane%2 == 0 {
			version = 0
		}
		h.route = &lanev1.Route{
			Table: "grows", Row: &lanev1.Route_Descriptor_{Descriptor_: grownRow(version)}, Delivery: delivery,
			Evolution: lanev1.Evolution_EVOLUTION_ADDITIVE,
		}
		h.encode = encodeGrown("grows", lane, version)
		until := int64(perLane/3) * int64(third+1)
		for n := 0; h.position < until; n++ {
			cut := -1
			if lane%2 == 1 && n < 3 {
				cut = 3 + n
			}
			if err := h.carry(ctx, writers[(int(lane)+n+third)%len(writers)], until, cut); err != nil {
				return fmt.Errorf("lane %d at %d with version %d: %w", lane, h.position, version, err)
			}
		}
	}
	return nil
}

// offsets counts a table's rows by partition and offset.
func (w *world) offsets(table string) map[[2]int64]int {
	w.t.Helper()
	times := map[[2]int64]int{}
	if err := w.EachPlace(w.ctx, table, func(p stack.Place) {
		times[[2]int64{int64(p.Partition), p.Offset}]++
	}); err != nil {
		w.t.Fatal(err)
	}
	return times
}

// value is the only value that a query gives.
func (w *world) value(sql string) string {
	w.t.Helper()
	v, err := w.Value(w.ctx, sql)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}
