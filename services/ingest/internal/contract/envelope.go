package contract

import (
	"encoding/binary"
	"strconv"
	"unicode/utf8"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Tags of the envelope: fields 1 to 12 of every row message, of delivery.v6.DeliveryEvent for one. A test pins them to the generated code.
const (
	tagEventID        = 1<<3 | 2
	tagEventType      = 2<<3 | 2
	tagItemType       = 3<<3 | 2
	tagEventTime      = 4 << 3
	tagIngestTime     = 5 << 3
	tagTopicVersion   = 6<<3 | 2
	tagKafkaTopic     = 7<<3 | 2
	tagKafkaPartition = 8 << 3
	tagKafkaOffset    = 9 << 3
	tagKafkaTimestamp = 10 << 3
	tagKafkaKey       = 11<<3 | 2
	tagKafkaHeaders   = 12<<3 | 2

	tagHeaderKey   = 1<<3 | 2
	tagHeaderValue = 2<<3 | 2

	// rowsTag is that of `rows` in a block of rows.
	rowsTag = 1<<3 | 2

	payloadNumber = 16
	payloadTag    = "\x82\x01" // field 16, length-delimited
)

func appendVarint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

func appendNumber(dst []byte, tag byte, v int64) []byte {
	return appendVarint(append(dst, tag), uint64(v))
}

func appendText[T []byte | string](dst []byte, tag byte, text T) []byte {
	return append(appendVarint(append(dst, tag), uint64(len(text))), text...)
}

// appendEnvelope appends the fields before the payload, which the decoder has just read.
func (c *Contract) appendEnvelope(dst []byte, r *record.Record, itemType []byte, nowMicros int64) ([]byte, *fault) {
	c.memo.move(r, c.version)
	id, ok := c.identity(r)
	switch {
	case !ok:
		dst = c.memo.appendPlace(dst, r.Offset)
	case c.key == keyEventID && !utf8.Valid(id):
		return dst, &fault{field: "event_id", reason: "the key is not valid UTF-8"}
	default:
		dst = appendText(dst, tagEventID, id)
	}
	if itemType != nil {
		typed := c.memo.typeFields(itemType)
		if typed == nil {
			return dst, &fault{field: "item_type", reason: "the header is not valid UTF-8"}
		}
		dst = append(dst, typed...)
	}
	if micros, ok := c.decoder.EventTime(); ok && r.Value != nil {
		dst = appendNumber(dst, tagEventTime, micros)
	}
	dst = appendNumber(dst, tagIngestTime, nowMicros)
	dst = append(dst, c.memo.origin...)
	dst = appendNumber(dst, tagKafkaOffset, r.Offset)
	if r.TimestampMicros != -1 {
		if r.TimestampMicros < decode.MinMicros || r.TimestampMicros > decode.MaxMicros {
			return dst, &fault{field: "kafka_timestamp", reason: "the record's timestamp is out of BigQuery's range, years 1 to 9999"}
		}
		dst = appendNumber(dst, tagKafkaTimestamp, r.TimestampMicros)
	}
	if r.Key != nil && c.key != keyOmit {
		dst = appendText(dst, tagKafkaKey, r.Key)
	}
	headers, bad := c.memo.headerFields(r)
	return append(dst, headers...), bad
}

// identity is the event's: the key where the contract says so, unless it is null or empty, else what the payload says, if there is one.
func (c *Contract) identity(r *record.Record) (id []byte, ok bool) {
	switch {
	case c.key == keyEventID:
		return r.Key, len(r.Key) > 0
	case r.Value == nil:
		return nil, false // the decoder still knows the record before
	}
	return c.decoder.EventID()
}

// appendPlace appends topic/partition/offset as the event's identity.
func (m *memo) appendPlace(dst []byte, offset int64) []byte {
	digits := 1
	for n := offset; n >= 10; n /= 10 {
		digits++
	}
	dst = appendVarint(append(dst, tagEventID), uint64(len(m.prefix)+digits))
	return strconv.AppendInt(append(dst, m.prefix...), offset, 10)
}

// varintLen is how many bytes the length of a text takes.
func varintLen(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}
