package decode

import "strings"

// Path is the place of a value in a payload, with [] for the items of an array and the entries of a map:
// delivery.items[].id. What is at one place shares what leads to it with all that is beside and below, and its name
// with the schema: names are foreign input, and a text of its own for each place could take a multiple of the schema's
// length for every field. Nil is the empty path.
type Path struct {
	above *Path
	name  string // items, or the name of a field
	items bool
}

// PathOf is the place of a whole payload.
func PathOf(payload string) *Path { return &Path{name: payload} }

// Field is the place of a field.
func (p *Path) Field(name string) *Path { return &Path{above: p, name: name} }

// Items is the place of an item.
func (p *Path) Items() *Path { return &Path{above: p, name: "[]", items: true} }

// String is the path as people write it.
func (p *Path) String() string {
	size := 0
	for at := p; at != nil; at = at.above {
		size += 1 + len(at.name)
	}
	text := make([]byte, size)
	for at := p; at != nil; at = at.above {
		size -= len(at.name)
		copy(text[size:], at.name)
		if at.above != nil && !at.items {
			size--
			text[size] = '.'
		}
	}
	return string(text[size:])
}

// Is reports whether a text is the path.
func (p *Path) Is(text string) bool {
	for ; p != nil; p = p.above {
		var ok bool
		if text, ok = strings.CutSuffix(text, p.name); !ok {
			return false
		}
		if p.above != nil && !p.items {
			if text, ok = strings.CutSuffix(text, "."); !ok {
				return false
			}
		}
	}
	return text == ""
}
