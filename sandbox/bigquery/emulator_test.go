package bigquery_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"cloud.google.com/go/bigquery"
	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"cloud.google.com/go/bigquery/storage/managedwriter/adapt"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	deliveryv6 "github.com/waybill-data/waybill/proto/delivery/v6"
	envelopev1 "github.com/waybill-data/waybill/proto/envelope/v1"
	emulator "github.com/waybill-data/waybill/sandbox/bigquery"
)

const dataset = "waybill"

// bench is an emulator with clients of both APIs.
type bench struct {
	t     testing.TB
	e     *emulator.Emulator
	bq    *bigquery.Client
	conn  *grpc.ClientConn
	write storagepb.BigQueryWriteClient
}

func start(t testing.TB, cfg emulator.Config) *bench {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	cfg.Datasets = []string{"sandbox." + dataset}
	e, err := emulator.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	client, err := bigquery.NewClient(t.Context(), "sandbox", option.WithEndpoint(e.Addrs().Endpoint()),
		option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	conn, err := grpc.NewClient(e.Addrs().GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &bench{t: t, e: e, bq: client, conn: conn, write: storagepb.NewBigQueryWriteClient(conn)}
}

// deliveries is the schema that DeliveryEvent's descriptor asks for, in the columns that the tests use.
var deliveries = bigquery.Schema{
	{Name: "event_id", Type: bigquery.StringFieldType},
	{Name: "event_type", Type: bigquery.StringFieldType},
	{Name: "event_time", Type: bigquery.TimestampFieldType},
	{Name: "kafka_topic", Type: bigquery.StringFieldType},
	{Name: "kafka_partition", Type: bigquery.IntegerFieldType},
	{Name: "kafka_offset", Type: bigquery.IntegerFieldType},
	{Name: "kafka_key", Type: bigquery.BytesFieldType},
	{Name: "kafka_headers", Type: bigquery.RecordFieldType, Repeated: true, Schema: bigquery.Schema{
		{Name: "key", Type: bigquery.StringFieldType}, {Name: "value", Type: bigquery.BytesFieldType},
	}},
	{Name: "delivery", Type: bigquery.RecordFieldType, Schema: bigquery.Schema{
		{Name: "status", Type: bigquery.StringFieldType},
		{Name: "delivery_value_total", Type: bigquery.FloatFieldType},
		{Name: "optimized", Type: bigquery.BooleanFieldType},
		{
			Name: "customer", Type: bigquery.RecordFieldType, Schema: bigquery.Schema{
				{Name: "name", Type: bigquery.StringFieldType},
			},
		},
		{Name: "items", Type: bigquery.RecordFieldType, Repeated: true, Schema: bigquery.Schema{
			{Name: "qnt", Type: bigquery.IntegerFieldType}, {Name: "currency", Type: bigquery.StringFieldType},
		}},
	}},
}

const tableName = "projects/sandbox/datasets/waybill/tables/delivery_events"

func (b *bench) createTable() {
	b.t.Helper()
	meta := &bigquery.TableMetadata{
		Schema: deliveries, Clustering: &bigquery.Clustering{Fields: []string{"event_type"}},
		TimePartitioning: &bigquery.TimePartitioning{Type: bigquery.DayPartitioningType, Field: "event_time"},
	}
	if err := b.bq.Dataset(dataset).Table("delivery_events").Create(b.t.Context(), meta); err != nil {
		b.t.Fatal(err)
	}
}

// descriptor is the part of DeliveryEvent's descriptor that the table above has columns for.
func descriptor(t testing.TB) *storagepb.ProtoSchema {
	t.Helper()
	full, err := adapt.NormalizeDescriptor((&deliveryv6.DeliveryEvent{}).ProtoReflect().Descriptor())
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]bigquery.Schema{full.GetName(): deliveries}
	for range 3 {
		for _, m := range full.NestedType {
			collect(byName, full.Field, full.GetName())
			collect(byName, m.Field, m.GetName())
		}
	}
	full.Field = keep(full.Field, byName[full.GetName()])
	for _, m := range full.NestedType {
		m.Field = keep(m.Field, byName[m.GetName()])
	}
	return &storagepb.ProtoSchema{ProtoDescriptor: full}
}

func event(offset int64) *deliveryv6.DeliveryEvent {
	return &deliveryv6.DeliveryEvent{
		EventId: proto.String(fmt.Sprint("e", offset)), EventType: proto.String([]string{"A", "B"}[offset%2]),
		EventTime: proto.Int64(1_700_000_000_000_000 + offset*1_000_000), KafkaTopic: proto.String("deliveries"),
		KafkaPartition: proto.Int32(int32(offset % 3)), KafkaOffset: proto.Int64(offset),
		KafkaKey:     []byte{0, byte(offset)},
		KafkaHeaders: []*envelopev1.Header{{Key: proto.String("k"), Value: []byte("v")}},
		Delivery: &deliveryv6.Delivery{
			Status: proto.String("done"), DeliveryValueTotal: proto.Float64(float64(offset) + 0.5),
			Optimized: proto.Bool(offset%2 == 0), Customer: &deliveryv6.Customer{Name: proto.String("Ana")},
			Items: []*deliveryv6.DeliveryItem{
				{Qnt: proto.Int32(2), Currency: proto.String("EUR")}, {Qnt: proto.Int32(int32(offset))},
			},
		},
	}
}

func encoded(t *testing.T, from, to int64) [][]byte {
	t.Helper()
	var out [][]byte
	for i := from; i < to; i++ {
		b, err := proto.Marshal(event(i))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

func (b *bench) createStream(kind storagepb.WriteStream_Type) string {
	b.t.Helper()
	st, err := b.write.CreateWriteStream(b.t.Context(), &storagepb.CreateWriteStreamRequest{
		Parent: tableName, WriteStream: &storagepb.WriteStream{Type: kind},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return st.Name
}

// appender is one AppendRows call.
type appender struct {
	b      *bench
	rpc    storagepb.BigQueryWrite_AppendRowsClient
	stream string
	schema *storagepb.ProtoSchema
}

func (b *bench) open(stream string) *appender {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Minute)
	b.t.Cleanup(cancel)
	rpc, err := b.write.AppendRows(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	return &appender{b: b, rpc: rpc, stream: stream, schema: descriptor(b.t)}
}

func (a *appender) send(offset int64, rows [][]byte) {
	a.b.t.Helper()
	r := &storagepb.AppendRowsRequest{WriteStream: a.stream, Rows: &storagepb.AppendRowsRequest_ProtoRows{
		ProtoRows: &storagepb.AppendRowsRequest_ProtoData{
			WriterSchema: a.schema, Rows: &storagepb.ProtoRows{SerializedRows: rows},
		},
	}}
	a.stream, a.schema = "", nil // the first request only
	if offset >= 0 {
		r.Offset = wrapperspb.Int64(offset)
	}
	if err := a.rpc.Send(r); err != nil {
		a.b.t.Fatal(err)
	}
}

func (a *appender) append(offset int64, rows [][]byte) *storagepb.AppendRowsResponse {
	a.b.t.Helper()
	a.send(offset, rows)
	out, err := a.rpc.Recv()
	if err != nil {
		a.b.t.Fatal(err)
	}
	return out
}

func (a *appender) mustAppend(offset int64, rows [][]byte) {
	a.b.t.Helper()
	out := a.append(offset, rows)
	if e := out.GetError(); e != nil {
		a.b.t.Fatalf("append at %d: %v %v", offset, e, out.RowErrors)
	}
	if offset >= 0 && out.GetAppendResult().GetOffset().GetValue() != offset {
		a.b.t.Fatalf("appended at %v, want %d", out.GetAppendResult(), offset)
	}
}

// storageCode is the StorageError code in a status's details.
func storageCode(t *testing.T, err error) storagepb.StorageError_StorageErrorCode {
	t.Helper()
	for _, d := range status.Convert(err).Details() {
		if e, ok := d.(*storagepb.StorageError); ok {
			return e.Code
		}
	}
	return storagepb.StorageError_STORAGE_ERROR_CODE_UNSPECIFIED
}

func (b *bench) query(sql string, params ...bigquery.QueryParameter) [][]bigquery.Value {
	b.t.Helper()
	q := b.bq.Query(sql)
	q.Parameters = params
	it, err := q.Read(b.t.Context())
	if err != nil {
		b.t.Fatalf("%s: %v", sql, err)
	}
	return all(b.t, it)
}

func all(t testing.TB, it *bigquery.RowIterator) (out [][]bigquery.Value) {
	t.Helper()
	for {
		var row []bigquery.Value
		err := it.Next(&row)
		if errors.Is(err, iterator.Done) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, row)
	}
}

func (b *bench) wantCount(n int64) {
	b.t.Helper()
	if got := b.query("SELECT COUNT(*) FROM waybill.delivery_events"); got[0][0] != n {
		b.t.Fatalf("table has %v rows, want %d", got[0][0], n)
	}
}

func wantCode(t *testing.T, err error, c codes.Code) {
	t.Helper()
	if status.Code(err) != c {
		t.Fatalf("got %v, want %v", err, c)
	}
}
