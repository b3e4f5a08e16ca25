package source

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Messages of the formats before Kafka 0.11 may still be in a log, batches behind them.
func TestLegacyMessages(t *testing.T) {
	old := func(m sarama.Message) []byte { return legacyMessageOf(t, m) }
	var raw []byte
	raw = append(raw, relocated(old(sarama.Message{Value: []byte("before")}), 9)...)
	raw = append(raw, relocated(old(sarama.Message{Key: []byte("k"), Value: []byte("old")}), 10)...)
	// Compressed: the block has the offset of its last message, the messages count from 0.
	var inner []byte
	for i := range int64(3) {
		m := sarama.Message{Version: 1, Timestamp: time.UnixMilli(2000), Value: []byte("inner")}
		inner = append(inner, relocated(old(m), i)...)
	}
	outer := sarama.Message{
		Version: 1, Timestamp: time.UnixMilli(3000), Codec: sarama.CompressionGZIP, Value: inner,
	}
	raw = append(raw, relocated(old(outer), 13)...)
	raw = append(raw, encoded(batchOf(14, 14, 14))...)
	c, err := sent{reply().FetchResponseTopicPartition, raw}.unpack(10, true)
	if err != nil || c.next != 15 {
		t.Fatalf("next %d, %v", c.next, err)
	}
	want := []record.Record{
		{Offset: 10, TimestampMicros: -1, Key: []byte("k"), Value: []byte("old")},
		{Offset: 11, TimestampMicros: 2_000_000, Value: []byte("inner")},
		{Offset: 12, TimestampMicros: 2_000_000, Value: []byte("inner")},
		{Offset: 13, TimestampMicros: 2_000_000, Value: []byte("inner")},
		{Offset: 14, TimestampMicros: 1_005_000, Value: []byte("v14")},
	}
	for i := range want {
		want[i].Topic, want[i].Partition = testTopic, 3
	}
	if diff := cmp.Diff(want, c.drained(), sameRecords); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for cut := 1; cut < len(raw); cut++ {
		if _, err := (sent{reply().FetchResponseTopicPartition, raw[:cut]}).unpack(10, true); err != nil {
			t.Fatalf("cut off at byte %d: %v", cut, err)
		}
	}
	raw[20] ^= 1
	_, err = sent{reply().FetchResponseTopicPartition, raw}.unpack(9, true)
	if err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("a damaged message: %v", err)
	}
}

// legacyMessageOf is a message of format 0 or 1.
func legacyMessageOf(t *testing.T, m sarama.Message) []byte {
	t.Helper()
	value := m.Value
	if m.Codec == sarama.CompressionGZIP {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		if _, err := w.Write(value); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		value = out.Bytes()
	}
	body := []byte{byte(m.Version), byte(m.Codec)}
	if m.Version == 1 {
		body = binary.BigEndian.AppendUint64(body, uint64(m.Timestamp.UnixMilli()))
	}
	for _, field := range [][]byte{m.Key, value} {
		n := int32(len(field))
		if field == nil {
			n = -1
		}
		body = append(binary.BigEndian.AppendUint32(body, uint32(n)), field...)
	}
	raw := binary.BigEndian.AppendUint64(nil, 0)
	raw = binary.BigEndian.AppendUint32(raw, uint32(4+len(body)))
	return append(binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(body)), body...)
}

// relocated gives a message another offset.
func relocated(raw []byte, offset int64) []byte {
	binary.BigEndian.PutUint64(raw, uint64(offset))
	return raw
}
