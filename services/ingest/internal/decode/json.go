package decode

import (
	"math"
	"strconv"

	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
)

// MaxJSONNesting is how deep BigQuery lets arrays and objects nest in a JSON column.
const MaxJSONNesting = jsonscan.MaxNesting

// CheckJSON checks that text is one JSON value (RFC 8259) in UTF-8, nested no deeper than BigQuery takes it. reason is
// empty when it is; else it says what is wrong at the byte at. Nothing is allocated for a text that is JSON.
func CheckJSON(text []byte) (at int, reason string) {
	at, reason = jsonscan.Value(text, jsonscan.Space(text, 0), MaxJSONNesting)
	switch {
	case reason == InvalidUTF8:
		return at + firstInvalid(text[at:]), reason
	case reason != "":
		return at, reason
	}
	if at = jsonscan.Space(text, at); at < len(text) {
		return at, "bytes are left over behind the JSON value"
	}
	return 0, ""
}

// AppendNumber appends a finite float of so many bits as JavaScript prints it: digits alone where that is short.
func AppendNumber(dst []byte, v float64, bits int) []byte {
	if abs := math.Abs(v); abs == 0 || abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, v, 'f', -1, bits)
	}
	return strconv.AppendFloat(dst, v, 'e', -1, bits)
}

// AppendQuoted appends UTF-8 text as a JSON string.
func AppendQuoted[T string | []byte](dst []byte, text T) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := range len(text) {
		b := text[i]
		if b >= 0x20 && b != '"' && b != '\\' {
			continue
		}
		dst = append(dst, text[from:i]...)
		from = i + 1
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		}
	}
	return append(append(dst, text[from:]...), '"')
}
