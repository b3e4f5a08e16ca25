package json

import (
	"strconv"

	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
)

// extra gathers the fields that the schema does not know into one JSON object, each at its place in the payload:
// {"note":1,"items":{"3": {"colour":"red"}}} for items[3].colour. An object is opened when the first such field of it
// is met, and closed with the payload's own; as no object of the payload comes twice, none of these does.
type extra struct {
	keep  bool
	text  []byte
	where []place
}

// place is one step on the way from the payload to the object being read: a field, a key of a map by its position, or
// an index.
type place struct {
	name   string
	key    int // position of the key's quote
	index  int
	kind   placeKind
	opened bool
}

type placeKind uint8

const (
	placeField placeKind = iota
	placeKey
	placeIndex
)

// enter and leave mark the way; they do nothing unless unknown fields are kept.
func (e *extra) enter(p place) {
	if e.keep {
		e.where = append(e.where, p)
	}
}

func (e *extra) leave() {
	if !e.keep {
		return
	}
	last := len(e.where) - 1
	if e.where[last].opened {
		e.text = append(e.text, '}')
	}
	e.where = e.where[:last]
}

// comma begins a field of the object that is open.
func (e *extra) comma() {
	if e.text[len(e.text)-1] != '{' {
		e.text = append(e.text, ',')
	}
}

// addExtra takes a field as it stands in the payload: its name in quotes and its value.
func (d *Decoder) addExtra(name, value []byte) {
	e := &d.extra
	if len(e.text) == 0 {
		e.text = append(e.text, '{')
	}
	for i := range e.where {
		w := &e.where[i]
		if w.opened {
			continue
		}
		w.opened = true
		e.comma()
		switch w.kind {
		case placeKey:
			e.text = append(e.text, d.name(w.key)...)
		case placeIndex:
			e.text = append(e.text, '"')
			e.text = strconv.AppendInt(e.text, int64(w.index), 10)
			e.text = append(e.text, '"')
		default:
			e.text = append(e.text, '"')
			e.text = append(e.text, w.name...)
			e.text = append(e.text, '"')
		}
		e.text = append(e.text, ':', '{')
	}
	e.comma()
	e.text = append(e.text, name...)
	e.text = append(e.text, ':')
	e.text = append(e.text, value...)
}

// name is the text at p with its quotes, which was read before.
func (d *Decoder) name(p int) []byte {
	end := p + 1
	for d.src[end] != '"' {
		if d.src[end] == '\\' {
			end++
		}
		end++
	}
	return d.src[p : end+1]
}

// unknown deals with a field that the schema does not know: its name is at at, its value at p.
func (d *Decoder) unknown(name []byte, at, p int) int {
	if d.plan.settings.Unknown == Refuse {
		d.fail(at, "the schema does not know the field")
		return d.in(shown(name))
	}
	depth := jsonscan.MaxNesting
	if d.extra.keep {
		depth -= 1 + len(d.extra.where) // the objects that it will stand in
	}
	end := d.skip(p, depth)
	if end < 0 {
		return d.in(shown(name))
	}
	if d.extra.keep {
		d.addExtra(d.name(at), d.src[p:end])
	}
	return end
}

// writeExtra writes the column of unknown fields, if there were any.
func (d *Decoder) writeExtra(o int) int {
	if len(d.extra.text) == 0 || d.plan.extra.skip {
		return o
	}
	d.extra.text = append(d.extra.text, '}')
	return d.put(d.plan.extra, d.extra.text, o)
}

// reset forgets the last payload.
func (e *extra) reset() { e.text, e.where = e.text[:0], e.where[:0] }
