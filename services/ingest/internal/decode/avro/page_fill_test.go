package avro

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const width = 120

// filled breaks the prose of a page at 120 columns, and leaves tables, headings and lists as they are; but a table that
// no terminal can show becomes a list.
func filled(text string) []byte {
	var out bytes.Buffer
	var words, table []string
	flush := func() {
		fill(&out, "", "", words)
		words = nil
		if slices.ContainsFunc(table, func(row string) bool { return utf8.RuneCountInString(row) > width }) {
			list(&out, table)
		} else {
			out.WriteString(strings.Join(table, ""))
		}
		table = nil
	}
	for line := range strings.Lines(text) {
		switch {
		case line[0] == '|':
			if len(words) > 0 {
				flush()
			}
			table = append(table, line)
		case strings.ContainsAny(line[:1], "#-\n"):
			flush()
			out.WriteString(line)
		default:
			if len(table) > 0 {
				flush()
			}
			words = append(words, strings.Fields(line)...)
		}
	}
	flush()
	return out.Bytes()
}

// fill writes words in lines of at most 120 columns.
func fill(out *bytes.Buffer, first, indent string, words []string) {
	column := 0
	for i, word := range words {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
			out.WriteString(first)
			column = len(first) + n
		case column+1+n > width:
			out.WriteString("\n" + indent)
			column = len(indent) + n
		default:
			out.WriteByte(' ')
			column += 1 + n
		}
		out.WriteString(word)
	}
	if len(words) > 0 {
		out.WriteByte('\n')
	}
}

// piece is what no line may end within: what is in backquotes, with what sticks to it.
var piece = regexp.MustCompile("(?:`[^`]*`|[^\\s`])+")

// list writes a table as a list: its first cell, and the others behind the words above them.
func list(out *bytes.Buffer, table []string) {
	cells := func(row string) []string {
		row = strings.ReplaceAll(strings.Trim(strings.TrimSpace(row), "|"), `\|`, "\x00")
		all := strings.Split(row, "|")
		for i, c := range all {
			all[i] = strings.ReplaceAll(strings.TrimSpace(c), "\x00", "|")
		}
		return all
	}
	head := cells(table[0])
	for _, row := range table[2:] {
		var rest []string
		all := cells(row)
		for i, c := range all[1:] {
			if i > 0 && c != "" && head[i+1] != "" {
				c = head[i+1] + ": " + c
			}
			if c != "" {
				rest = append(rest, c)
			}
		}
		fill(out, "- ", "  ", piece.FindAllString(all[0]+": "+strings.Join(rest, "; "), -1))
	}
}
