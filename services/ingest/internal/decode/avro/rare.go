package avro

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Failures beyond those of decode.Varint.
const (
	tooMany  = -3
	negative = -4
)

const (
	endReason      = "the payload ends here"
	booleanReason  = "a boolean is neither 0 nor 1"
	branchReason   = "the union has no such branch"
	blockEndReason = "the block's items do not fill its size in bytes"
	emptyReason    = "its items take no bytes, so a few bytes could stand for any number of them"
	intReason      = "the number does not fit an int of 32 bits"
)

func varintReason(next int) string {
	if next == decode.VarintTooLong {
		return "the number does not fit 64 bits"
	}
	return endReason
}

func blockReason(next int) string {
	if next == tooMany {
		return "the block says it holds more than the rest of the payload"
	}
	return varintReason(next)
}

func lengthReason(next int) string {
	switch next {
	case tooMany:
		return "the length reaches past the end of the payload"
	case negative:
		return "the length is negative"
	}
	return varintReason(next)
}

// shortReason says why a value is none that fast knows whole: it stops at these only where they are wrong. left is how
// much there is of the payload.
func shortReason(code opcode, left int) string {
	switch {
	case left == 0 || code == opFloat || code == opDouble:
		return endReason
	case code == opBoolean:
		return booleanReason
	case code == opOneBranch:
		return "the index of a union of one branch is not 0"
	}
	return "the union's index is neither 0 nor 1"
}

// sized reads a length and that many bytes.
func sized(src []byte, p int) (value []byte, next int, reason string) {
	n, start := length(src, p)
	if start < 0 {
		return nil, p, lengthReason(start)
	}
	return src[start : start+n], start + n, ""
}

// failOut is fail about the innermost array itself, not an item of it.
func (m *machine) failOut(prog *program, pc, at int, reason string) *decode.Error {
	m.na--
	return m.fail(prog, pc, at, reason)
}

// fail makes the error of the instruction before pc.
func (m *machine) fail(prog *program, pc, at int, reason string) *decode.Error {
	var indexes []int
	for i := range m.arrays[:m.na] {
		indexes = append(indexes, m.arrays[i].index)
	}
	field := decode.FillPath(prog.paths[pc-1].String(), indexes) + m.within
	m.within = ""
	return &decode.Error{Contract: m.contract, Field: field, Offset: at, Reason: reason}
}

// rare runs the instructions that are not worth a place in the loop. Its reason is empty on success.
func (m *machine) rare(prog *program, in *op, out []byte, o int, src []byte, p int) (_ []byte, _, _ int,
	reason string,
) {
	switch in.code {
	case opFail:
		return out, o, p, prog.reasons[in.arg]

	case opSkip:
		next, reason := m.pass(prog.skipped[in.arg], src, p, 0)
		return out, o, next, reason
	case opEnum:
		s, next, reason := readSymbol(&prog.enums[in.arg], src, p)
		if reason != "" {
			return out, o, p, reason
		}
		out, o = putText(out, o, in, len(s))
		return out, o + copy(out[o:], s), next, ""
	case opFixed:
		n := int(in.arg)
		if len(src)-p < n {
			return out, o, p, endReason
		}
		out, o = putText(out, o, in, n)
		return out, o + copy(out[o:], src[p:p+n]), p + n, ""
	case opUUID:
		if len(src)-p < 16 {
			return out, o, p, endReason
		}
		out, o = putText(out, o, in, 36)
		appendUUID(out[o:o], src[p:p+16])
		return out, o + 36, p + 16, ""
	case opText, opNumber, opRange, opBigDecimal, opVariable, opGeometry, opDuration, opDecimal, opJSON:
		return m.convert(prog, in, out, o, src, p)

	case opIntToFloat, opIntToDouble:
		v, next := decode.Varint(src, p)
		if next < 0 {
			return out, o, p, varintReason(next)
		}
		o = putTag(out, o, in)
		if in.code == opIntToFloat {
			binary.LittleEndian.PutUint32(out[o:], math.Float32bits(float32(protowire.DecodeZigZag(v))))
			return out, o + 4, next, ""
		}
		binary.LittleEndian.PutUint64(out[o:], math.Float64bits(float64(protowire.DecodeZigZag(v))))
		return out, o + 8, next, ""
	case opFloatToDouble:
		if len(src)-p < 4 {
			return out, o, p, endReason
		}
		o = putTag(out, o, in)
		v := math.Float32frombits(binary.LittleEndian.Uint32(src[p:]))
		binary.LittleEndian.PutUint64(out[o:], math.Float64bits(float64(v)))
		return out, o + 8, p + 4, ""
	}
	return out, o, p, "no such instruction"
}

// putTag writes the tag of an instruction; there is slack for it.
func putTag(out []byte, o int, in *op) int {
	binary.LittleEndian.PutUint32(out[o:], in.tag)
	return o + int(in.tagLen)
}

// putText writes the tag and length of a text of n bytes and makes room for it.
func putText(out []byte, o int, in *op, n int) ([]byte, int) {
	if len(out)-o < n+slack {
		out = room(out, o, n)
	}
	return out, decode.PutVarint(out, putTag(out, o, in), uint64(n))
}

const symbolReason = "the enum has no such symbol"

// readSymbol reads an enum.
func readSymbol(table *symbols, src []byte, p int) (text string, next int, reason string) {
	v, next := decode.Varint(src, p)
	switch {
	case next < 0:
		return "", p, varintReason(next)
	case v&1 != 0 || v>>1 >= uint64(len(table.names)):
		return "", p, symbolReason
	}
	at := v >> 1
	switch text = table.names[at]; {
	case table.known[at>>6]>>(at&63)&1 != 0:
	case table.fallback == "":
		return "", p, "the contract's enum does not have the symbol " + text
	default:
		text = table.fallback
	}
	return text, next, ""
}
