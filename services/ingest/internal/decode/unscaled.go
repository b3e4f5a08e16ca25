package decode

import (
	"fmt"
	"math"
	"math/bits"
)

// AppendScaled appends the decimal text of a number with a scale of its own, as AppendUnscaled does. A scale outside of
// 0 to BigNumericScale could be made up for by zeros only, which writers have no reason to write: it is refused.
func AppendScaled(dst, number []byte, scale int64) (_ []byte, reason string) {
	if scale < 0 || scale > BigNumericScale {
		return dst, fmt.Sprintf("the scale %d of the decimal is not within 0 and %d", scale, BigNumericScale)
	}
	return AppendUnscaled(dst, number, BigNumericWhole+int(scale), int(scale))
}

// AppendUnscaled appends the decimal text of a big-endian two's-complement number with scale digits behind the point.
// One of more digits than its precision is refused.
func AppendUnscaled(dst, number []byte, precision, scale int) (_ []byte, reason string) {
	const limbs, tooWide = 4, "the decimal has more digits than its precision, or than 76"
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
	for v != [limbs]uint64{} || n <= scale {
		var rest uint64
		for j := limbs - 1; j >= 0; j-- {
			v[j], rest = bits.Div64(rest, v[j], 10)
		}
		digits[n] = '0' + byte(rest)
		if n++; n > precision && rest != 0 || n == len(digits) {
			return dst, tooWide
		}
	}
	for i := n - 1; i >= 0; i-- {
		dst = append(dst, digits[i])
		if i == scale && i > 0 {
			dst = append(dst, '.')
		}
	}
	return dst, ""
}
