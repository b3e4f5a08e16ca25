package bigquery_test

import (
	"context"
	"testing"

	storage "cloud.google.com/go/bigquery/storage/apiv1"
	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"cloud.google.com/go/bigquery/storage/managedwriter"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	emulator "github.com/waybill-data/waybill/sandbox/bigquery"
)

// TestGoogleClients lets Google's own clients of the Storage Write API loose on the emulator.
func TestGoogleClients(t *testing.T) {
	b := start(t, emulator.Config{})
	b.createTable()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	options := []option.ClientOption{
		option.WithEndpoint(b.e.Addrs().GRPC), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}

	managed, err := managedwriter.NewClient(ctx, "sandbox", options...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = managed.Close() }()
	writer, err := managed.NewManagedStream(ctx, managedwriter.WithDestinationTable(tableName),
		managedwriter.WithType(managedwriter.CommittedStream),
		managedwriter.WithSchemaDescriptor(descriptor(t).ProtoDescriptor))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = writer.Close() }()
	for i := int64(0); i < 30; i += 10 {
		result, err := writer.AppendRows(ctx, encoded(t, i, i+10), managedwriter.WithOffset(i))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := result.GetResult(ctx); got != i || err != nil {
			t.Fatal(got, err)
		}
	}
	if n, err := writer.Finalize(ctx); n != 30 || err != nil {
		t.Fatal(n, err)
	}

	raw, err := storage.NewBigQueryWriteClient(ctx, options...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	st, err := raw.CreateWriteStream(ctx, &storagepb.CreateWriteStreamRequest{
		Parent: tableName, WriteStream: &storagepb.WriteStream{Type: storagepb.WriteStream_PENDING},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := raw.GetWriteStream(ctx, &storagepb.GetWriteStreamRequest{
		Name: st.Name, View: storagepb.WriteStreamView_FULL,
	}); err != nil || len(got.TableSchema.Fields) != len(deliveries) {
		t.Fatal(got, err)
	}
	b.wantCount(30)
}
