package events

import (
	"encoding/binary"

	"github.com/waybill-data/waybill/sandbox/events/schemas"
)

// appendContainer wraps one encoded event into an Avro object container file (specification 1.12, "Object Container
// Files") with the null codec, which is what the oldest producers send.
func appendContainer(dst, payload []byte, salt uint64) []byte {
	a := avro{b: append(dst, "Obj\x01"...)}
	a.array(2)
	a.string("avro.schema")
	a.string(schemas.DeliveryEventV6)
	a.string("avro.codec")
	a.string("null")
	a.end()
	var sync [16]byte
	binary.BigEndian.PutUint64(sync[:], salt)
	binary.BigEndian.PutUint64(sync[8:], ^salt)
	a.b = append(a.b, sync[:]...)
	a.long(1)
	a.long(int64(len(payload)))
	a.b = append(a.b, payload...)
	return avro{b: append(a.b, sync[:]...)}.b
}
