package avro

import "strings"

// withoutComments is a schema without what Java's parser passes over: comments from // to the end of the line and from
// /* to */, outside of texts. Such files begin with a licence, often.
func withoutComments(schema string) string {
	var b strings.Builder
	for i := 0; i < len(schema); {
		rest := schema[i:]
		n := 1
		switch {
		case rest[0] == '"':
			for n < len(rest) && rest[n] != '"' {
				if rest[n] == '\\' {
					n++
				}
				n++
			}
			n = min(n+1, len(rest))
		case strings.HasPrefix(rest, "//"):
			if n = strings.IndexByte(rest, '\n'); n < 0 {
				n = len(rest)
			}
			rest = ""
		case strings.HasPrefix(rest, "/*"):
			if n = strings.Index(rest[2:], "*/"); n < 0 {
				return schema // the parser says what is wrong
			}
			n, rest = n+4, " "
		}
		b.WriteString(rest[:min(n, len(rest))])
		i += n
	}
	return b.String()
}
