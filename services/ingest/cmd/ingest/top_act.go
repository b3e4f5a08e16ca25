package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// topAct is an act that is typed in the terminal: a pause or a move. It is tried first, and done once that was seen.
type topAct struct {
	// what is pause or move; of is the table or lane, and partition is -1 for a table.
	what, of  string
	topic     string
	partition int32
	// input is what is typed: for how long, or to which writer.
	input string
	// would is what would happen, once it was tried. busy: the ingest is being asked.
	would string
	busy  bool
	id    string
}

// topActed is what an ingest says of an act.
type topActed struct {
	act   *topAct
	tried bool
	text  string
	err   error
}

// begin begins the act of a key about what is chosen; nil where there is no such act.
func (s *topScreen) begin(key string) *topAct {
	name := s.onName()
	if name == "" {
		s.said = "choose a table or a lane first, with ↑ and ↓, in the views t and l"
		return nil
	}
	a := &topAct{what: "pause", of: name, partition: -1, input: "10m", id: rand.Text()}
	if s.view == "l" {
		slash := strings.LastIndexByte(name, '/')
		number, err := strconv.ParseInt(name[slash+1:], 10, 32)
		if err != nil {
			return nil
		}
		a.topic, a.partition = name[:slash], int32(number)
	}
	if key == "m" {
		if a.what, a.input = "move", ""; a.partition < 0 {
			s.said = "lanes are moved, and not tables: choose one in the view l"
			return nil
		}
	}
	return a
}

// prompt is the last line while an act is typed.
func (a *topAct) prompt() string {
	switch {
	case a.busy:
		return a.what + " " + a.of + ": asking …"
	case a.would != "":
		return "Enter does it, Esc does not: " + a.would
	case a.what == "move":
		return fmt.Sprintf("move %s to writer: %s_   Enter says what would happen, Esc ends", a.of, a.input)
	}
	return fmt.Sprintf("pause %s for: %s_   Enter says what would happen, Esc ends", a.of, a.input)
}

// acting takes a key while an act is typed.
func (s *topScreen) acting(key string) tea.Cmd {
	a := s.act
	switch {
	case key == "esc" && !(a.busy && a.would != ""): // what is being done is awaited
		s.act = nil
	case a.busy:
	case key == "enter":
		a.busy = true
		return s.submit(a, a.would == "")
	case a.would != "":
	case key == "backspace":
		if runes := []rune(a.input); len(runes) > 0 {
			a.input = string(runes[:len(runes)-1])
		}
	case len([]rune(key)) == 1:
		a.input += key
	}
	return nil
}

// submit has the ingest try an act, or do it.
func (s *topScreen) submit(a *topAct, try bool) tea.Cmd {
	act := *a // what is typed meanwhile is another matter
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(s.ctx, actWithin)
		defer cancel()
		text, err := act.call(ctx, s.steer, try)
		return topActed{act: a, tried: try, text: text, err: err}
	}
}

// call makes the call, and returns its summary.
func (a *topAct) call(ctx context.Context, steer steers, try bool) (string, error) {
	act := &adminv1.Act{ValidateOnly: try, Reason: "typed in ingest top"}
	if !try {
		act.RequestId = a.id
	}
	if a.what == "move" {
		r, err := steer.MoveLane(ctx, &adminv1.MoveLaneRequest{
			Act: act, Topic: a.topic, Partition: a.partition, Writer: strings.TrimSpace(a.input),
		})
		return r.GetResult().GetSummary(), err
	}
	length, err := time.ParseDuration(strings.TrimSpace(a.input))
	if err != nil {
		return "", fmt.Errorf("%q is no length of time: write 10m, or 2h", a.input)
	}
	target := &adminv1.Target{Table: a.of}
	if a.partition >= 0 {
		target = &adminv1.Target{Topic: a.topic, Partition: &a.partition}
	}
	r, err := steer.Pause(ctx, &adminv1.PauseRequest{Act: act, Target: target, Length: durationpb.New(length)})
	return r.GetResult().GetSummary(), err
}

// acted takes what an ingest says of an act, unless that was given up meanwhile.
func (s *topScreen) acted(m topActed) {
	if s.act != m.act {
		return
	}
	m.act.busy = false
	switch text := oneLine(m.text); {
	case m.err != nil:
		s.act, s.said = nil, "\x1b[31m"+oneLine(remoteError(m.err, "--at").Error())+"\x1b[0m"
	case m.tried:
		m.act.would = text
	default:
		s.act, s.said = nil, text
	}
}
