package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/waybill-data/waybill/pkg/terminal"
)

// pageRows is how many rows a table keeps to find its widths: it may have any number.
const pageRows = 500

// least is what a last column has on a narrow terminal before it is cut.
const least = 24

// table prints rows under each other, a page at a time. Its last column is cut to the width of the terminal; columns
// for which there is no room stand on a line of their own below, and so does their header.
type table struct {
	out    io.Writer
	width  int // of the terminal; 0: nothing is cut
	header []string
	right  []bool // columns of numbers
	folds  bool   // the last column is shown whole, over several lines
	rows   [][]string
	widths []int
	begun  bool
}

func newTable(out io.Writer, width int, right []bool, header ...string) *table {
	return &table{out: out, width: width, header: header, right: right}
}

func (t *table) add(cells ...string) {
	t.rows = append(t.rows, cells)
	if len(t.rows) >= pageRows {
		t.flush()
	}
}

// flush prints the rows at hand, the header before the first.
func (t *table) flush() {
	if len(t.rows) == 0 {
		return
	}
	if !t.begun {
		t.begun = true
		t.widths = make([]int, len(t.header))
		t.rows = append([][]string{t.header}, t.rows...)
	}
	for _, cells := range t.rows {
		for i, c := range cells {
			t.widths[i] = max(t.widths[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for _, cells := range t.rows {
		at := 0
		for i, c := range cells {
			last := i == len(cells)-1
			if t.breaks(at, i) {
				b.WriteString("\n    ")
				at = 4
			}
			b.WriteString("  ")
			at += 2
			if last {
				switch {
				case t.folds:
					c = terminal.Hang(c, at, t.width)
				case t.width > 0:
					c = cut(c, max(t.width-at, least))
				}
				b.WriteString(c)
				break
			}
			padding := strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(c))
			at += t.widths[i]
			switch {
			case i < len(t.right) && t.right[i]:
				b.WriteString(padding + c)
			case t.breaks(at, i+1):
				b.WriteString(c)
			default:
				b.WriteString(c + padding)
			}
		}
		b.WriteByte('\n')
	}
	fmt.Fprint(t.out, b.String())
	t.rows = t.rows[:0]
}

// breaks reports whether column i does not fit behind what a line holds already.
func (t *table) breaks(at, i int) bool {
	need := t.widths[i]
	if i == len(t.widths)-1 {
		need = min(need, least)
	}
	return t.width > 0 && at > 4 && at+2+need > t.width
}

// cut shortens a text at its end.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// cutHead shortens a path at its beginning, where it says least.
func cutHead(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return "…" + string(r[len(r)-n+1:])
}
