package decode

// Bounds of a JSON value in a JSON column.
const (
	// MaxJSONNesting is how deep BigQuery lets arrays and objects nest (GoogleSQL, "JSON type").
	MaxJSONNesting = 500

	nestingReason = "the JSON value nests deeper than 500 arrays and objects"
)

// CheckJSON checks that text is one JSON value (RFC 8259) in UTF-8, nested no deeper than BigQuery takes it. reason is empty when it is; else
// it says what is wrong at the byte at. Nothing is allocated.
func CheckJSON(text []byte) (at int, reason string) {
	j := jsonText{text: text}
	if reason := j.value(); reason != "" {
		return j.at, reason
	}
	if j.space(); j.at < len(text) {
		return j.at, "bytes are left over behind the JSON value"
	}
	return 0, ""
}

// jsonText walks a JSON text. Whether the open containers are objects is kept as bits: no recursion.
type jsonText struct {
	text    []byte
	at      int
	depth   int
	objects [(MaxJSONNesting + 63) / 64]uint64
}

const (
	jsonEnd   = "the JSON value ends here"
	jsonValue = "no JSON value starts here"
)

func (j *jsonText) space() {
	for j.at < len(j.text) {
		switch j.text[j.at] {
		case ' ', '\t', '\n', '\r':
			j.at++
		default:
			return
		}
	}
}

// next is the byte behind spaces; 0 at the end, which no JSON token starts with.
func (j *jsonText) next() byte {
	if j.space(); j.at < len(j.text) {
		return j.text[j.at]
	}
	return 0
}

func (j *jsonText) missing(otherwise string) string {
	if j.at >= len(j.text) {
		return jsonEnd
	}
	return otherwise
}

func (j *jsonText) open(object bool) string {
	if j.depth == MaxJSONNesting {
		return nestingReason
	}
	bit := uint64(1) << (j.depth % 64)
	if object {
		j.objects[j.depth/64] |= bit
	} else {
		j.objects[j.depth/64] &^= bit
	}
	j.depth++
	j.at++
	return ""
}

func (j *jsonText) inObject() bool { return j.objects[(j.depth-1)/64]>>((j.depth-1)%64)&1 != 0 }

// value reads one value, containers with all that is in them.
func (j *jsonText) value() string {
	for {
		var reason string
		opened := false
		switch c := j.next(); {
		case c == '{' || c == '[':
			reason = j.open(c == '{')
			opened = reason == ""
		case c == '"':
			reason = j.str()
		case c == '-' || c >= '0' && c <= '9':
			reason = j.number()
		case c == 't':
			reason = j.word("true")
		case c == 'f':
			reason = j.word("false")
		case c == 'n':
			reason = j.word("null")
		default:
			reason = j.missing(jsonValue)
		}
		if reason != "" {
			return reason
		}
		// Behind a value, or behind what opens a container: up to where the next value starts.
		for more := false; !more; {
			if j.depth == 0 {
				return ""
			}
			object := j.inObject()
			c := j.next()
			switch {
			case object && c == '}' || !object && c == ']':
				j.at++
				j.depth--
				opened = false
				continue
			case !opened && c != ',':
				return j.missing("neither a comma nor the end of the array or object")
			case !opened:
				j.at++
			}
			opened, more = false, true
			if object {
				if reason := j.name(); reason != "" {
					return reason
				}
			}
		}
	}
}

// name reads the name of an object's member, and its colon.
func (j *jsonText) name() string {
	if j.next() != '"' {
		return j.missing("no name of a member starts here")
	}
	if reason := j.str(); reason != "" {
		return reason
	}
	if j.next() != ':' {
		return j.missing("no colon behind the name of a member")
	}
	j.at++
	return ""
}

func (j *jsonText) word(word string) string {
	if len(j.text)-j.at < len(word) || string(j.text[j.at:j.at+len(word)]) != word {
		return jsonValue
	}
	j.at += len(word)
	return ""
}

// digits reads digits and says whether there were any.
func (j *jsonText) digits() bool {
	start := j.at
	for j.at < len(j.text) && j.text[j.at]-'0' <= 9 {
		j.at++
	}
	return j.at > start
}

func (j *jsonText) is(of string) bool {
	if j.at < len(j.text) {
		for i := range len(of) {
			if j.text[j.at] == of[i] {
				return true
			}
		}
	}
	return false
}

func (j *jsonText) number() string {
	const noDigit = "a number lacks a digit here"
	if j.is("-") {
		j.at++
	}
	if j.is("0") {
		j.at++
	} else if !j.digits() {
		return j.missing(noDigit)
	}
	if j.is(".") {
		if j.at++; !j.digits() {
			return j.missing(noDigit)
		}
	}
	if j.is("eE") {
		if j.at++; j.is("+-") {
			j.at++
		}
		if !j.digits() {
			return j.missing(noDigit)
		}
	}
	return ""
}

// str reads a string.
func (j *jsonText) str() string {
	j.at++
	for j.at < len(j.text) {
		c := j.text[j.at]
		switch {
		case c == '"':
			j.at++
			return ""
		case c < ' ':
			return "a control character in a JSON string"
		case c == '\\':
			if reason := j.escape(); reason != "" {
				return reason
			}
		case c < 0x80:
			j.at++
		default:
			n := runeLen(j.text[j.at:])
			if n == 0 {
				return InvalidUTF8
			}
			j.at += n
		}
	}
	return jsonEnd
}

// escape reads an escape sequence. A \u that is half a pair of surrogates stands for nothing that UTF-8 could hold.
func (j *jsonText) escape() string {
	start := j.at
	if j.at++; !j.is(`"\/bfnrtu`) {
		return j.missing("no escape sequence of JSON")
	}
	if j.at++; j.text[j.at-1] != 'u' {
		return ""
	}
	v, ok := j.hex()
	switch {
	case !ok:
		return j.missing("no four hexadecimal digits behind \\u")
	case v>>11 != 0xd800>>11:
		return ""
	case v>>10 == 0xd800>>10 && j.is(`\`) && j.at+1 < len(j.text) && j.text[j.at+1] == 'u':
		j.at += 2
		if v, ok = j.hex(); ok && v>>10 == 0xdc00>>10 {
			return ""
		}
	}
	j.at = start
	return "half a pair of surrogates"
}

func (j *jsonText) hex() (v uint32, ok bool) {
	for range 4 {
		if j.at >= len(j.text) {
			return 0, false
		}
		c := j.text[j.at]
		switch {
		case c-'0' <= 9:
			v = v<<4 | uint32(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			v = v<<4 | uint32(c|0x20-'a'+10)
		default:
			return 0, false
		}
		j.at++
	}
	return v, true
}
