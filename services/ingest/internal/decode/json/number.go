package json

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"unsafe"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// number is a JSON number as it is written: the digits without point and leading zeros, as far as they fit, and the
// power of ten.
type number struct {
	negative bool
	mantissa uint64 // of the first 19 significant digits
	exponent int    // the value is mantissa * 10^exponent, if exact
	exact    bool
}

const maxDigits = 19 // that a uint64 holds in any case

// short reads a whole number of up to 18 digits at p with nothing behind it that belongs to a number; ok is false for
// all others, which may be numbers too.
func short(src []byte, p int) (v int64, q int, ok bool) {
	q = p
	negative := jsonscan.Peek(src, q) == '-'
	if negative {
		q++
	}
	from := q
	var u uint64
	for len(src)-q >= 8 && q-from < 16 {
		w := binary.LittleEndian.Uint64(src[q:]) ^ '0'*jsonscan.Ones
		// digits in w; 8 if all are
		n := bits.TrailingZeros64(((w&^jsonscan.Highs)+(0x7f-9)*jsonscan.Ones|w)&jsonscan.Highs) >> 3
		if n == 8 {
			u = u*100_000_000 + eight(w)
			q += 8
			continue
		}
		u = u*powers[n] + eight(w<<(64-8*uint(n)))
		q += n
		return short2(src, u, from, q, negative)
	}
	for q-from < 18 && uint(q) < uint(len(src)) && src[q]-'0' <= 9 {
		u = 10*u + uint64(src[q]-'0')
		q++
	}
	return short2(src, u, from, q, negative)
}

func short2(src []byte, u uint64, from, q int, negative bool) (int64, int, bool) {
	c := jsonscan.Peek(src, q)
	if q == from || src[from] == '0' && q > from+1 || c-'0' <= 9 || c == '.' || c|0x20 == 'e' {
		return 0, q, false
	}
	if negative {
		return -int64(u), q, true
	}
	return int64(u), q, true
}

// eight is the number of eight digits, values 0 to 9, the first in the lowest byte.
func eight(w uint64) uint64 {
	w = w*10 + w>>8
	return ((w&0x000000ff000000ff)*(100+1_000_000<<32) + (w>>16&0x000000ff000000ff)*(1+10_000<<32)) >> 32
}

var powers = [...]uint64{1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000}

// scan reads any number.
func (d *Decoder) scan(p int) (n number, q int) {
	if q = d.skipNumber(p); q < 0 {
		return n, q
	}
	n.exact = true
	src, used, point := d.src[p:q], 0, false
	for i, c := range src {
		switch {
		case c == '-' && i == 0:
			n.negative = true
		case c == '.':
			point = true
		case c|0x20 == 'e':
			exponent, _ := decode.Exponent(src[i+1:])
			n.exponent += exponent
			return n, q
		case used == maxDigits:
			n.exact = n.exact && c == '0'
			if !point {
				n.exponent++
			}
		default:
			n.mantissa = 10*n.mantissa + uint64(c-'0')
			if n.mantissa != 0 {
				used++
			}
			if point {
				n.exponent--
			}
		}
	}
	return n, q
}

// integer is the value of a whole number, however it is written; ok is false if it is none, or beyond 64 bits.
func (n number) integer() (v int64, ok bool) {
	m, e := n.mantissa, n.exponent
	if !n.exact || m == 0 {
		return 0, n.exact
	}
	for ; e < 0; e++ {
		if m%10 != 0 {
			return 0, false
		}
		m /= 10
	}
	for ; e > 0; e-- {
		if m > math.MaxUint64/10 {
			return 0, false
		}
		m *= 10
	}
	if n.negative {
		return int64(-m), m <= 1<<63
	}
	return int64(m), m < 1<<63
}

// integer reads the whole number at p.
func (d *Decoder) integer(p int) (v int64, q int) {
	v, q, ok := short(d.src, p)
	if ok {
		return v, q
	}
	if c := jsonscan.Peek(d.src, p); c != '-' && c-'0' > 9 {
		return 0, d.wants(p, "a whole number")
	}
	n, q := d.scan(p)
	if q < 0 {
		return 0, q
	}
	if v, ok = n.integer(); !ok {
		return 0, d.fail(p, "wants a whole number of at most 64 bits")
	}
	return v, q
}

// quoted reports whether a lenient reading takes the value at p for a number or boolean in quotes, which begins behind
// them; unquoted makes sure that nothing else is in them.
func (d *Decoder) quoted(p int) bool { return d.lenient && jsonscan.Peek(d.src, p) == '"' }

func (d *Decoder) unquoted(q int) int {
	switch {
	case q < 0:
		return q
	case jsonscan.Peek(d.src, q) != '"':
		return d.fail(q, "wants only a number or boolean in the quotes")
	}
	return q + 1
}

