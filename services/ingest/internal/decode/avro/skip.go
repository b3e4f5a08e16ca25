package avro

import (
	"fmt"
	"math"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// skipped is a value that is read past, type by type: what it costs follows the schema's length, and not how often its
// types name each other. A type may contain itself. What is written is read past as well, and put into JSON on the way.
type skipped struct {
	typ   *typ
	kind  kind // of the type; null for what takes no bytes and is not written
	write bool
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
	if s := c.skippedOf(w, false); s.kind != kindNull {
		c.program.skipped = append(c.program.skipped, s)
		c.emit(op{code: opSkip, arg: int32(len(c.program.skipped) - 1)}, path)
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
	s := &skipped{typ: w, kind: w.kind, write: write}
	c.passed[at] = s
	if !write && c.leastBytes(w) == 0 {
		s.kind = kindNull // no value of it takes any, or there is none
		return s
	}
	switch w.kind {
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
	if s.write {
		if reason = m.json.Check(); reason != "" {
			return p, reason
		}
		if s.kind < kindRecord {
			return m.write(s.typ, src, p)
		}
	}
	switch s.kind {
	case kindNull:
		return p, ""
	case kindRecord:
		if reason = m.open(s); reason != "" {
			return p, reason
		}
		for i, part := range s.parts {
			if s.write {
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
		v, after := decode.Varint(src, p)
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
	return passScalar(s.typ, src, p)
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
				if s.write {
					p, reason = m.write(textType, src, p)
					m.json.Key()
				} else {
					p, reason = passScalar(textType, src, p)
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
func passScalar(t *typ, src []byte, p int) (next int, reason string) {
	var size int
	switch t.kind {
	case kindString, kindBytes:
		_, next, reason = sized(src, p)
		return next, reason
	case kindFloat:
		size = 4
	case kindDouble:
		size = 8
	case kindFixed:
		size = t.size
	case kindBoolean:
		if size = 1; p < len(src) && src[p] > 1 {
			return p, booleanReason
		}
	default:
		v, next := decode.Varint(src, p)
		switch {
		case t.kind == kindEnum && (next < 0 || v&1 != 0 || v>>1 >= uint64(len(t.symbols))):
			return p, symbolReason
		case next < 0:
			return p, varintReason(next)
		case t.kind == kindInt && v > math.MaxUint32:
			return p, intReason
		}
		return next, ""
	}
	if len(src)-p < size {
		return p, endReason
	}
	return p + size, ""
}
