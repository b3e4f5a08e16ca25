package contract

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// maxTypes bounds how many types a memo knows. Types come from headers, which anybody may write.
const maxTypes = 64

// maxTypeBytes bounds a type that a memo knows. No sensible one is longer.
const maxTypeBytes = 1 << 10

// memo is the encoded envelope fields that are the same from record to record of a partition. What is in it was checked when it was
// encoded, so a record that repeats it is not checked again. It belongs to one Contract, hence to one lane.
type memo struct {
	// place is that of origin and prefix. A topic is compared by its header first, which is that of the record before.
	topic     string
	partition int32
	known     bool
	// origin is topic_version, kafka_topic and kafka_partition; prefix is topic/partition/, how an event's identity starts by default.
	origin, prefix []byte
	// spot is the event's identity by default, as a field, of the offsets that differ from era*spotRange in their last digits only.
	spot []byte
	era  int64

	// types are event_type and item_type by the type header's value; lastType is the value that came last, typed its fields.
	types    map[string][]byte
	lastType []byte
	typed    []byte

	// headers are those of the record before.
	headers []headerMemo
	encoded []byte
}

// headerMemo is where the key and value of a header lie in memo.encoded.
type headerMemo struct {
	key, keyEnd, value, valueEnd int
	null                         bool
}

// move makes the memo one of the record's partition.
func (m *memo) move(r *record.Record, version string) {
	if m.known && m.partition == r.Partition && m.topic == r.Topic {
		return
	}
	m.topic, m.partition, m.known = r.Topic, r.Partition, true
	m.origin = m.origin[:0]
	if version != "" {
		m.origin = appendText(m.origin, tagTopicVersion, version)
	}
	m.origin = appendText(m.origin, tagKafkaTopic, r.Topic)
	m.origin = appendNumber(m.origin, tagKafkaPartition, int64(r.Partition))
	m.spot = m.spot[:0]
	m.prefix = append(append(m.prefix[:0], r.Topic...), '/')
	m.prefix = append(strconv.AppendInt(m.prefix, int64(r.Partition), 10), '/')
}

// spotRange is ten to the number of digits that change within memo.spot.
const spotRange = 10_000

// place is topic/partition/offset as the event's identity. It is valid until the next one.
func (m *memo) place(offset int64) []byte {
	era := offset / spotRange
	if len(m.spot) == 0 || era != m.era || era == 0 {
		digits := 1
		for n := offset; n >= 10; n /= 10 {
			digits++
		}
		m.spot = appendVarint(append(m.spot[:0], tagEventID), uint64(len(m.prefix)+digits))
		m.spot = strconv.AppendInt(append(m.spot, m.prefix...), offset, 10)
		m.era = era
		return m.spot
	}
	last := m.spot[len(m.spot)-4:]
	rest := uint32(offset - era*spotRange)
	last[0], last[1], last[2], last[3] = '0'+byte(rest/1000), '0'+byte(rest/100%10), '0'+byte(rest/10%10), '0'+byte(rest%10)
	return m.spot
}

// typeFields are event_type and item_type of a type header; nil when it is not UTF-8.
func (m *memo) typeFields(itemType []byte) []byte {
	if bytes.Equal(itemType, m.lastType) && m.typed != nil {
		return m.typed
	}
	typed, ok := m.types[string(itemType)]
	if !ok {
		if !utf8.Valid(itemType) {
			return nil
		}
		typed = appendText(nil, tagEventType, itemType[bytes.LastIndexByte(itemType, '.')+1:])
		typed = appendText(typed, tagItemType, itemType)
		if len(itemType) > maxTypeBytes {
			return typed
		}
		if len(m.types) == maxTypes {
			clear(m.types)
		}
		if m.types == nil {
			m.types = make(map[string][]byte)
		}
		m.types[string(itemType)] = typed
	}
	m.lastType, m.typed = append(m.lastType[:0], itemType...), typed
	return typed
}

// headerFields are kafka_headers of the record.
func (m *memo) headerFields(r *record.Record) ([]byte, *fault) {
	if m.repeats(r.Headers) {
		return m.encoded, nil
	}
	// Keys repeat although values do not: one that was at this place is UTF-8.
	for i := range r.Headers {
		key := r.Headers[i].Key
		if !m.hasKey(i, key) && !utf8.Valid(key) {
			return nil, &fault{field: "kafka_headers", part: "key", index: i, reason: "the header's key is not valid UTF-8"}
		}
	}
	m.headers, m.encoded = m.headers[:0], m.encoded[:0]
	if cap(m.encoded) > keptBytes {
		m.encoded = nil
	}
	out := m.encoded
	for i := range r.Headers {
		h := &r.Headers[i]
		size := textLen(len(h.Key))
		if h.Value != nil {
			size += textLen(len(h.Value))
		}
		out = appendVarint(append(out, tagKafkaHeaders), uint64(size))
		out = appendText(out, tagHeaderKey, h.Key)
		at := headerMemo{key: len(out) - len(h.Key), keyEnd: len(out), null: h.Value == nil}
		if h.Value != nil {
			out = appendText(out, tagHeaderValue, h.Value)
		}
		at.value, at.valueEnd = len(out)-len(h.Value), len(out)
		m.headers = append(m.headers, at)
	}
	m.encoded = out
	return out, nil
}

func (m *memo) hasKey(i int, key []byte) bool {
	return i < len(m.headers) && bytes.Equal(m.encoded[m.headers[i].key:m.headers[i].keyEnd], key)
}

// repeats says that the headers are those of the record before.
func (m *memo) repeats(headers []record.Header) bool {
	if len(headers) != len(m.headers) {
		return false
	}
	// From the last one: what differs from record to record, such as a trace, is more often appended than put first.
	for i := len(headers) - 1; i >= 0; i-- {
		h, at := &headers[i], &m.headers[i]
		if at.null != (h.Value == nil) || !bytes.Equal(m.encoded[at.value:at.valueEnd], h.Value) || !m.hasKey(i, h.Key) {
			return false
		}
	}
	return true
}
