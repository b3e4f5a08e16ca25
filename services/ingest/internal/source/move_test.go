package source

import (
	"testing"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// What a fetch brought becomes records without an allocation, once there is room for their headers.
func TestMoveAllocatesNothingARow(t *testing.T) {
	const rows = 10_000
	batch := batchOf(0, rows-1)
	headers := []*sarama.RecordHeader{{Key: []byte("a")}, {Key: []byte("b")}}
	for i := range int64(rows) {
		batch.Records = append(batch.Records, &sarama.Record{OffsetDelta: i, Headers: headers})
	}
	c, err := reply(batch).unpack(0, true)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]record.Record, 0, rows)
	n := testing.AllocsPerRun(100, func() {
		k := c.batches[0]
		if out, err := k.move(dst, rows); err != nil || len(out) != rows || len(out[rows-1].Headers) != 2 {
			t.Fatalf("%d records, %v", len(out), err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations for %d records", n, rows)
	}
}
