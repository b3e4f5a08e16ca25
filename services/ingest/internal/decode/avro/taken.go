package avro

import (
	"fmt"
	"strconv"
)

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
		c := prog.cells[in.arg]
		if c.Dates == nil {
			t.Micros, reason = c.Number(src[next : next+n])
			t.HasTime = reason == ""
			return reason
		}
		micros, ok, before, reason := c.OfText(src[next : next+n])
		if reason != "" {
			return fmt.Sprintf("%.60q is no %s: %s", string(src[next:next+n]), c.Type, reason)
		}
		return t.TakeTime(c.Dates, micros, ok, before)
	case opTakeFar:
		v, next := readVarint(src, p)
		if next < 0 {
			return ""
		}
		c := prog.cells[in.arg]
		micros, ok, before := c.OfNumber(unzigzag(v))
		return t.TakeTime(c.Dates, micros, ok, before)
	}
	return ""
}
