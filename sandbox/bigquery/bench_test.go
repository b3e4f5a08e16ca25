package bigquery_test

import (
	"strings"
	"testing"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/protobuf/proto"

	emulator "github.com/waybill-data/waybill/sandbox/bigquery"
)

// BenchmarkAppend sends batches of 100 rows of 9 KB, kept or discarded.
func BenchmarkAppend(b *testing.B) {
	for name, discard := range map[string]bool{"kept": false, "discarded": true} {
		b.Run(name, func(b *testing.B) {
			e := event(1)
			e.Delivery.Status = proto.String(strings.Repeat("x", 9000))
			row, err := proto.Marshal(e)
			if err != nil {
				b.Fatal(err)
			}
			batch := make([][]byte, 100)
			for i := range batch {
				batch[i] = row
			}
			s := start(b, emulator.Config{Discard: discard})
			s.createTable()
			a := s.open(s.createStream(storagepb.WriteStream_COMMITTED))
			b.SetBytes(int64(len(row) * len(batch)))
			for i := int64(0); b.Loop(); i += 100 {
				a.mustAppend(i, batch)
			}
		})
	}
}
