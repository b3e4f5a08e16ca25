package avro

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// fastInput is how much of the payload must be left for fast: the length and the words of a short text.
const fastInput = shortText + 8

// tailBytes is how long the end of a payload is that fast reads from a copy: a short payload as a whole.
const tailBytes = 128

// tail is the end of a payload as fast reads it: with bytes behind it that no value goes on in but one that the payload
// cuts short.
type tail struct {
	bytes [tailBytes + fastInput]byte
	at    int // where it starts in the payload; negative when there is none yet
}

// behind follows the payload: as a varint it does not end, as the index of a union, a boolean or a length it is none.
var behind = bytes.Repeat([]byte{0xff}, fastInput)

// fastTail is fast for the end of a payload.
func (m *machine) fastTail(ops []op, pc int, src []byte, p int, out []byte, o int) (_, _, _ int) {
	t := &m.tail
	if t.at < 0 {
		t.at = p
		copy(t.bytes[copy(t.bytes[:tailBytes], src[p:]):], behind)
	}
	pc, p, o = m.fast(ops, pc, t.bytes[:len(src)-t.at+fastInput], p-t.at, out, o)
	return pc, t.at + p, o
}

// fast runs instructions for as long as they are the common ones on usual values, and stops before the first that is
// not: run then does that one, errors included. Messages begin here alone, and it is here alone that booleans, floats
// and the indexes of small unions are read. It reads no value that goes on in the last fastInput bytes of src. It
// holds nothing but what fits in registers, calls nothing, and has few branches that depend on the data: a mispredicted
// one costs as much as two fields.
func (m *machine) fast(ops []op, pc int, src []byte, p int, out []byte, o int) (_, _, _ int) {
	for {
		left := len(src) - fastInput - p
		if left < 0 || len(out)-o < slack {
			return pc, p, o
		}
		in := &ops[pc]
		s := (*[fastInput]byte)(src[p:])
		t := (*[slack]byte)(out[o:])
		k := int(in.tagLen & 7)
		switch in.code {
		default:
			return pc, p, o

		case opString, opBytes:
			n := int(s[0] >> 1)
			if s[0]&1 != 0 || n > shortText || n >= left {
				return pc, p, o
			}
			a, b := binary.LittleEndian.Uint64(s[1:]), binary.LittleEndian.Uint64(s[9:])
			c, d := binary.LittleEndian.Uint64(s[17:]), binary.LittleEndian.Uint64(s[25:])
			binary.LittleEndian.PutUint32(t[:], in.tag)
			t[k] = byte(n)
			w := (*[shortText]byte)(t[k+1:])
			binary.LittleEndian.PutUint64(w[:], a)
			binary.LittleEndian.PutUint64(w[8:], b)
			binary.LittleEndian.PutUint64(w[16:], c)
			binary.LittleEndian.PutUint64(w[24:], d)
			mask := &decode.TextMasks[n]
			if a&mask[0]|b&mask[1]|c&mask[2]|d&mask[3] != 0 && in.code == opString {
				var state uint64
				for _, b := range s[1 : n+1] {
					state = utf8Steps[b] >> (state & 63)
				}
				if state&63 != utf8Start {
					return pc, p, o
				}
			}
			p += n + 1
			o += n + 1 + k

		case opOptional:
			if s[0]&1 != 0 || s[0] > 2 {
				return pc, p, o
			}
			p++
			if int32(s[0]>>1) == in.arg {
				pc = int(in.jump)
				continue
			}

		case opInt, opLong:
			if s[0] < 0x80 && s[0]&1 == 0 {
				binary.LittleEndian.PutUint32(t[:], in.tag)
				t[k] = s[0] >> 1
				p++
				o += 1 + k
				break
			}
			w := binary.LittleEndian.Uint64(s[:])
			stop := ^w & 0x8080808080808080
			n := bits.TrailingZeros64(stop) + 1 // bits of the varint
			u := packVarint(w & (stop ^ (stop - 1)))
			// Numbers of more than four bytes, and negative ones, are left to run.
			if n > 32 || u&1 != 0 {
				return pc, p, o
			}
			v, size := spreadVarint(u >> 1)
			binary.LittleEndian.PutUint32(t[:], in.tag)
			binary.LittleEndian.PutUint64(t[k:], v)
			p += n >> 3
			o += size + k

		case opDouble:
			if left < 8 {
				return pc, p, o
			}
			binary.LittleEndian.PutUint32(t[:], in.tag)
			binary.LittleEndian.PutUint64(t[k:], binary.LittleEndian.Uint64(s[:]))
			p += 8
			o += 8 + k

		case opFloat:
			if left < 4 {
				return pc, p, o
			}
			binary.LittleEndian.PutUint32(t[:], in.tag)
			binary.LittleEndian.PutUint32(t[k:], binary.LittleEndian.Uint32(s[:]))
			p += 4
			o += 4 + k

		case opBoolean:
			if s[0] > 1 {
				return pc, p, o
			}
			binary.LittleEndian.PutUint32(t[:], in.tag)
			t[k] = s[0]
			p++
			o += 1 + k

		case opOneBranch:
			if s[0] != 0 {
				return pc, p, o
			}
			p++

		case opMessage:
			binary.LittleEndian.PutUint32(t[:], in.tag)
			o += k + int(m.guess[pc])
			m.messages[m.nm].start = o
			m.nm++

		case opMessageEnd:
			start, guess := m.messages[m.nm-1].start, int(m.guess[in.arg])
			v, size := spreadVarint(uint64(o - start))
			if size != guess || size > 2 {
				return pc, p, o
			}
			head := out[start-guess:]
			head[0] = byte(v)
			if size == 2 {
				head[1] = byte(v >> 8)
			}
			m.nm--

		case opArray:
			if s[0] != 0 {
				return pc, p, o
			}
			p++
			pc = int(in.jump)
			continue
		}
		pc++
	}
}

// packVarint joins the groups of seven bits of a varint of up to four bytes.
func packVarint(w uint64) uint64 {
	w &= 0x7f7f7f7f
	w = w&0x007f007f | w&0x7f007f00>>1
	return w&0x3fff | w&0x3fff0000>>2
}

// spreadVarint lays a number of up to 28 bits out as a minimal varint and says how many bytes it takes.
func spreadVarint(v uint64) (w uint64, size int) {
	size = decode.VarintLen(v)
	w = v&0x3fff | v&0xfffc000<<2
	w = w&0x007f007f | w&0x3f803f80<<1
	return w | 0x80808080&(1<<(8*uint(size-1)&63)-1), size
}
