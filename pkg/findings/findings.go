// Package findings prints what a `check` command found out: one line a finding, aligned, each that is not well followed
// by its remedy; or the same as JSON.
package findings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/waybill-data/waybill/pkg/terminal"
)

// State is how a finding turned out.
type State int

const (
	// OK is as it should be.
	OK State = iota
	// Warn works, and deserves a look.
	Warn
	// Fail keeps the service from doing its work.
	Fail
)

// String is the word in the table.
func (s State) String() string {
	switch s {
	case OK:
		return "ok"
	case Warn:
		return "warn"
	case Fail:
		return "FAIL"
	default:
		return fmt.Sprintf("State(%d)", int(s))
	}
}

// Finding is one thing that was looked at.
type Finding struct {
	// What was looked at, for example `topic delivery_events_v6_topic`.
	What string
	// State is how it turned out.
	State State
	// Detail is what was seen, in a few words.
	Detail string
	// Remedy is what to do about it; empty when there is nothing to do.
	Remedy string
}

// Print writes the findings as a table with a summary behind it, within the terminal that w is, and says whether any
// failed.
func Print(w io.Writer, findings []Finding) (failed bool) {
	return printWithin(w, terminal.Width(w), findings)
}

// PrintJSON writes the findings as one JSON object, with how many there are of each state, and says whether any failed.
func PrintJSON(w io.Writer, findings []Finding) (failed bool) {
	type line struct {
		What   string `json:"what"`
		State  string `json:"state"`
		Detail string `json:"detail,omitempty"`
		Remedy string `json:"remedy,omitempty"`
	}
	out := struct {
		OK       int    `json:"ok"`
		Warn     int    `json:"warn"`
		Failed   int    `json:"failed"`
		Findings []line `json:"findings"`
	}{Findings: []line{}}
	for _, f := range findings {
		one := line{What: f.What, State: strings.ToLower(f.State.String()), Detail: strings.TrimSpace(f.Detail)}
		switch f.State {
		case Warn:
			out.Warn++
		case Fail:
			out.Failed++
		default:
			out.OK++
		}
		if f.State != OK {
			one.Remedy = strings.TrimSpace(f.Remedy)
		}
		out.Findings = append(out.Findings, one)
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	encoder.Encode(out) //nolint:errcheck // A reader who went away has the exit code.
	return out.Failed > 0
}

func printWithin(w io.Writer, columns int, findings []Finding) (failed bool) {
	width := 0
	counts := map[State]int{}
	for _, f := range findings {
		width = max(width, utf8.RuneCountInString(f.What))
		counts[f.State]++
	}
	const indent = "      " // the width of the state column
	var out strings.Builder
	for _, f := range findings {
		pad := strings.Repeat(" ", width-utf8.RuneCountInString(f.What))
		line := fmt.Sprintf("%-*s%s%s  %s", len(indent), f.State, f.What, pad,
			terminal.Hang(strings.TrimSpace(f.Detail), len(indent)+width+2, columns))
		out.WriteString(strings.TrimRight(line, " ") + "\n")
		if f.Remedy != "" && f.State != OK {
			out.WriteString(strings.Repeat(" ", len(indent)+width+2) + "-> " +
				terminal.Hang(strings.TrimSpace(f.Remedy), len(indent)+width+5, columns) + "\n")
		}
	}
	fmt.Fprintf(&out, "\n%d ok, %d to look at, %d failed\n", counts[OK], counts[Warn], counts[Fail])
	io.WriteString(w, out.String()) //nolint:errcheck // A reader who went away has the exit code.
	return counts[Fail] > 0
}

// Failed is a finding of an error. One of a deadline is no more than that: the time is the check's own.
func Failed(what string, err error, remedy string) Finding {
	detail := "timed out"
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		detail = err.Error()
	}
	return Finding{What: what, State: Fail, Detail: detail, Remedy: remedy}
}
