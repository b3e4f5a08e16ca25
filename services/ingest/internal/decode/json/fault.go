package json

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// bad is the position that a function returns when it has failed; the fault says why.
const bad = -1

// fault is why a payload is refused. The path is put together while the functions return, the innermost part first, so
// that a payload without fault pays nothing for it.
type fault struct {
	at     int
	reason string
	path   []part
}

// part is a field or, without a name, an index.
type part struct {
	name  string
	index int
}

// fail notes why, and returns bad.
func (d *Decoder) fail(at int, reason string) int {
	d.fault = fault{at: at, reason: reason, path: d.fault.path[:0]}
	return bad
}

// in adds a field to the path of a fault, under adds an index; both return bad.
func (d *Decoder) in(name string) int {
	d.fault.path = append(d.fault.path, part{name: name})
	return bad
}

func (d *Decoder) under(index int) int {
	d.fault.path = append(d.fault.path, part{index: index})
	return bad
}

// maxPath bounds what a path takes from a payload: names of fields that the schema does not know.
const maxPath = 200

func (f *fault) take(o *decode.Options) *decode.Error {
	var b strings.Builder
	b.WriteString(o.Payload)
	for _, p := range slices.Backward(f.path) {
		if p.name == "" {
			b.WriteString("[" + strconv.Itoa(p.index) + "]")
		} else {
			b.WriteString("." + p.name)
		}
	}
	return &decode.Error{Contract: o.Contract, Field: b.String(), Offset: f.at, Reason: f.reason}
}

// shown is a name from the payload as a path shows it.
func shown(name []byte) string {
	if len(name) > maxPath {
		name = name[:maxPath]
		for len(name) > 0 && !utf8.Valid(name) {
			name = name[:len(name)-1]
		}
		return string(name) + "…"
	}
	if len(name) == 0 {
		return `""`
	}
	return string(name)
}

// kindAt says in words what value starts at p.
func kindAt(src []byte, p int) string {
	if p >= len(src) {
		return "the end of the payload"
	}
	switch c := src[p]; {
	case c == '"':
		return "a string"
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == 't', c == 'f':
		return "a boolean"
	case c == 'n':
		return "null"
	case c == '-', '0' <= c && c <= '9':
		return "a number"
	}
	return "no JSON value"
}

// wants refuses a value of the wrong kind.
func (d *Decoder) wants(p int, what string) int {
	return d.fail(p, "wants "+what+", has "+kindAt(d.src, p))
}
