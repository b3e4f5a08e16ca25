package e2e

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"
)

// The looks of a terminal: the size of a character, and the colours that `ingest top` uses.
const (
	charWide, lineHigh = 8.4, 18
	inkColour, ground  = "#d8dee6", "#10151b"
)

var colours = map[string]string{"31": "#ff6b60", "33": "#f2c061", "2": "#8a97a6"}

var escape = regexp.MustCompile("\x1b\\[([0-9;]*)m")

// style is how text of a terminal looks.
type style struct {
	colour             string
	inverse, underline bool
}

// picture draws a screen of a terminal, as `tmux capture-pane -e` has it, as an SVG.
func picture(screen string) string {
	lines := strings.Split(strings.TrimRight(screen, "\n"), "\n")
	wide := 0
	for _, line := range lines {
		wide = max(wide, len([]rune(escape.ReplaceAllString(line, ""))))
	}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" font-family="monospace" `+
		`font-size="14"><rect width="100%%" height="100%%" rx="8" fill="%s"/>`+"\n", float64(wide+4)*charWide,
		(len(lines)+2)*lineHigh, ground)
	now := style{colour: inkColour}
	for i, line := range lines {
		y := (i + 2) * lineHigh
		column := 0
		for line != "" {
			at := escape.FindStringSubmatchIndex(line)
			text := line
			if at != nil {
				text = line[:at[0]]
			}
			out.WriteString(drawn(text, now, float64(column+2)*charWide, y))
			column += len([]rune(text))
			if at == nil {
				break
			}
			now = now.with(line[at[2]:at[3]])
			line = line[at[1]:]
		}
	}
	return out.String() + "</svg>\n"
}

// drawn is a piece of a line.
func drawn(text string, s style, x float64, y int) string {
	if strings.TrimSpace(text) == "" && !s.inverse {
		return ""
	}
	colour, back := s.colour, ""
	length := float64(len([]rune(text))) * charWide
	if s.inverse {
		back = fmt.Sprintf(`<rect x="%.1f" y="%d" width="%.1f" height="%d" fill=%q/>`, x, y-lineHigh+4, length,
			lineHigh, colour)
		colour = ground
	}
	more := ""
	if s.underline {
		more = ` text-decoration="underline"`
	}
	return fmt.Sprintf(`%s<text x="%.1f" y="%d" fill="%s" xml:space="preserve" textLength="%.1f"%s>%s</text>`+"\n",
		back, x, y,
		colour, length, more, html.EscapeString(text))
}

// with is the style after an escape sequence.
func (s style) with(codes string) style {
	for code := range strings.SplitSeq(codes, ";") {
		switch code {
		case "", "0":
			s = style{colour: inkColour}
		case "39", "22":
			s.colour = inkColour
		case "4":
			s.underline = true
		case "24":
			s.underline = false
		case "7":
			s.inverse = true
		case "27":
			s.inverse = false
		default:
			if c, ok := colours[code]; ok {
				s.colour = c
			}
		}
	}
	return s
}

// A picture has the text, escaped, and its colours, and is small.
func TestPictureOfATerminal(t *testing.T) {
	t.Parallel()
	got := picture("\x1b[7m t tables \x1b[0m l lanes\n\x1b[31morders <stale>\x1b[39m \x1b[2mq quits\x1b[0m\n\n")
	for _, want := range []string{
		`fill="#ff6b60" xml:space="preserve" textLength="117.6">orders &lt;stale&gt;</text>`, `fill="#8a97a6"`,
		"<rect x=",
		"> l lanes</text>",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
}
