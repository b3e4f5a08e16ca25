package draft

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"unicode/utf8"
)

// What payloads are.
const (
	isObject    = "json"
	isJSON      = "json, no object"
	isContainer = "avro container file"
	isText      = "text"
	isBytes     = "bytes"
	isEmpty     = "empty"
)

// payloadKind says what a payload without a schema id is.
func payloadKind(value []byte) string {
	trimmed := bytes.TrimLeft(value, " \t\r\n")
	switch {
	case len(value) == 0:
		return isEmpty
	case len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(value):
		return isObject
	case json.Valid(value):
		return isJSON
	case bytes.HasPrefix(value, []byte("Obj\x01")):
		return isContainer
	case utf8.Valid(value) && !bytes.ContainsFunc(value, isControl):
		return isText
	}
	return isBytes
}

// isControl says that a character is not of a text.
func isControl(r rune) bool { return r < ' ' && r != '\n' && r != '\t' && r != '\r' }

func zigzag(src []byte) (int64, int) {
	n, size := binary.Varint(src)
	return n, max(size, 0)
}
