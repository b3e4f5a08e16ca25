package decode

import (
	"bytes"
	"fmt"
)

// digits are how many a NUMERIC or BIGNUMERIC has before the point and behind it.
func (t Target) digits() (whole, scale int) {
	if t == BigNumeric {
		return BigNumericWhole, BigNumericScale
	}
	return NumericWhole, NumericScale
}

// appendDecimal appends the decimal that a text becomes in the column.
func (c *Column) appendDecimal(dst, text []byte) (_ []byte, reason string) {
	whole, scale := c.Type.digits()
	if c.Precision > 0 {
		whole, scale = c.Precision-c.Scale, c.Scale
	}
	return AppendDecimal(dst, text, whole, scale)
}

// AppendDecimal appends a number, written as JSON and SQL write them, without exponent, leading or trailing zeros.
// Digits are counted as they are written, and none is rounded away: a number with more than whole digits before the
// point or scale behind it is refused.
func AppendDecimal(dst, text []byte, whole, scale int) (_ []byte, reason string) {
	digits, negative := text, false
	if len(digits) > 0 && (digits[0] == '-' || digits[0] == '+') {
		negative, digits = digits[0] == '-', digits[1:]
	}
	exponent, ok := 0, true
	if at := bytes.IndexAny(digits, "eE"); at >= 0 {
		exponent, ok = Exponent(digits[at+1:])
		digits = digits[:at]
	}
	before, behind, _ := bytes.Cut(digits, []byte{'.'})
	n := len(before) + len(behind)
	digit := func(i int) byte { // from the first, without the point
		if i < len(before) {
			return before[i]
		}
		return behind[i-len(before)]
	}
	for i := range n {
		ok = ok && digit(i)-'0' <= 9
	}
	if !ok || n == 0 { // the reasons take a copy of the text, so that it need not live on the heap
		return dst, fmt.Sprintf("%.60q is no decimal number", string(text))
	}
	first, last := 0, n
	for first < n && digit(first) == '0' {
		first++
	}
	for last > first && digit(last-1) == '0' {
		last--
	}
	if first == last {
		return append(dst, '0'), ""
	}
	point := len(before) + exponent // digits before it, counted from digit 0
	if point-first > whole || last-point > scale {
		return dst, fmt.Sprintf("%.60q does not fit %d digits before the point and %d behind it", string(text), whole,
			scale)
	}
	if negative {
		dst = append(dst, '-')
	}
	if point <= first {
		dst = append(dst, '0')
	}
	for i := min(first, point); i < max(last, point); i++ {
		if i == point {
			dst = append(dst, '.')
		}
		d := byte('0')
		if i >= first && i < last {
			d = digit(i)
		}
		dst = append(dst, d)
	}
	return dst, ""
}

// Exponent reads the exponent of a number; one that is beyond everything is held at a million.
func Exponent(text []byte) (exponent int, ok bool) {
	const most = 1_000_000
	negative := len(text) > 0 && text[0] == '-'
	if negative || len(text) > 0 && text[0] == '+' {
		text = text[1:]
	}
	for _, c := range text {
		if c-'0' > 9 {
			return 0, false
		}
		exponent = min(10*exponent+int(c-'0'), most)
	}
	if negative {
		exponent = -exponent
	}
	return exponent, len(text) > 0
}
