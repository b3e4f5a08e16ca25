package main

import (
	"fmt"
	"io"
	"strings"
)

const perRow = 16

// dump prints bytes as hex and text, some rows around a byte, and points at it.
type dump struct {
	value []byte
	// mark is the byte to point at, which may be the one behind the last; -1: none, and the dump is of the beginning.
	mark int
	// rows is how many to print before and after the marked one.
	rows int
}

func (d dump) print(out io.Writer) {
	last := (len(d.value) - 1) / perRow
	first, end := 0, min(last, 2*d.rows)
	if d.mark >= 0 {
		row := d.mark / perRow
		last = max(last, row)
		first, end = max(0, row-d.rows), min(last, row+d.rows)
	}
	var b strings.Builder
	if first > 0 {
		fmt.Fprintf(&b, "  … %s before\n", plural(first*perRow, "byte", "bytes"))
	}
	for row := first; row <= end; row++ {
		d.row(&b, row)
	}
	if rest := len(d.value) - (end+1)*perRow; rest > 0 {
		fmt.Fprintf(&b, "  … %s more (--whole)\n", plural(rest, "byte", "bytes"))
	}
	fmt.Fprint(out, b.String())
}

// row prints one row, and the pointer below it.
func (d dump) row(b *strings.Builder, row int) {
	from := row * perRow
	part := d.value[min(from, len(d.value)):min(from+perRow, len(d.value))]
	fmt.Fprintf(b, "  %08x ", from)
	for i := range perRow {
		if i%8 == 0 {
			b.WriteByte(' ')
		}
		if i < len(part) {
			fmt.Fprintf(b, "%02x ", part[i])
		} else {
			b.WriteString("   ")
		}
	}
	b.WriteString(" |")
	for _, c := range part {
		if c < 0x20 || c > 0x7e {
			c = '.'
		}
		b.WriteByte(c)
	}
	b.WriteString("|\n")
	if at := d.mark - from; d.mark >= 0 && at >= 0 && at < perRow {
		const address = 2 + 8 + 1
		column := address + at*3 + at/8 + 1
		text := address + perRow*3 + 2 + 2 + at
		fmt.Fprintf(b, "%s^^%s^ byte %d\n", strings.Repeat(" ", column), strings.Repeat(" ", text-column-2), d.mark)
	}
}
