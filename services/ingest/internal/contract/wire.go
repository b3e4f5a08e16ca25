package contract

import (
	"encoding/binary"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

func appendVarint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

func appendNumber(dst []byte, tag byte, v int64) []byte {
	return appendVarint(append(dst, tag), uint64(v))
}

func appendText[T []byte | string](dst []byte, tag byte, text T) []byte {
	return append(appendVarint(append(dst, tag), uint64(len(text))), text...)
}

// textLen is how many bytes a text takes with its length and a tag of one byte.
func textLen(n int) int { return 1 + decode.VarintLen(uint64(n)) + n }

// putNumber writes a tag and a number. Where there is room for eight bytes, numbers of up to 56 bits, such as times of
// this age, are written as one word; what follows overwrites the rest of it.
func putNumber(out []byte, o int, tag byte, number int64) int {
	v := uint64(number)
	out[o] = tag
	o++
	if v>>56 != 0 || len(out)-o < 8 {
		return decode.PutVarint(out, o, v)
	}
	w, size := decode.SpreadVarint(v)
	binary.LittleEndian.PutUint64(out[o:], w)
	return o + size
}

func putText(out []byte, o int, tag byte, text []byte) int {
	out[o] = tag
	o = decode.PutVarint(out, o+1, uint64(len(text)))
	return o + copy(out[o:], text)
}

// putFrame writes what is before a row of so many bytes.
func putFrame(out []byte, o, size int) int {
	out[o] = rowsTag
	return decode.PutVarint(out, o+1, uint64(size))
}
