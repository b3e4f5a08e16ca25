// Package table prints aligned tables for people: a header, rows, and two spaces between the columns.
package table

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Table is what to print. Every row has one cell for each column of Header.
type Table struct {
	Header []string
	// Right says which columns are aligned to the right, as numbers are; it may be shorter than Header.
	Right []bool
	Rows  [][]string
}

// Print writes the table, each line indented by two spaces.
func (t Table) Print(w io.Writer) error {
	widths := make([]int, len(t.Header))
	lines := append([][]string{t.Header}, t.Rows...)
	for _, cells := range lines {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, cells := range lines {
		var line strings.Builder
		for i, cell := range cells {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			line.WriteString("  ")
			if i < len(t.Right) && t.Right[i] {
				line.WriteString(padding + cell)
			} else {
				line.WriteString(cell + padding)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	if err != nil {
		return fmt.Errorf("print table: %w", err)
	}
	return nil
}

// Of is a number of things, as in "1 row" and "1,000 rows".
func Of(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return Count(n) + " " + thing + "s"
}

// Count is a number with a comma between its thousands.
func Count(n int64) string {
	digits := fmt.Sprint(n)
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
