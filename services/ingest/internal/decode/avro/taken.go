package avro

import "strconv"

// taken is what the envelope needs of a payload: the event's identity and time. It is valid until the next payload.
type taken struct {
	// id aliases the payload, or scratch.
	id      []byte
	idText  []byte
	hasID   bool
	micros  int64
	hasTime bool

	scratch []byte
}

func (t *taken) reset() { t.id, t.hasID, t.hasTime = nil, false, false }

// take copies the value at src[p:], which the next instruction reads and checks; a value that is cut short is left to that one. run takes whole numbers for the
// time itself.
func (m *machine) take(prog *program, in *op, src []byte, p int) (reason string) {
	t := &m.taken
	switch in.code {
	case opTakeIDString:
		n, next := length(src, p)
		if next < 0 {
			return ""
		}
		t.id, t.hasID = src[next:next+n], true
	case opTakeIDEnum:
		text, _, reason := readSymbol(&prog.enums[in.arg], src, p)
		if reason != "" {
			return ""
		}
		t.idText = append(t.idText[:0], text...)
		t.id, t.hasID = t.idText, true
	case opTakeIDUUID:
		if len(src)-p < 16 {
			return ""
		}
		t.idText = appendUUID(t.idText[:0], src[p:p+16])
		t.id, t.hasID = t.idText, true
	case opTakeIDNumber:
		v, next := readVarint(src, p)
		if next < 0 {
			return ""
		}
		t.idText = strconv.AppendInt(t.idText[:0], unzigzag(v), 10)
		t.id, t.hasID = t.idText, true
	case opTakeTimeText:
		n, next := length(src, p)
		if next < 0 {
			return ""
		}
		t.micros, reason = prog.columns[in.arg].Number(src[next : next+n])
		t.hasTime = reason == ""
		return reason
	}
	return ""
}
