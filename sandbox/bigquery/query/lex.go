package query

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error is a query that cannot be run: wrong, or beyond what the sandbox supports. Offset is a byte in the
// query, -1 for none.
type Error struct {
	Offset  int
	Message string
}

func (e *Error) Error() string {
	if e.Offset < 0 {
		return e.Message
	}
	return fmt.Sprintf("%s at byte %d", e.Message, e.Offset)
}

func refuse(at int, format string, args ...any) error {
	return &Error{Offset: at, Message: fmt.Sprintf(format, args...)}
}

type tokenKind int

const (
	tokenEnd    tokenKind = iota
	tokenWord             // keyword or name
	tokenQuoted           // `name`
	tokenString
	tokenBytes
	tokenNumber
	tokenParam // @name, or ? with no name
	tokenSign
)

type token struct {
	kind tokenKind
	text string
	at   int
}

// is says whether the token is a keyword or sign, in any case.
func (t token) is(s string) bool {
	return (t.kind == tokenWord || t.kind == tokenSign) && strings.EqualFold(t.text, s)
}

func lex(sql string) ([]token, error) {
	var out []token
	for i := 0; i < len(sql); {
		c, size := utf8.DecodeRuneInString(sql[i:])
		switch {
		case unicode.IsSpace(c):
			i += size
		case c == '#' || strings.HasPrefix(sql[i:], "--"):
			n := strings.IndexByte(sql[i:], '\n')
			if n < 0 {
				n = len(sql) - i
			}
			i += n
		case strings.HasPrefix(sql[i:], "/*"):
			n := strings.Index(sql[i+2:], "*/")
			if n < 0 {
				return nil, refuse(i, "Unclosed comment")
			}
			i += n + 4
		case c == '`':
			n := strings.IndexByte(sql[i+1:], '`')
			if n < 0 {
				return nil, refuse(i, "Unclosed identifier literal")
			}
			out = append(out, token{tokenQuoted, sql[i+1 : i+1+n], i})
			i += n + 2
		default:
			t, n, err := lexOne(sql, i, c)
			if err != nil {
				return nil, err
			}
			out = append(out, t)
			i += n
		}
	}
	return append(out, token{tokenEnd, "end of query", len(sql)}), nil
}

func lexOne(sql string, i int, c rune) (token, int, error) {
	rest := sql[i:]
	prefix := 0
	for prefix < 2 && prefix < len(rest) && strings.ContainsRune("rRbB", rune(rest[prefix])) {
		prefix++
	}
	if prefix < len(rest) && (rest[prefix] == '\'' || rest[prefix] == '"') {
		return lexString(rest, i, strings.ToLower(rest[:prefix]))
	}
	switch {
	case strings.HasPrefix(rest, "@`"):
		n := strings.IndexByte(rest[2:], '`')
		if n < 1 {
			return token{}, 0, refuse(i, "Unclosed identifier literal")
		}
		return token{tokenParam, rest[2 : 2+n], i}, n + 3, nil
	case c == '@':
		n := 1 + wordLength(rest[1:])
		return token{tokenParam, rest[1:n], i}, n, nil
	case c == '?':
		return token{tokenParam, "", i}, 1, nil
	case unicode.IsDigit(c) || c == '.' && len(rest) > 1 && unicode.IsDigit(rune(rest[1])):
		n := numberLength(rest)
		return token{tokenNumber, rest[:n], i}, n, nil
	case c == '_' || unicode.IsLetter(c):
		n := wordLength(rest)
		return token{tokenWord, rest[:n], i}, n, nil
	}
	for _, sign := range []string{"||", "<=", ">=", "<>", "!=", "<<", ">>"} {
		if strings.HasPrefix(rest, sign) {
			return token{tokenSign, sign, i}, 2, nil
		}
	}
	if strings.ContainsRune("()[],.+-*/=<>;%&|^~:", c) {
		return token{tokenSign, string(c), i}, 1, nil
	}
	return token{}, 0, refuse(i, "Illegal input character %q", c)
}

func wordLength(s string) int {
	for i, c := range s {
		if c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return i
		}
	}
	return len(s)
}

func numberLength(s string) int {
	n := 0
	if len(s) > 1 && (s[1] == 'x' || s[1] == 'X') {
		for n = 2; n < len(s) && strings.ContainsRune("0123456789abcdefABCDEF", rune(s[n])); n++ {
		}
		return n
	}
	for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == '.') {
		n++
	}
	if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		m := n + 1
		if m < len(s) && (s[m] == '+' || s[m] == '-') {
			m++
		}
		if m < len(s) && s[m] >= '0' && s[m] <= '9' {
			for n = m; n < len(s) && s[n] >= '0' && s[n] <= '9'; n++ {
			}
		}
	}
	return n
}

func lexString(rest string, at int, prefix string) (token, int, error) {
	i := len(prefix)
	quote := rest[i : i+1]
	if strings.HasPrefix(rest[i:], strings.Repeat(quote, 3)) {
		quote = rest[i : i+3]
	}
	i += len(quote)
	start := i
	for i < len(rest) && !strings.HasPrefix(rest[i:], quote) {
		if rest[i] == '\\' {
			i++
		}
		i++
	}
	if i >= len(rest) {
		return token{}, 0, refuse(at, "Unclosed string literal")
	}
	text := rest[start:i]
	kind := tokenString
	if strings.Contains(prefix, "b") {
		kind = tokenBytes
	}
	if !strings.Contains(prefix, "r") {
		var err error
		if text, err = unescape(text, kind == tokenBytes); err != nil {
			return token{}, 0, refuse(at, "Illegal escape in string literal")
		}
	}
	return token{kind, text, at}, i + len(quote), nil
}

// unescape reads the escapes of a literal; one such as \xff is a byte in BYTES, and a character in a STRING.
func unescape(s string, bytes bool) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for len(s) > 0 {
		if strings.HasPrefix(s, "\\`") || strings.HasPrefix(s, `\?`) {
			b.WriteByte(s[1])
			s = s[2:]
			continue
		}
		c, multibyte, rest, err := strconv.UnquoteChar(s, 0)
		if len(s) > 1 && s[0] == '\\' && (s[1] == '\'' || s[1] == '"') {
			c, multibyte, rest, err = rune(s[1]), false, s[2:], nil
		}
		if err != nil {
			return "", err
		}
		if multibyte || c >= utf8.RuneSelf && !bytes {
			b.WriteRune(c)
		} else {
			b.WriteByte(byte(c))
		}
		s = rest
	}
	return b.String(), nil
}
