package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"google.golang.org/grpc/status"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// topEvery is how often the terminal asks again.
const topEvery = 2 * time.Second

// watch shows the fleet until q.
func watch(ctx context.Context, a *asked) error {
	client, conn, err := a.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = tea.NewProgram(&topScreen{ctx: ctx, client: client, local: a.Local, view: "t"}, tea.WithContext(ctx)).Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// topScreen is the model of the terminal: what is shown, and the last answer.
type topScreen struct {
	ctx    context.Context // of the command
	client adminv1.AdminServiceClient
	local  bool

	view          string // the key that chose it
	text          string
	at            time.Time
	err           error
	width, height int
	top           int // first line shown
	// asking and ticking: an answer, and the next question, are on their way.
	asking, ticking bool
}

var topViews = []struct{ key, name string }{
	{"t", "tables"}, {"l", "lanes"}, {"f", "fleet"}, {"e", "events"}, {"d", "dead letters"},
}

type (
	topAnswer struct {
		view, text string
		err        error
	}
	topTick struct{}
)

// Init implements tea.Model.
func (s *topScreen) Init() tea.Cmd { return s.ask() }

// ask asks for what is shown, unless that is under way.
func (s *topScreen) ask() tea.Cmd {
	if s.asking {
		return nil
	}
	s.asking = true
	view, width := s.view, s.width
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(s.ctx, answersWithin)
		defer cancel()
		text, err := topText(ctx, s.client, view, width, s.local)
		return topAnswer{view, text, err}
	}
}

// topText is what a view shows.
func topText(ctx context.Context, client adminv1.AdminServiceClient, view string, width int, local bool) (string, error) {
	var out strings.Builder
	switch view {
	case "l":
		r, err := client.ListLanes(ctx, &adminv1.ListLanesRequest{Local: local, Limit: 1000})
		if err != nil {
			return "", err
		}
		showLanes(&out, width, r)
	case "f":
		r, err := client.GetFleet(ctx, &adminv1.GetFleetRequest{Local: local})
		if err != nil {
			return "", err
		}
		showFleet(&out, width, r)
	case "e":
		r, err := client.ListEvents(ctx, &adminv1.ListEventsRequest{Local: local, Limit: 200})
		if err != nil {
			return "", err
		}
		showEvents(&out, width, r)
	case "d":
		r, err := client.ListDeadLetters(ctx, &adminv1.ListDeadLettersRequest{Local: local})
		if err != nil {
			return "", err
		}
		showLetters(&out, width, r)
	default:
		r, err := client.ListTables(ctx, &adminv1.ListTablesRequest{Local: local})
		if err != nil {
			return "", err
		}
		showTables(&out, width, r)
	}
	return out.String(), nil
}

// Update implements tea.Model.
func (s *topScreen) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	next := s.take(message)
	return s, next
}

// take takes a message, and returns what is to be done.
func (s *topScreen) take(message tea.Msg) tea.Cmd {
	switch m := message.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = m.Width, m.Height
		return s.ask()
	case topTick:
		s.ticking = false
		return s.ask()
	case topAnswer:
		s.asking = false
		if m.view != s.view { // another one was chosen meanwhile
			return s.ask()
		}
		if s.err = m.err; m.err == nil {
			s.text, s.at = m.text, time.Now()
		}
		if s.ticking {
			return nil
		}
		s.ticking = true
		return tea.Tick(topEvery, func(time.Time) tea.Msg { return topTick{} })
	case tea.KeyPressMsg:
		return s.key(m.String())
	}
	return nil
}

func (s *topScreen) key(key string) tea.Cmd {
	switch key {
	case "q", "ctrl+c":
		return tea.Quit
	case "down", "j":
		s.top++
	case "up", "k":
		s.top--
	case "pgdown", "space":
		s.top += s.page()
	case "pgup":
		s.top -= s.page()
	case "home":
		s.top = 0
	}
	for _, v := range topViews {
		if v.key == key && key != s.view {
			s.view, s.text, s.top = key, "", 0
			return s.ask()
		}
	}
	return nil
}

// page is how many lines there are between the first two and the last.
func (s *topScreen) page() int { return max(1, s.height-4) }

// View implements tea.Model.
func (s *topScreen) View() tea.View {
	var out strings.Builder
	for _, v := range topViews {
		if v.key == s.view {
			fmt.Fprintf(&out, "\x1b[7m %s %s \x1b[0m ", v.key, v.name)
		} else {
			fmt.Fprintf(&out, " %s %s  ", v.key, v.name)
		}
	}
	out.WriteString("\n\n")
	lines := strings.Split(strings.TrimRight(s.text, "\n"), "\n")
	s.top = max(0, min(s.top, len(lines)-s.page()))
	for _, line := range lines[s.top:min(len(lines), s.top+s.page())] {
		out.WriteString(paint(line) + "\n")
	}
	switch {
	case s.err != nil:
		fmt.Fprintf(&out, "\x1b[31m%s\x1b[0m", oneLine(status.Convert(s.err).Message()))
	case s.at.IsZero():
		out.WriteString("asking …")
	default:
		fmt.Fprintf(&out, "\x1b[2m%s UTC   q quits, arrows scroll\x1b[0m", s.at.UTC().Format(time.TimeOnly))
	}
	v := tea.NewView(out.String())
	v.AltScreen = true
	return v
}

// paint colours a line by the state that it names.
func paint(line string) string {
	for _, c := range []struct{ word, colour string }{
		{"  stale ", "31"},
		{"  refused ", "31"},
		{"  error ", "31"},
		{"  late ", "33"},
		{"  stalled ", "33"},
		{"  waiting ", "33"},
		{"  warn ", "33"},
	} {
		if strings.Contains(line, c.word) {
			return "\x1b[" + c.colour + "m" + line + "\x1b[0m"
		}
	}
	return line
}
