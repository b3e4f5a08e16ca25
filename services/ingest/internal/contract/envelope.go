package contract

import (
	"slices"
	"unicode/utf8"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Tags of the envelope, envelope.v1.Envelope, which is fields 1 to 12 of every row message. A test pins them to the
// generated code.
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
	tagOperation      = operationNumber<<3 | 2

	tagHeaderKey   = 1<<3 | 2
	tagHeaderValue = 2<<3 | 2

	// rowsTag is that of `rows` in a block of rows.
	rowsTag = 1<<3 | 2

	operationNumber = 13
	payloadNumber   = 16
	payloadTag      = "\x82\x01" // field 16, length-delimited
)

// envelope is the fields before the payload of one record, measured before they are laid down: where the payload starts
// depends on them.
type envelope struct {
	// id is the event's identity; place says that it is the record's, which memo.spot holds as a whole field.
	id    []byte
	place bool
	// key is kafka_key, nil for none.
	key []byte
	// operation is what the payload says beside its record, nil for none.
	operation                    []byte
	time, offset, stamp          int64
	timed, stamped               bool
	size                         int // of all fields
	typed, origin, headers, spot []byte
}

// measure checks the record but for its payload, and adds up what is known before the payload is decoded: all but the
// identity and the time that the decoder may know. Pieces that repeat are kept.
func (c *Contract) measure(e *envelope, r *record.Record, m *Match, nowMicros int64) *fault {
	c.memo.move(r, c.version, nowMicros)
	e.place, e.offset, e.stamp = true, r.Offset, r.TimestampMicros
	if c.key == keyEventID && len(r.Key) > 0 {
		if !utf8.Valid(r.Key) {
			return &fault{field: "event_id", reason: "the key is not valid UTF-8"}
		}
		e.id, e.place = r.Key, false
	}
	if c.cloudEvents {
		if bad := c.cloudEvent(e, r); bad != nil {
			return bad
		}
	}
	h := c.headers
	if m.version == 0 || m.version != h.version {
		if bad := h.encode(r, m); bad != nil {
			return bad
		}
	}
	e.origin, e.typed, e.headers = c.memo.origin, h.fields, h.encoded
	e.size = len(e.origin) + len(e.typed) + len(e.headers) + 1 + decode.VarintLen(uint64(r.Offset))
	if e.stamped = r.TimestampMicros != -1; e.stamped {
		if r.TimestampMicros < decode.MinMicros || r.TimestampMicros > decode.MaxMicros {
			return &fault{
				field:  "kafka_timestamp",
				reason: "the record's timestamp is out of BigQuery's range, years 1 to 9999",
			}
		}
		e.size += 1 + decode.VarintLen(uint64(r.TimestampMicros))
	}
	if r.Key != nil && c.key != keyOmit {
		e.key = r.Key
		e.size += textLen(len(r.Key))
	}
	return nil
}

// complete adds what the decoder has read, if there was a payload: its identity, unless it is the key, and its time.
func (c *Contract) complete(e *envelope, decoded bool) {
	if decoded {
		if e.place && c.key != keyEventID {
			if id, ok := c.decoder.EventID(); ok {
				e.id, e.place = id, false
			}
		}
		if !e.timed {
			e.time, e.timed = c.decoder.EventTime()
		}
		if c.within != nil {
			if text, ok := c.within.Operation(); ok {
				e.operation = text
				e.size += textLen(len(text))
			}
		}
	}
	if e.timed {
		e.size += 1 + decode.VarintLen(uint64(e.time))
	}
	if e.place {
		e.spot = c.memo.place(e.offset)
		e.size += len(e.spot)
	} else {
		e.size += textLen(len(e.id))
	}
}

// lay writes the fields at out[o:] and returns the position behind them. out has room for no more than them and what
// AppendRow writes behind them.
func (e *envelope) lay(out []byte, o int) int {
	if e.place {
		o += copy(out[o:], e.spot)
	} else {
		o = putText(out, o, tagEventID, e.id)
	}
	o += copy(out[o:], e.typed)
	if e.timed {
		o = putNumber(out, o, tagEventTime, e.time)
	}
	o += copy(out[o:], e.origin)
	o = putNumber(out, o, tagKafkaOffset, e.offset)
	if e.stamped {
		o = putNumber(out, o, tagKafkaTimestamp, e.stamp)
	}
	if e.key != nil {
		o = putText(out, o, tagKafkaKey, e.key)
	}
	o += copy(out[o:], e.headers)
	if e.operation != nil {
		o = putText(out, o, tagOperation, e.operation)
	}
	return o
}

// alone appends the row of a payload that is null.
func (e *envelope) alone(dst []byte) []byte {
	start, size := len(dst), 1+decode.VarintLen(uint64(e.size))+e.size
	dst = slices.Grow(dst, size)[:start+size]
	e.lay(dst, putFrame(dst, start, e.size))
	return dst
}
