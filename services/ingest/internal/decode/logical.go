package decode

import (
	"encoding/hex"
	"math"
	"math/bits"
	"time"
)

// Ranges of BigQuery's DATE, DATETIME and TIMESTAMP: years 1 to 9999 (data types of GoogleSQL).
const (
	minDays   = -719162
	maxDays   = 2932896
	dayMicros = 24 * 60 * 60 * 1_000_000

	// MinMicros and MaxMicros bound a TIMESTAMP, in microseconds since the epoch.
	MinMicros = minDays * dayMicros
	MaxMicros = (maxDays+1)*dayMicros - 1

	timestampReason = "the timestamp is out of BigQuery's range, years 1 to 9999"
)

// Unit is the unit of a number that counts time since the epoch.
type Unit uint8

// Auto tells the unit by the number's magnitude: below 1e11 seconds (until the year 5138), below 1e14 milliseconds, below 1e17
// microseconds, else nanoseconds.
const (
	Auto Unit = iota
	Seconds
	Millis
	Micros
	Nanos
)

var timestampUnits = [...]Unit{
	opTimestampMillis: Millis, opTimestampMicros: Micros, opTimestampNanos: Nanos,
	opLocalMillis: Millis, opLocalMicros: Micros, opLocalNanos: Nanos,
}

// toMicros converts to microseconds, rounding down; ok is false outside BigQuery's range.
func toMicros(v int64, unit Unit) (micros int64, ok bool) {
	if unit == Auto {
		abs := uint64(v)
		if v < 0 {
			abs = -abs
		}
		switch {
		case abs < 1e11:
			unit = Seconds
		case abs < 1e14:
			unit = Millis
		case abs < 1e17:
			unit = Micros
		default:
			unit = Nanos
		}
	}
	factor := int64(1)
	switch unit {
	case Seconds:
		factor = 1_000_000
	case Millis:
		factor = 1000
	case Nanos:
		rest := v % 1000
		v /= 1000
		if rest < 0 {
			v--
		}
	}
	if v > MaxMicros/factor || v < MinMicros/factor {
		return 0, false
	}
	return v * factor, true
}

// appendTime appends HH:MM:SS.ffffff.
func appendTime(dst []byte, micros int64) []byte {
	second := micros / 1_000_000
	dst = append(appendTwo(dst, second/3600), ':')
	dst = append(appendTwo(dst, second/60%60), ':')
	dst = append(appendTwo(dst, second%60), '.')
	fraction := micros % 1_000_000
	return appendTwo(appendTwo(appendTwo(dst, fraction/10000), fraction/100%100), fraction%100)
}

func appendTwo(dst []byte, v int64) []byte { return append(dst, '0'+byte(v/10), '0'+byte(v%10)) }

// appendDateTime appends YYYY-MM-DD HH:MM:SS.ffffff.
func appendDateTime(dst []byte, micros int64) []byte {
	return time.UnixMicro(micros).UTC().AppendFormat(dst, "2006-01-02 15:04:05.000000")
}

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
func appendDecimal(dst, number []byte, t decimalType) (_ []byte, reason string) {
	const limbs, tooWide = 4, "the decimal has more digits than its precision"
	// Most writers pad to a fixed width: leading bytes that only repeat the sign do not count.
	negative := len(number) > 0 && number[0] >= 0x80
	var fill byte
	if negative {
		fill = 0xff
	}
	for len(number) > 1 && number[0] == fill && (number[1]^fill) < 0x80 {
		number = number[1:]
	}
	if len(number) > limbs*8 { // the 76 digits of a BIGNUMERIC take 254 bits with the sign
		return dst, tooWide
	}
	var v [limbs]uint64 // little-endian
	if negative {
		v = [limbs]uint64{math.MaxUint64, math.MaxUint64, math.MaxUint64, math.MaxUint64}
	}
	for _, b := range number {
		for j := limbs - 1; j > 0; j-- {
			v[j] = v[j]<<8 | v[j-1]>>56
		}
		v[0] = v[0]<<8 | uint64(b)
	}
	if negative {
		carry := uint64(1)
		for j := range v {
			v[j], carry = bits.Add64(^v[j], 0, carry)
		}
		dst = append(dst, '-')
	}
	var digits [limbs * 20]byte
	n := 0
	for v != [limbs]uint64{} || n <= t.scale {
		var rest uint64
		for j := limbs - 1; j >= 0; j-- {
			v[j], rest = bits.Div64(rest, v[j], 10)
		}
		digits[n] = '0' + byte(rest)
		if n++; n > t.precision && rest != 0 || n == len(digits) {
			return dst, tooWide
		}
	}
	for i := n - 1; i >= 0; i-- {
		dst = append(dst, digits[i])
		if i == t.scale && i > 0 {
			dst = append(dst, '.')
		}
	}
	return dst, ""
}
