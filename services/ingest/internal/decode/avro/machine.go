package avro

import (
	"encoding/binary"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// slack is the room that every instruction finds in the output: a tag, a varint or fixed value, and the tail of a
// word-wise copy.
const slack = 64

// machine runs programs. It holds what lives for one payload, so that nothing is allocated for the next. Not safe for
// concurrent use.
type machine struct {
	contract string
	// messages and arrays are stacks, as high as the program nests; nm and na are what is in use.
	messages []messageFrame
	arrays   []arrayFrame
	nm, na   int
	// guess is how many bytes the length of each opMessage took last: a right guess saves moving the message.
	guess []uint8
	last  *program

	tail tail
	decode.Taken
	// scratch is where texts are made.
	scratch []byte
	json    decode.JSONWriter
	// within is the way from a value that is read past to what is wrong in it.
	within string
}

// messageFrame is a nested message being written: its body starts at start.
type messageFrame struct{ start int }

// arrayFrame is an array or map being read.
type arrayFrame struct {
	remaining uint64 // items left in the block, this one included
	index     int    // index of the current item
	end       int    // where the block must end; -1 if the payload does not say
}

func newMachine(contract string) *machine { return &machine{contract: contract} }

// prepare makes room for a program.
func (m *machine) prepare(p *program) {
	m.last = p
	m.messages = slices.Grow(m.messages[:0], p.messages)[:p.messages]
	m.arrays = slices.Grow(m.arrays[:0], p.arrays)[:p.arrays]
	m.guess = slices.Grow(m.guess[:0], len(p.ops))[:len(p.ops)]
	for i := range m.guess {
		m.guess[i] = 1
	}
}

// room returns out with at least n+slack bytes behind o.
func room(out []byte, o, n int) []byte {
	out = slices.Grow(out[:o], n+slack)
	return out[:cap(out)]
}

// run reads one datum, all of src, and appends the payload message's body to dst. On error it returns nil.
//
// out has its capacity as length and o is its end; p is the reading position, at is where the current instruction
// began. What is usual is done by fast; this loop knows every other instruction and every error.
func (m *machine) run(prog *program, dst, src []byte) ([]byte, *decode.Error) {
	if m.last != prog {
		m.prepare(prog)
	}
	m.Forget()
	var (
		ops    = prog.ops
		out, o = dst[:cap(dst)], len(dst)
		p, pc  int
	)
	m.nm, m.na, m.tail.at = 0, 0, -1
	for {
		if len(src)-p > tailBytes {
			pc, p, o = m.fast(ops, pc, src, p, out, o)
		}
		if len(src)-p <= tailBytes {
			pc, p, o = m.fastTail(ops, pc, src, p, out, o)
		}
		if len(out)-o < slack {
			out = room(out, o, len(src)-p)
			continue // fast may have stopped for want of it
		}
		in := &ops[pc]
		pc++
		at := p
		switch in.code {
		case opString, opBytes:
			n, next := length(src, p)
			if next < 0 {
				return nil, m.fail(prog, pc, at, lengthReason(next))
			}
			if len(out)-o < n+slack {
				out = room(out, o, n)
			}
			binary.LittleEndian.PutUint32(out[o:], in.tag)
			o = decode.PutVarint(out, o+int(in.tagLen), uint64(n))
			copy(out[o:], src[next:next+n])
			if in.code == opString && !decode.ValidText(src, next, n) {
				return nil, m.fail(prog, pc, at, "text is not valid UTF-8")
			}
			o += n
			p = next + n

		case opInt, opLong:
			var v uint64
			if uint(p) < uint(len(src)) && src[p] < 0x80 {
				v = uint64(src[p])
				p++
			} else if v, p = decode.Varint(src, p); p < 0 {
				return nil, m.fail(prog, pc, at, varintReason(p))
			}
			if in.code == opInt && v > math.MaxUint32 {
				return nil, m.fail(prog, pc, at, intReason)
			}
			binary.LittleEndian.PutUint32(out[o:], in.tag)
			o = decode.PutVarint(out, o+int(in.tagLen), uint64(protowire.DecodeZigZag(v)))

		case opOptional, opOneBranch, opBoolean, opFloat, opDouble:
			return nil, m.fail(prog, pc, at, shortReason(in.code, len(src)-p))

		case opMessageEnd:
			m.nm--
			start, guessed := m.messages[m.nm].start, int(m.guess[in.arg])
			n := o - start
			if need := decode.VarintLen(uint64(n)); need != guessed {
				copy(out[start-guessed+need:], out[start:o])
				start += need - guessed
				o += need - guessed
				m.guess[in.arg] = uint8(need)
				guessed = need
			}
			decode.PutVarint(out, start-guessed, uint64(n))

		case opArray:
			frame := &m.arrays[m.na]
			frame.index = 0
			if p = frame.block(src, p); p < 0 {
				return nil, m.fail(prog, pc, at, blockReason(p))
			}
			if frame.remaining == 0 {
				pc = int(in.jump)
			} else {
				m.na++
			}

		case opNext:
			frame := &m.arrays[m.na-1]
			if o-len(dst) > decode.MaxRow {
				return nil, m.fail(prog, pc, at, decode.RowReason)
			}
			frame.index++
			if frame.remaining--; frame.remaining > 0 {
				pc = int(in.jump)
				break
			}
			if frame.end >= 0 && frame.end != p {
				return nil, m.failOut(prog, pc, at, blockEndReason)
			}
			if p = frame.block(src, p); p < 0 {
				return nil, m.failOut(prog, pc, at, blockReason(p))
			}
			if frame.remaining == 0 {
				m.na--
			} else {
				pc = int(in.jump)
			}

		case opUnion:
			var v uint64
			if v, p = decode.Varint(src, p); p < 0 {
				return nil, m.fail(prog, pc, at, varintReason(p))
			}
			table := prog.unions[in.arg]
			if v&1 != 0 || v>>1 >= uint64(len(table)) {
				return nil, m.fail(prog, pc, at, branchReason)
			}
			pc = int(table[v>>1])

		case opJump:
			pc = int(in.jump)

		case opConst:
			c := prog.consts[in.arg]
			if len(out)-o < len(c)+slack {
				out = room(out, o, len(c))
			}
			o += copy(out[o:], c)

		case opEnd:
			if p != len(src) {
				return nil, m.fail(prog, pc, at, "bytes are left over behind the payload")
			}
			return out[:o], nil

		case opTakeTime:
			v, next := decode.Varint(src, p)
			if next < 0 {
				break // the next instruction says why
			}
			c := prog.cells[in.arg]
			micros, ok := decode.ToMicros(protowire.DecodeZigZag(v), c.Unit)
			if reason := m.TakeTime(c.Dates, micros, ok, v&1 != 0, in.jump != 0); reason != "" {
				return nil, m.fail(prog, pc, at, reason)
			}
			if then := &ops[pc]; then.code == opLong {
				pc++
				binary.LittleEndian.PutUint32(out[o:], then.tag)
				o, p = decode.PutVarint(out, o+int(then.tagLen), uint64(protowire.DecodeZigZag(v))), next
			}

		case opTakeID:
			m.takeID(prog, in, src, p)

		default:
			var reason string
			if out, o, p, reason = m.rare(prog, in, out, o, src, p); reason != "" {
				if in.code == opSkip || in.code == opJSON {
					at = p
				}
				return nil, m.fail(prog, pc, at, reason)
			}
		}
	}
}

// block reads the head of the next block of an array or map; its result is negative as decode.Varint's, or tooMany.
func (f *arrayFrame) block(src []byte, p int) int {
	v, p := decode.Varint(src, p)
	if p < 0 {
		return p
	}
	count := protowire.DecodeZigZag(v)
	f.end = -1
	if count < 0 {
		// A negative count is followed by the size of the block in bytes.
		if v, p = decode.Varint(src, p); p < 0 {
			return p
		}
		size := protowire.DecodeZigZag(v)
		if count = -count; size < 0 || size > int64(len(src)-p) || count < 0 {
			return tooMany
		}
		f.end = p + int(size)
	}
	// Every item takes at least one byte.
	if count > int64(len(src)-p) {
		return tooMany
	}
	f.remaining = uint64(count)
	return p
}

// length reads the length of a text and checks it against what is left. Where next is negative, n is the length asked
// for.
func length(src []byte, p int) (n, next int) {
	var v uint64
	if uint(p) < uint(len(src)) && src[p] < 0x80 {
		v = uint64(src[p])
		p++
	} else if v, p = decode.Varint(src, p); p < 0 {
		return 0, p
	}
	if v&1 != 0 {
		return 0, negative
	}
	if v>>1 > uint64(len(src)-p) {
		return 0, tooMany
	}
	return int(v >> 1), p
}
