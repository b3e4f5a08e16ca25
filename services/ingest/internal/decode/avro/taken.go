package avro

import (
	"fmt"
	"strconv"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
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
		column, null := &prog.columns[in.arg], false
		if prog.dates == nil {
			t.Micros, reason = column.Number(src[next : next+n])
		} else {
			t.Micros, null, reason = m.farText(prog.dates, column, src[next:next+n])
		}
		t.HasTime = reason == "" && !null
		return reason
	case opTakeFar:
		v, next := readVarint(src, p)
		if next < 0 {
			return ""
		}
		var null bool
		micros, ok, before := prog.columns[in.arg].OfNumber(unzigzag(v))
		t.Micros, null, reason = t.Far(prog.dates, micros, ok, before)
		t.HasTime = reason == "" && !null
		return reason
	}
	return ""
}

// farText settles the text of a date or time that may be far away.
func (m *machine) farText(d *decode.Dates, column *decode.Column, text []byte) (micros int64, null bool,
	reason string,
) {
	micros, ok, before, reason := column.OfText(text)
	if reason != "" {
		return 0, false, fmt.Sprintf("%.60q is no %s: %s", string(text), column.Type, reason)
	}
	return m.Far(d, micros, ok, before)
}

// far settles a date or time of a column, and writes it unless it is null.
func (m *machine) far(in *op, column *decode.Column, out []byte, o int, micros int64, null bool,
	reason string,
) (_ []byte, _ int, _ string) {
	switch {
	case reason != "":
		return out, o, reason
	case null && in.jump&isItem != 0:
		return out, o, decode.FarItemReason
	case null:
		return out, o, ""
	}
	o = putTag(out, o, in)
	return out, len(column.AppendMoment(out[:o], micros)), ""
}
