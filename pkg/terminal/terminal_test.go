package terminal

import (
	"os"
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"as it is, whatever  the spaces", 0, "as it is, whatever  the spaces"},
		{"fits  in", 8, "fits  in"},
		{"two lines of words", 9, "two lines|of words"},
		{"größer als zehn", 10, "größer als|zehn"},
		{"a averyverylongword b", 6, "a|averyverylongword|b"},
		{"kept\nline ends here", 9, "kept|line ends|here"},
		{"", 5, ""},
	} {
		if got := strings.Join(Wrap(c.text, c.width), "|"); got != c.want {
			t.Errorf("%q within %d: %q, want %q", c.text, c.width, got, c.want)
		}
	}
	if got := Hang("one two three four five six seven eight nine", 4,
		36); got != "one two three four five six\n    seven eight nine" {
		t.Errorf("got %q", got)
	}
	if got := Hang("one two three four five six seven eight nine", 90, 100); strings.Count(got, "\n") != 1 {
		t.Errorf("a narrow place: %q", got)
	}
}

func TestWidth(t *testing.T) {
	if got := Width(&strings.Builder{}); got != 0 {
		t.Errorf("no terminal is %d wide", got)
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := Width(f); got != 0 {
		t.Errorf("%s is %d wide", os.DevNull, got)
	}
}
