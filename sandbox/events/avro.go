package events

import (
	"encoding/binary"
	"math"
	"time"
)

// avro writes Avro's binary encoding (specification 1.12, "Binary Encoding"). Values are laid down in the order of the
// schema's fields, so the code that calls it reads like the schema.
type avro struct{ b []byte }

func (a *avro) long(v int64) { a.b = binary.AppendUvarint(a.b, uint64(v)<<1^uint64(v>>63)) }

func (a *avro) int(v int) { a.long(int64(v)) }

func (a *avro) double(v float64) {
	a.b = binary.LittleEndian.AppendUint64(a.b, math.Float64bits(v))
}

func (a *avro) float(v float32) {
	a.b = binary.LittleEndian.AppendUint32(a.b, math.Float32bits(v))
}

func (a *avro) boolean(v bool) {
	if v {
		a.b = append(a.b, 1)
		return
	}
	a.b = append(a.b, 0)
}

func (a *avro) string(v string) {
	a.long(int64(len(v)))
	a.b = append(a.b, v...)
}

// null and some choose a branch of ["null", T].
func (a *avro) null() { a.b = append(a.b, 0) }
func (a *avro) some() { a.b = append(a.b, 2) }

// array and end frame the one block of an array or map; an empty one is its end alone.
func (a *avro) array(n int) {
	if n > 0 {
		a.long(int64(n))
	}
}
func (a *avro) end() { a.b = append(a.b, 0) }

// time writes an ISO 8601 UTC time with microseconds, as the producers do: always 27 bytes.
func (a *avro) time(nanos int64) {
	a.long(27)
	a.b = time.Unix(0, nanos).UTC().AppendFormat(a.b, "2006-01-02T15:04:05.000000Z")
}

// hex writes n hexadecimal digits of v as a string.
func (a *avro) hex(n int, v ...uint64) {
	a.long(int64(n))
	a.b = appendHex(a.b, n, v...)
}

// digits writes prefix and a decimal number of a fixed width as a string.
func (a *avro) digits(prefix string, width int, v uint64) {
	a.long(int64(len(prefix) + width))
	a.b = append(a.b, prefix...)
	start := len(a.b)
	for range width {
		a.b = append(a.b, '0')
	}
	for at := len(a.b) - 1; at >= start; at-- {
		a.b[at] = '0' + byte(v%10)
		v /= 10
	}
}

func appendHex(dst []byte, n int, v ...uint64) []byte {
	const alphabet = "0123456789abcdef"
	for i := range n {
		word := v[i/16%len(v)]
		dst = append(dst, alphabet[word>>(60-4*(i%16))&15])
	}
	return dst
}
