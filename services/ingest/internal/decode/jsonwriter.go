package decode

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
)

// JSONWriter writes the values of a payload as one JSON text, whatever format they are read from: what docs/types.md
// says of JSON columns. Commas are its own matter. The zero value is ready; it is used again after Reset, and allocates
// nothing then.
//
// A reason says why a value has no place in JSON, and what has been written so far is of no use.
type JSONWriter struct {
	// Text is what has been written. Callers append to it between Quote and Unquote alone.
	Text  []byte
	depth int // of objects and arrays that are open
}

// JSONNestingReason is the reason of an Error about a value that nests deeper than MaxJSONNesting.
var JSONNestingReason = fmt.Sprintf("it is nested deeper than %d levels", MaxJSONNesting)

// Reset starts a new text.
func (w *JSONWriter) Reset() { w.Text, w.depth = w.Text[:0], 0 }

// Trim releases memory that only a huge text needed.
func (w *JSONWriter) Trim() { w.Text = Trim(w.Text) }

// next separates what comes from what was before: each value ends with another byte than these.
func (w *JSONWriter) next() {
	if n := len(w.Text); n > 0 {
		switch w.Text[n-1] {
		case '{', '[', ':':
		default:
			w.Text = append(w.Text, ',')
		}
	}
}

// Open begins an object or an array by its bracket. The reason is about BigQuery's levels, or MaxRow.
func (w *JSONWriter) Open(bracket byte) (reason string) {
	if w.depth++; w.depth > MaxJSONNesting {
		return JSONNestingReason
	}
	w.next()
	w.Text = append(w.Text, bracket)
	return w.Check()
}

// Check bounds the text: a reason says that it is longer than MaxRow. It is asked for each item of what may have any
// number of them.
func (w *JSONWriter) Check() (reason string) {
	if len(w.Text) > MaxRow {
		return RowReason
	}
	return ""
}

// Close ends what Open began.
func (w *JSONWriter) Close(bracket byte) {
	w.depth--
	w.Text = append(w.Text, bracket)
}

// Empty writes an object or an array without anything in it. The reason is that of Open.
func (w *JSONWriter) Empty(open, shut byte) (reason string) {
	reason = w.Open(open)
	w.Close(shut)
	return reason
}

// Key makes the text before it the key of what comes.
func (w *JSONWriter) Key() { w.Text = append(w.Text, ':') }

// Null writes null.
func (w *JSONWriter) Null() {
	w.next()
	w.Text = append(w.Text, "null"...)
}

// Bool writes a truth value.
func (w *JSONWriter) Bool(v bool) {
	w.next()
	w.Text = strconv.AppendBool(w.Text, v)
}

// Int writes a whole number.
func (w *JSONWriter) Int(v int64) {
	w.next()
	w.Text = strconv.AppendInt(w.Text, v, 10)
}

// Uint writes a whole number.
func (w *JSONWriter) Uint(v uint64) {
	w.next()
	w.Text = strconv.AppendUint(w.Text, v, 10)
}

// Float writes a number of so many bits. NaN and the infinities are none.
func (w *JSONWriter) Float(v float64, bits int) (reason string) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "the number is NaN or infinite, which JSON does not have"
	}
	w.next()
	w.Text = AppendNumber(w.Text, v, bits)
	return ""
}

// Name writes a text of the schema.
func (w *JSONWriter) Name(text string) {
	w.next()
	w.Text = AppendQuoted(w.Text, text)
}

// Bytes writes bytes, as base64.
func (w *JSONWriter) Bytes(v []byte) {
	w.Quote()
	w.Text = base64.StdEncoding.AppendEncode(w.Text, v)
	w.Unquote()
}

// Moment writes a moment in microseconds since the epoch as RFC 3339 has it. zone is Z, or empty for a DATETIME.
func (w *JSONWriter) Moment(micros int64, zone string) {
	w.Quote()
	at := len(w.Text) + len("2006-01-02")
	w.Text = append(AppendDateTime(w.Text, micros), zone...)
	w.Text[at] = 'T'
	w.Unquote()
}

// Quote begins a text that the caller appends, of characters that JSON has as they are.
func (w *JSONWriter) Quote() {
	w.next()
	w.Text = append(w.Text, '"')
}

// Unquote ends what Quote began.
func (w *JSONWriter) Unquote() { w.Text = append(w.Text, '"') }
