package decode

import "github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"

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
