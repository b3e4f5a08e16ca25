// Package terminal lays text out for the terminal that a person reads it on.
package terminal

import (
	"strings"
	"unicode/utf8"
)

// Wrap breaks a text between words into lines of at most width characters, and keeps the line ends that it has. A
// longer word has a line of its own; width 0 breaks nothing.
func Wrap(text string, width int) []string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if width <= 0 || utf8.RuneCountInString(line) <= width {
			lines = append(lines, line)
			continue
		}
		var b strings.Builder
		used := 0
		for word := range strings.FieldsSeq(line) {
			n := utf8.RuneCountInString(word)
			switch {
			case used == 0:
			case used+1+n > width:
				lines = append(lines, b.String())
				b.Reset()
				used = 0
			default:
				b.WriteByte(' ')
				used++
			}
			b.WriteString(word)
			used += n
		}
		lines = append(lines, b.String())
	}
	return lines
}

// Hang is Wrap for a text that begins at a column and goes on below it.
func Hang(text string, column, width int) string {
	const least = 24 // a narrow terminal breaks lines by itself
	if width > 0 {
		width = max(width-column, least)
	}
	return strings.Join(Wrap(text, width), "\n"+strings.Repeat(" ", column))
}
