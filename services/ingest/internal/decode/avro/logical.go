package avro

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// appendUUID appends the canonical text of 16 bytes.
func appendUUID(dst, id []byte) []byte {
	for i, part := range [...][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:16]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

// appendDuration appends the INTERVAL of a duration: months, days and milliseconds.
func appendDuration(dst, value []byte) (_ []byte, reason string) {
	part := func(at int) int64 { return int64(binary.LittleEndian.Uint32(value[at:])) }
	return decode.AppendInterval(dst, part(0), part(4), part(8)*1000)
}
