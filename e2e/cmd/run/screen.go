package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// screen shows progress: redrawn in place on a terminal, a line every two seconds elsewhere.
type screen struct {
	out      io.Writer
	terminal bool
	lines    int // of the block that is redrawn
	shown    time.Time
}

func newScreen(out io.Writer) screen {
	f, ok := out.(*os.File)
	if !ok {
		return screen{out: out}
	}
	info, err := f.Stat()
	return screen{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"}
}

// line adds a line that stays.
func (s *screen) line(text string) {
	s.clear()
	fmt.Fprintln(s.out, text)
}

// block shows what is so now. force shows it even where it is not redrawn.
func (s *screen) block(lines []string, force bool) {
	if !s.terminal {
		if force || time.Since(s.shown) >= 2*time.Second {
			s.shown = time.Now()
			fmt.Fprintln(s.out, strings.Join(lines, "\n"))
		}
		return
	}
	s.clear()
	fmt.Fprintln(s.out, strings.Join(lines, "\n"))
	s.lines = len(lines)
}

func (s *screen) clear() {
	if s.lines > 0 {
		fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", s.lines)
		s.lines = 0
	}
}

// end leaves the last block where it is.
func (s *screen) end() { s.lines = 0 }
