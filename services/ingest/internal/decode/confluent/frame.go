// Package confluent reads the wire format of Confluent's serializers: a zero byte, the id of the writer's schema in
// four bytes, big-endian, and the payload behind them.
//
// A Plan is the columns of one version of a contract, and what is known of each schema id: a plan for its payloads, or
// why there is none. Whoever reads records learns the ids ahead (Plan.Known, Plan.Learn), because that takes a schema
// registry; a Decoder only looks them up, without waiting and without allocating.
package confluent

import "encoding/binary"

// HeaderBytes is the length of magic and schema id.
const HeaderBytes = 5

// ID returns the schema id of a payload and what is behind it; ok is false for one that is not framed.
func ID(payload []byte) (id uint32, rest []byte, ok bool) {
	if len(payload) < HeaderBytes || payload[0] != 0 {
		return 0, nil, false
	}
	return binary.BigEndian.Uint32(payload[1:]), payload[HeaderBytes:], true
}

// unframed says what is wrong with a payload that has no header.
func unframed(payload []byte) string {
	switch {
	case len(payload) == 0:
		return "the payload is empty; a zero byte and a schema id come first"
	case payload[0] != 0:
		return "the first byte is not zero: there is no schema id before the payload"
	}
	return "the payload ends within the schema id"
}
