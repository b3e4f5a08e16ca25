package decode

import (
	"unicode/utf8"

	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
)

// InvalidUTF8 is the reason of an Error about text that is none.
const InvalidUTF8 = jsonscan.InvalidUTF8

// firstInvalid is where text stops being UTF-8; its length when all is.
func firstInvalid(text []byte) int {
	at := 0
	for at < len(text) {
		r, n := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && n < 2 {
			break
		}
		at += n
	}
	return at
}

// CheckUTF8 checks that text is UTF-8; at is the first byte that is not.
func CheckUTF8(text []byte) (at int, reason string) {
	if utf8.Valid(text) {
		return 0, ""
	}
	return firstInvalid(text), InvalidUTF8
}