// whole decodes an INTEGER.
func (d *Decoder) whole(s *step, p, o int) (int, int) {
	v, q, ok := short(d.src, p)
	if !ok {
		if d.quoted(p) {
			v, q = d.integer(p + 1)
			q = d.unquoted(q)
		} else {
			v, q = d.integer(p)
		}
		if q < 0 {
			return q, o
		}
	}
	if s.kind == shape.Int32 && int64(int32(v)) != v {
		return d.fail(p, "the number is beyond the 32 bits of an int"), o
	}
	return q, d.putNumber(s, v, o)
}

func (d *Decoder) putNumber(s *step, v int64, o int) int {
	binary.LittleEndian.PutUint32(d.out[o:], s.tag)
	o += int(s.tagLen)
	if uint64(v)>>56 != 0 {
		return decode.PutVarint(d.out, o, uint64(v))
	}
	w, size := decode.SpreadVarint(uint64(v))
	binary.LittleEndian.PutUint64(d.out[o:], w)
	return o + size
}

// floating decodes a FLOAT.
func (d *Decoder) floating(s *step, p, o int) (int, int) {
	read := p
	if d.quoted(p) {
		read++
	}
	size := 64
	if s.kind == shape.Float {
		size = 32
	}
	v, q := d.float(read, size)
	if read > p {
		q = d.unquoted(q)
	}
	if q < 0 {
		return q, o
	}
	d.putTag(s, o)
	o += int(s.tagLen)
	if size == 32 {
		binary.LittleEndian.PutUint32(d.out[o:], math.Float32bits(float32(v)))
		return q, o + 4
	}
	binary.LittleEndian.PutUint64(d.out[o:], math.Float64bits(v))
	return q, o + 8
}

// exactPowers are the powers of ten that a float64 holds exactly.
var exactPowers = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
	1e21, 1e22,
}

// float reads the number at p. A mantissa and a power of ten that are exact make one rounding, so the result is the
// nearest (Clinger, How to read floating point numbers accurately); strconv does the rest.
func (d *Decoder) float(p, size int) (float64, int) {
	src, q := d.src, p
	if jsonscan.Peek(src, q) == '-' {
		q++
	}
	from, point := q, 0
	var m uint64
	for ; uint(q) < uint(len(src)); q++ {
		c := src[q] - '0'
		if c > 9 {
			if src[q] != '.' || point > 0 {
				break
			}
			point = q
			continue
		}
		m = 10*m + uint64(c)
	}
	behind := 0
	if point > 0 {
		behind = q - point - 1
	}
	plain := q > from && q-from <= 16 && // digits and the point: at most 10^15, which is exact
		point != from && q != point+1 && (src[from] != '0' || q == from+1 || point == from+1) &&
		jsonscan.Peek(src, q)|0x20 != 'e'
	if !plain || size == 32 {
		return d.anyFloat(p, size)
	}
	v := float64(m) / exactPowers[behind]
	if src[p] == '-' {
		v = -v
	}
	return v, q
}

func (d *Decoder) anyFloat(p, size int) (float64, int) {
	if c := jsonscan.Peek(d.src, p); c != '-' && c-'0' > 9 || jsonscan.Peek(d.src, p+1) == 'I' ||
		jsonscan.Peek(d.src, p+1) == 'i' {
		if d.lenient && p > 0 && d.src[p-1] == '"' {
			return d.special(p)
		}
		return 0, d.wants(p, "a number")
	}
	src, q := d.src, d.skipNumber(p)
	if q < 0 {
		return 0, q
	}
	v, err := strconv.ParseFloat(unsafe.String(&src[p], q-p), size) // not kept: its errors hold a copy
	if err != nil {
		return 0, d.fail(p, "the number is beyond a float of "+strconv.Itoa(size)+" bits")
	}
	return v, q
}

// special reads what JSON has no number for, as BigQuery writes it in quotes.
func (d *Decoder) special(p int) (float64, int) {
	for _, s := range [...]struct {
		text  string
		value float64
	}{
		{"NaN", math.NaN()},
		{"Infinity", math.Inf(1)},
		{"-Infinity", math.Inf(-1)},
		{"inf", math.Inf(1)},
		{"-inf", math.Inf(-1)},
	} {
		if end := p + len(s.text); end < len(d.src) && string(d.src[p:end]) == s.text && d.src[end] == '"' {
			return s.value, end
		}
	}
	return 0, d.fail(p, "wants a number, has a string of something else")
}

// boolean decodes a BOOL.
func (d *Decoder) boolean(s *step, p, o int) (int, int) {
	read := p
	if d.quoted(p) {
		read++
	}
	v, q := int64(0), bad
	switch jsonscan.Peek(d.src, read) {
	case 't':
		v, q = 1, d.literal(read, "true")
	case 'f':
		q = d.literal(read, "false")
	default:
		d.wants(p, "true or false")
	}
	if read > p {
		q = d.unquoted(q)
	}
	if q < 0 {
		return q, o
	}
	return q, d.putNumber(s, v, o)
}
