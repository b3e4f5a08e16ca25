package decode

import "fmt"

// maxDecimalDigits is more digits than any decimal of BigQuery has.
const maxDecimalDigits = BigNumericWhole + BigNumericScale

// appendDecimal appends a decimal without exponent, leading or trailing zeros. No digit is rounded away.
func (c *Column) appendDecimal(dst, text []byte) (_ []byte, reason string) {
	whole, scale := NumericWhole, NumericScale
	if c.Type == BigNumeric {
		whole, scale = BigNumericWhole, BigNumericScale
	}
	if c.Precision > 0 {
		whole, scale = c.Precision-c.Scale, c.Scale
	}
	n, ok := parseDecimal(text)
	switch { // the reasons take a copy of the text, so that it need not live on the heap
	case !ok:
		return dst, fmt.Sprintf("%.60q is no decimal number", string(text))
	case n.point > whole || n.count-n.point > scale || n.cut:
		return dst, fmt.Sprintf("%.60q has more than %d digits before the point or %d behind it", string(text), whole, scale)
	}
	return n.append(dst), ""
}

// number is a decimal number: 0.digits times ten to the power of point.
type number struct {
	digits   [maxDecimalDigits]byte
	count    int
	point    int
	negative bool
	cut      bool // there are more digits
}

// parseDecimal reads digits with an optional sign, point and exponent, as JSON and SQL write them.
func parseDecimal(text []byte) (n number, ok bool) {
	i := 0
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		n.negative = text[i] == '-'
		i++
	}
	digits, behind := 0, false
	for ; i < len(text); i++ {
		switch d := text[i]; {
		case d == '.' && !behind:
			behind = true
			continue
		case d-'0' > 9:
		default:
			digits++
			switch {
			case n.count == 0 && d == '0':
				if behind {
					n.point--
				}
				continue
			case n.count < len(n.digits):
				n.digits[n.count] = d
			case d != '0':
				n.cut = true
			}
			n.count++
			if !behind {
				n.point++
			}
			continue
		}
		break
	}
	if digits == 0 {
		return n, false
	}
	if i < len(text) {
		if text[i]|0x20 != 'e' {
			return n, false
		}
		rest, minus := skip(text[i+1:], '-')
		if !minus {
			rest, _ = skip(rest, '+')
		}
		exponent, rest, ok := parseNumber(rest, 5)
		if !ok || len(rest) > 0 {
			return n, false
		}
		if minus {
			exponent = -exponent
		}
		n.point += int(exponent)
	}
	n.count = min(n.count, len(n.digits))
	for n.count > 0 && n.digits[n.count-1] == '0' {
		n.count--
	}
	if n.count == 0 {
		n.point, n.negative = 0, false
	}
	return n, true
}

func (n *number) append(dst []byte) []byte {
	if n.negative {
		dst = append(dst, '-')
	}
	if n.point <= 0 {
		dst = append(dst, '0')
	}
	for i := range n.point {
		if i < n.count {
			dst = append(dst, n.digits[i])
		} else {
			dst = append(dst, '0')
		}
	}
	if n.count > n.point {
		dst = append(dst, '.')
		for range -n.point {
			dst = append(dst, '0')
		}
		dst = append(dst, n.digits[max(0, n.point):n.count]...)
	}
	return dst
}
