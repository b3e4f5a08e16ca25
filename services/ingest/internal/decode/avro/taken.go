package avro

import (
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// takeID copies the value at src[p:], which the next instruction reads and checks; a value that is cut short is left to
// that one.
func (m *machine) takeID(prog *program, in *op, src []byte, p int) {
	t := &m.Taken
	text := t.Text[:0]
	switch kind(in.jump) {
	case kindString, kindBytes:
		value, _, reason := sized(src, p)
		t.ID, t.HasID = value, reason == ""
		return
	case kindEnum:
		symbol, _, reason := readSymbol(&prog.enums[in.arg], src, p)
		if reason != "" {
			return
		}
		text = append(text, symbol...)
	case kindFixed:
		if len(src)-p < 16 {
			return
		}
		text = appendUUID(text, src[p:p+16])
	default:
		v, next := decode.Varint(src, p)
		if next < 0 {
			return
		}
		text = strconv.AppendInt(text, protowire.DecodeZigZag(v), 10)
	}
	t.Text, t.ID, t.HasID = text, text, true
}
