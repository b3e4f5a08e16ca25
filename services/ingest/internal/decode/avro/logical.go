package avro

import (
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

// appendDecimal appends the decimal text of a big-endian two's-complement number with scale digits behind the point.
func appendDecimal(dst, number []byte, t *decimalType) (_ []byte, reason string) {
	return decode.AppendUnscaled(dst, number, t.precision, t.scale)
}
