package statuspage

import (
	"fmt"
	"html"
	"html/template"
	"strings"
	"time"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// piece is a part of a table's past on the strip, in per cent of a day.
type piece struct{ State, Left, Width, Title string }

const stripDay = 24 * time.Hour

// strip lays the past of a table out, up to now.
func strip(past []*adminv1.StateInterval) []piece { return stripAt(time.Now(), past) }

func stripAt(now time.Time, past []*adminv1.StateInterval) []piece {
	begin := now.Add(-stripDay)
	part := func(d time.Duration) string { return fmt.Sprintf("%.2f", 100*float64(d)/float64(stripDay)) }
	var out []piece
	for _, s := range past {
		from, until := s.GetFrom().AsTime(), s.GetUntil().AsTime()
		if until.After(now) {
			until = now
		}
		if from.Before(begin) {
			from = begin
		}
		if !until.After(from) {
			continue
		}
		title := fmt.Sprintf("%s to %s: %s", from.UTC().Format("15:04"), until.UTC().Format("15:04"),
			stateName(s.GetState()))
		if s.GetCause() != "" {
			title += ", " + s.GetCause()
		}
		out = append(out, piece{stateName(s.GetState()), part(from.Sub(begin)), part(until.Sub(from)), title})
	}
	return out
}

func dollars(v float64) string {
	switch {
	case v == 0:
		return "$0"
	case v < 0.01:
		return "< $0.01"
	case v < 100:
		return fmt.Sprintf("$%.2f", v)
	}
	return fmt.Sprintf("$%.0f", v)
}

// dumped is eight bytes of a value: where they are, as hexadecimal and as text.
type dumped struct {
	At        string
	Hex, Text template.HTML
}

// marked is the bytes around the fault of a dead letter, with the byte at fault marked; nothing where there are none to
// be seen.
func marked(s *adminv1.LetterSample) []dumped {
	const wide = 8 // a phone has room for so many
	var out []dumped
	value := s.GetExcerpt()
	for at := 0; at < len(value); at += wide {
		var hex, text strings.Builder
		for i := at; i < min(at+wide, len(value)); i++ {
			one, letter := fmt.Sprintf("%02x", value[i]), "."
			if value[i] >= ' ' && value[i] <= '~' {
				letter = html.EscapeString(string(rune(value[i])))
			}
			if s.Byte != nil && int(s.GetExcerptAt())+i == int(s.GetByte()) {
				one, letter = "<mark>"+one+"</mark>", "<mark>"+letter+"</mark>"
			}
			hex.WriteString(one + " ")
			text.WriteString(letter)
		}
		if s.Byte != nil && int(s.GetExcerptAt())+min(at+wide, len(value)) == int(s.GetByte()) &&
			at+wide >= len(value) {
			hex.WriteString("<mark>end</mark> ") // the value ends where more was expected
		}
		out = append(out, dumped{
			fmt.Sprintf("%6d", int(s.GetExcerptAt())+at),
			template.HTML(hex.String()), template.HTML(text.String()), //nolint:gosec // hexadecimal, and escaped above
		})
	}
	return out
}
