package avro

import (
	"fmt"
	"math"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// skipped is a value that is read past. Values without parts are instructions of their own; the others are walked, type
// by type: what they cost follows the schema's length, and not how often its types name each other. A type may contain
// itself. What is written is read past as well, and put into JSON on the way.
type skipped struct {
	kind  kind
	write *typ   // nil for what is not written
	code  opcode // of a value without parts
	arg   int    // of the instruction
	names []string
	parts []*skipped // fields, branches, the items
}

// maxSkipDepth bounds how deep a type that contains itself may do so.
const maxSkipDepth = 500

// skip compiles a value that is read past.
func (c *compiler) skip(w *typ, path *decode.Path) error {
	if err := c.step(path); err != nil {
		return err
	}
	s := c.skippedOf(w, false)
	switch {
	case s.kind == kindNull:
	case s.code != opSkipParts:
		c.emit(op{code: s.code, arg: int32(s.arg)}, path)
	default:
		c.program.skipped = append(c.program.skipped, s)
		c.emit(op{code: opSkipParts, arg: int32(len(c.program.skipped) - 1)}, path)
	}
	return nil
}

// passing is a type, and whether its values are written.
type passing struct {
	w     *typ
	write bool
}

// skippedOf is how values of a type are read past.
func (c *compiler) skippedOf(w *typ, write bool) *skipped {
	at := passing{w, write}
	if s := c.passed[at]; s != nil {
		return s
	}
	s := &skipped{kind: w.kind, code: opSkipParts}
	c.passed[at] = s
	if write {
		s.write = w
	} else if c.leastBytes(w) == 0 {
		s.kind = kindNull // no value of it takes any, or there is none
		return s
	}
	switch w.kind {
	case kindBoolean:
		s.code = opSkipBoolean
	case kindInt:
		s.code = opSkipInt
	case kindLong:
		s.code = opSkipLong
	case kindFloat:
		s.code, s.arg = opSkipFixed, 4
	case kindDouble:
		s.code, s.arg = opSkipFixed, 8
	case kindFixed:
		s.code, s.arg = opSkipFixed, w.size
	case kindString, kindBytes:
		s.code = opSkipBytes
	case kindEnum:
		s.code, s.arg = opSkipEnum, len(w.symbols)
	case kindRecord:
		for i := range w.fields {
			// What takes no bytes is left out: walking it would take time that no byte of the payload pays for.
			if part := c.skippedOf(w.fields[i].typ, write); write || part.kind != kindNull {
				s.names, s.parts = append(s.names, w.fields[i].name), append(s.parts, part)
			}
		}
	case kindArray, kindMap:
		s.parts = []*skipped{c.skippedOf(w.items, write)}
	case kindUnion:
		for _, b := range w.branches {
			s.parts = append(s.parts, c.skippedOf(b, write))
		}
	}
	return s
}

// bytes is about what s takes in memory, with all that is not met yet.
func (s *skipped) bytes(met map[*skipped]bool) int {
	if met[s] {
		return 0
	}
	met[s] = true
	size := 160
	for i, part := range s.parts {
		size += 8 + part.bytes(met)
		if i < len(s.names) {
			size += 16 + len(s.names[i])
		}
	}
	return size
}

// pass reads past a value. Where it is not what its type says, m.within is the way to what is wrong.
func (m *machine) pass(s *skipped, src []byte, p, depth int) (next int, reason string) {
	if depth > maxSkipDepth {
		return p, fmt.Sprintf("it is nested deeper than %d levels", maxSkipDepth)
	}
	if s.write != nil {
		if reason = m.json.Check(); reason != "" {
			return p, reason
		}
		if s.code != opSkipParts || s.kind == kindNull {
			return m.write(s, src, p)
		}
	}
	switch s.kind {
	case kindNull:
		return p, ""
	case kindBoolean:
		if p >= len(src) {
			return p, endReason
		}
		if src[p] > 1 {
			return p, booleanReason
		}
		return p + 1, ""
	case kindRecord:
		if reason = m.open(s); reason != "" {
			return p, reason
		}
		for i, part := range s.parts {
			if s.write != nil {
				m.json.Name(s.names[i])
				m.json.Key()
			}
			if p, reason = m.pass(part, src, p, depth+1); reason != "" {
				m.within = "." + s.names[i] + m.within
				return p, reason
			}
		}
		m.close(s)
		return p, ""
	case kindUnion:
		v, after := readVarint(src, p)
		switch {
		case after < 0:
			return p, varintReason(after)
		case v&1 != 0 || v>>1 >= uint64(len(s.parts)):
			return p, branchReason
		}
		return m.pass(s.parts[v>>1], src, after, depth+1)
	case kindArray, kindMap:
		return m.passItems(s, src, p, depth)
	}
	return passScalar(s.code, s.arg, src, p)
}

// passItems reads past the items of an array or the entries of a map.
func (m *machine) passItems(s *skipped, src []byte, p, depth int) (next int, reason string) {
	var frame arrayFrame
	if reason = m.open(s); reason != "" {
		return p, reason
	}
	for index := 0; ; {
		at := p
		if p = frame.block(src, p); p < 0 {
			return at, blockReason(p)
		}
		if frame.remaining == 0 {
			m.close(s)
			return p, ""
		}
		for ; frame.remaining > 0; frame.remaining-- {
			name := ""
			if s.kind == kindMap {
				name = ".key"
				if s.write != nil {
					p, reason = m.write(keys, src, p)
					m.json.Key()
				} else {
					p, reason = passScalar(opSkipBytes, 0, src, p)
				}
			}
			if reason == "" {
				if s.kind == kindMap {
					name = ".value"
				}
				p, reason = m.pass(s.parts[0], src, p, depth+1)
			}
			if reason != "" {
				m.within = fmt.Sprintf("[%d]%s%s", index, name, m.within)
				return p, reason
			}
			index++
		}
		if frame.end >= 0 && frame.end != p {
			return at, blockEndReason
		}
	}
}

// passScalar reads past a value without parts.
func passScalar(code opcode, arg int, src []byte, p int) (next int, reason string) {
	switch code {
	case opSkipBytes:
		n, next := length(src, p)
		if next < 0 {
			return p, lengthReason(n, next)
		}
		return next + n, ""
	case opSkipFixed:
		if len(src)-p < arg {
			return p, endReason
		}
		return p + arg, ""
	}
	v, next := readVarint(src, p)
	switch {
	case code == opSkipEnum && (next < 0 || v&1 != 0 || v>>1 >= uint64(arg)):
		return p, symbolReason
	case next < 0:
		return p, varintReason(next)
	case code == opSkipInt && v > math.MaxUint32:
		return p, intReason
	}
	return next, ""
}
