package avro

import "strconv"

// take copies the value at src[p:], which the next instruction reads and checks; a value that is cut short is left to
// that one. run takes whole numbers for the time itself.
func (m *machine) take(prog *program, in *op, src []byte, p int) (reason string) {
	t := &m.Taken
	switch in.code {
	case opTakeIDString:
		n, next := length(src, p)
		if next < 0 {
			return ""
		}
		t.ID, t.HasID = src[next:next+n], true
	case opTakeIDEnum:
		text, _, reason := readSymbol(&prog.enums[in.arg], src, p)
		if reason != "" {
			return ""
		}
		t.Text = append(t.Text[:0], text...)
		t.ID, t.HasID = t.Text, true
	case opTakeIDUUID:
		if len(src)-p < 16 {
			return ""
		}
		t.Text = appendUUID(t.Text[:0], src[p:p+16])
		t.ID, t.HasID = t.Text, true
	case opTakeIDNumber:
		v, next := readVarint(src, p)
		if next < 0 {
			return ""
		}
		t.Text = strconv.AppendInt(t.Text[:0], unzigzag(v), 10)
		t.ID, t.HasID = t.Text, true
	case opTakeTimeText:
		n, next := length(src, p)
		if next < 0 {
			return ""
		}
		t.Micros, reason = prog.columns[in.arg].Number(src[next : next+n])
		t.HasTime = reason == ""
		return reason
	}
	return ""
}
