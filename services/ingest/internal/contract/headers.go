package contract

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// maxTypes bounds how many types are remembered. Types come from headers, which anybody may write.
const maxTypes = 64

// maxTypeBytes bounds a type that is remembered. No sensible one is longer.
const maxTypeBytes = 1 << 10

// headers are the envelope fields that come of a record's headers, as they were for the record before. Most records
// repeat them: they are compared once, by Match, whose response is the same then, and neither checked nor encoded
// again. They belong to one fork of a Topic.
type headers struct {
	// typeKey is the key of the type header.
	typeKey []byte
	// encoded is kafka_headers; last are the headers, which lie in it, set stands for them. fields are event_type and
	// item_type, nil without a type.
	encoded, fields []byte
	last            []record.Header
	set             record.HeaderSet
	// version counts how often they changed. It is not 0 once there are any.
	version uint64
	// said is what Match said of them, without itemType: that is the value of the header at typeAt, which is negative
	// for none. Its version is 0 when nothing is known.
	said   Match
	typeAt int
	// found is what Match said last of other headers.
	found Match

	// types are event_type and item_type by the type header's value; lastType is the value that came last, typed its
	// fields.
	types    map[string][]byte
	lastType []byte
	typed    []byte
}

// match is what Match said of a record with these headers, if it was the record before; nil if not.
func (h *headers) match(r *record.Record) *Match {
	if h.said.version == 0 || !h.repeats(r) {
		return nil
	}
	if h.typeAt >= 0 {
		h.said.itemType = r.Headers[h.typeAt].Value
	}
	return &h.said
}

// encode makes the fields of a record's headers, of which m is said.
func (h *headers) encode(r *record.Record, m *Match) *fault {
	var fields []byte
	if m.itemType != nil {
		if fields = h.typeFields(m.itemType); fields == nil {
			return &fault{field: "item_type", reason: "the header is not valid UTF-8"}
		}
	}
	if !h.repeats(r) {
		if bad := h.encodeHeaders(r.Headers); bad != nil {
			return bad
		}
		h.set = r.HeaderSet()
	}
	h.fields = fields
	h.version++
	h.said, h.typeAt = Match{}, typeAt(r.Headers, h.typeKey)
	// Where the type goes depends on the type alone, so what is said of one record holds for all that have it.
	if itemType := valueAt(r.Headers, h.typeAt); m.Action == Row && bytes.Equal(itemType, m.itemType) &&
		(itemType == nil) == (m.itemType == nil) {
		h.said = *m
		h.said.itemType, h.said.version = nil, h.version
	}
	return nil
}

// typeAt is the place of the last header with a key, -1 if there is none.
func typeAt(headers []record.Header, key []byte) int {
	for i := range slices.Backward(headers) {
		if bytes.Equal(headers[i].Key, key) {
			return i
		}
	}
	return -1
}

// valueAt is the value of a header; nil where there is none.
func valueAt(headers []record.Header, at int) []byte {
	if at < 0 {
		return nil
	}
	return headers[at].Value
}

// typeFields are event_type and item_type of a type header; nil when it is not UTF-8.
func (h *headers) typeFields(itemType []byte) []byte {
	if bytes.Equal(itemType, h.lastType) && h.typed != nil {
		return h.typed
	}
	typed, ok := h.types[string(itemType)]
	if !ok {
		if !utf8.Valid(itemType) {
			return nil
		}
		typed = appendText(nil, tagEventType, itemType[bytes.LastIndexByte(itemType, '.')+1:])
		typed = appendText(typed, tagItemType, itemType)
		if len(itemType) > maxTypeBytes {
			return typed
		}
		if len(h.types) == maxTypes {
			clear(h.types)
		}
		if h.types == nil {
			h.types = make(map[string][]byte)
		}
		h.types[string(itemType)] = typed
	}
	h.lastType, h.typed = append(h.lastType[:0], itemType...), typed
	return typed
}

// encodeHeaders makes kafka_headers. On a fault they are as they were.
func (h *headers) encodeHeaders(headers []record.Header) *fault {
	// Keys repeat although values do not: one that was at this place is UTF-8.
	for i := range headers {
		key := headers[i].Key
		if (i >= len(h.last) || !bytes.Equal(h.last[i].Key, key)) && !utf8.Valid(key) {
			return &fault{fmt.Sprintf("kafka_headers[%d].key", i), "the header's key is not valid UTF-8"}
		}
	}
	size := 0
	for i := range headers {
		size += textLen(headerLen(&headers[i]))
	}
	out := h.encoded[:0]
	if cap(out) > keptBytes || cap(out) < size {
		out = make([]byte, 0, size+size/2)
	}
	h.last = h.last[:0]
	for i := range headers {
		in := &headers[i]
		out = appendVarint(append(out, tagKafkaHeaders), uint64(headerLen(in)))
		var kept record.Header
		out = appendText(out, tagHeaderKey, in.Key)
		kept.Key = out[len(out)-len(in.Key):]
		if in.Value != nil {
			out = appendText(out, tagHeaderValue, in.Value)
			kept.Value = out[len(out)-len(in.Value):]
		}
		h.last = append(h.last, kept)
	}
	h.encoded = out
	return nil
}

// headerLen is how long the message of a header is.
func headerLen(h *record.Header) int {
	size := textLen(len(h.Key))
	if h.Value != nil {
		size += textLen(len(h.Value))
	}
	return size
}

// repeats says that the record's headers are those of the record before.
func (h *headers) repeats(r *record.Record) bool {
	set := r.HeaderSet()
	if set != (record.HeaderSet{}) && set == h.set {
		return true
	}
	if !h.same(r.Headers) {
		return false
	}
	h.set = set
	return true
}

func (h *headers) same(headers []record.Header) bool {
	if len(headers) != len(h.last) {
		return false
	}
	// From the last one: what differs from record to record, such as a trace, is more often appended than put first.
	for i := len(headers) - 1; i >= 0; i-- {
		is, was := &headers[i], &h.last[i]
		if !bytes.Equal(is.Value, was.Value) || (is.Value == nil) != (was.Value == nil) ||
			!bytes.Equal(is.Key, was.Key) {
			return false
		}
	}
	return true
}
