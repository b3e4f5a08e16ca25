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

// list writes a table that is too wide: as many of its first columns as fit, as a table, and the others below it as a
// list, each cell behind the words above it.
func list(out *bytes.Buffer, table []string) {
	rows := make([][]string, len(table))
	for i, row := range table {
		rows[i] = cells(row)
	}
	shown := fitting(rows)
	if shown > 1 {
		aligned(out, rows, shown)
		out.WriteByte('\n')
	} else {
		shown = 1
	}
	head := rows[0]
	for _, row := range rows[2:] {
		var rest []string
		for i := shown; i < len(row); i++ {
			c := row[i]
			if c != "" && head[i] != "" && i > 1 {
				c = head[i] + ": " + c
			}
			if c != "" {
				rest = append(rest, c)
			}
		}
		if len(rest) > 0 {
			text := strings.ReplaceAll(row[0]+": "+strings.Join(rest, "; "), `\|`, "|")
			fill(out, "- ", "  ", piece.FindAllString(text, -1))
		}
	}
}

// cells are the texts between the bars of a row.
func cells(row string) []string {
	row = strings.ReplaceAll(strings.Trim(strings.TrimSpace(row), "|"), `\|`, "\x00")
	all := strings.Split(row, "|")
	for i, c := range all {
		all[i] = strings.ReplaceAll(strings.TrimSpace(c), "\x00", `\|`)
	}
	return all
}

// fitting is how many of the first columns fit into a line.
func fitting(rows [][]string) int {
	taken := 1
	for i := range rows[0] {
		if taken += widest(rows, i) + 3; taken > width {
			return i
		}
	}
	return len(rows[0])
}

// widest is the number of characters of a column.
func widest(rows [][]string, column int) (n int) {
	for i, row := range rows {
		if i != 1 {
			n = max(n, utf8.RuneCountInString(row[column]))
		}
	}
	return n
}

// aligned writes the first columns as a table whose bars stand below each other.
func aligned(out *bytes.Buffer, rows [][]string, columns int) {
	for i, row := range rows {
		for c := range columns {
			n := widest(rows, c)
			if i == 1 {
				out.WriteString("|" + strings.Repeat("-", n+2))
				continue
			}
			out.WriteString("| " + row[c] + strings.Repeat(" ", n-utf8.RuneCountInString(row[c])) + " ")
		}
		out.WriteString("|\n")
	}
}
