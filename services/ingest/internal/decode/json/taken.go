package json

import (
	"strconv"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// take says what the envelope takes of a field.
type take uint8

const (
	takeID take = 1 << iota
	takeTime
)

// taken is what the envelope needs of a payload: the event's identity and time. It is valid until the next payload.
type taken struct {
	id      []byte
	hasID   bool
	unit    decode.Unit
	micros  int64
	hasTime bool
}

// from takes a value as it stands in the row, behind its tag.
func (t *taken) from(s *step, value []byte) (reason string) {
	v, n := decode.Varint(value, 0)
	if s.take&takeID != 0 {
		t.hasID = true
		if s.kind == shape.String || s.kind == shape.Enum {
			t.id = append(t.id[:0], value[n:]...)
		} else {
			t.id = strconv.AppendInt(t.id[:0], int64(v), 10)
		}
	}
	if s.take&takeTime != 0 {
		unit := t.unit
		if s.kind == shape.Timestamp {
			unit = decode.Micros
		}
		if t.micros, t.hasTime = decode.ToMicros(int64(v), unit); !t.hasTime {
			return decode.TimestampReason
		}
	}
	return ""
}
