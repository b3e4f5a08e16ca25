package avro

import "github.com/waybill-data/waybill/services/ingest/internal/decode"

// readVarint reads a varint at src[p:]. The result's next is negative when there is none: endOfInput or tooLong. The
// row's own are always minimal.
func readVarint(src []byte, p int) (v uint64, next int) { return decode.Varint(src, p) }

const (
	endOfInput = decode.VarintEnds
	tooLong    = decode.VarintTooLong
)

// unzigzag undoes Avro's zigzag.
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }
