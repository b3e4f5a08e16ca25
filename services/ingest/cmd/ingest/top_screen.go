package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"google.golang.org/grpc/status"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// topEvery is how often the terminal asks again.
const topEvery = 2 * time.Second

// watch shows the fleet until q.
func watch(ctx context.Context, a *query) error {
	conn, err := dial(a.Config, a.At)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = tea.NewProgram(&topScreen{
		ctx: ctx, client: adminv1.NewAdminServiceClient(conn), steer: adminv1.NewSteeringServiceClient(conn),
		local: a.Local, view: "t",
	}, tea.WithContext(ctx)).Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// topScreen is the model of the terminal: what is shown, and the last response.
type topScreen struct {
	ctx    context.Context // of the command
	client adminv1.AdminServiceClient
	steer  steers
	local  bool

	view          string // the key that chose it
	text          string
	at            time.Time
	err           error
	width, height int
	top           int // first line shown
	// filter keeps lines; typing, it is being typed. chosen is the line that Enter goes into, from the top of what is
	// shown; help is shown in place of all.
	filter       string
	typing, help bool
	chosen       int
	// table is the one whose lanes are shown; empty: all. names are the tables, or lanes, that are shown.
	table string
	names []string
	// act is what is about to be done; nil: nothing. said is how the last one ended, until the next key.
	act  *topAct
	said string
	// requesting and ticking: a response, and the next request, are on their way.
	requesting, ticking bool
}

var topViews = []struct{ key, name string }{
	{"t", "tables"}, {"l", "lanes"}, {"f", "fleet"}, {"e", "events"}, {"d", "dead letters"},
}

type (
	topResponse struct {
		view, text string
		names      []string
		err        error
	}
	topTick struct{}
)

// Init implements tea.Model.
func (s *topScreen) Init() tea.Cmd { return s.request() }

// request requests what is shown, unless that is under way.
func (s *topScreen) request() tea.Cmd {
	if s.requesting {
		return nil
	}
	s.requesting = true
	view, width, table := s.view, s.width, s.table
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(s.ctx, respondsWithin)
		defer cancel()
		text, names, err := topText(ctx, s.client, view, table, width, s.local)
		return topResponse{view + table, text, names, err}
	}
}

// topText is what a view shows, and the tables or lanes in it that one can choose.
func topText(
	ctx context.Context, client adminv1.AdminServiceClient, view, table string, width int, local bool,
) (text string, names []string, err error) {
	var out strings.Builder
	switch view {
	case "l":
		r, err := client.ListLanes(ctx, &adminv1.ListLanesRequest{Local: local, Table: table, Limit: 1000})
		if err != nil {
			return "", nil, err
		}
		showLanes(&out, width, r)
		for _, l := range r.GetLanes() {
			names = append(names, fmt.Sprintf("%s/%d", l.GetTopic(), l.GetPartition()))
		}
	case "f":
		r, err := client.GetFleet(ctx, &adminv1.GetFleetRequest{Local: local})
		if err != nil {
			return "", nil, err
		}
		showFleet(&out, width, r)
	case "e":
		r, err := client.ListEvents(ctx, &adminv1.ListEventsRequest{Local: local, Limit: 200})
		if err != nil {
			return "", nil, err
		}
		showEvents(&out, width, r)
	case "d":
		r, err := client.ListDeadLetters(ctx, &adminv1.ListDeadLettersRequest{Local: local})
		if err != nil {
			return "", nil, err
		}
		showLetters(&out, width, r)
	default:
		r, err := client.ListTables(ctx, &adminv1.ListTablesRequest{Local: local})
		if err != nil {
			return "", nil, err
		}
		showTables(&out, width, r)
		for _, t := range r.GetTables() {
			names = append(names, t.GetName())
		}
	}
	return out.String(), names, nil
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
		return s.request()
	case topTick:
		s.ticking = false
		return s.request()
	case topResponse:
		s.requesting = false
		if m.view != s.view+s.table { // another one was chosen meanwhile
			return s.request()
		}
		if s.err = m.err; m.err == nil {
			s.text, s.names, s.at = m.text, m.names, time.Now()
		}
		if s.ticking {
			return nil
		}
		s.ticking = true
		return tea.Tick(topEvery, func(time.Time) tea.Msg { return topTick{} })
	case topActed:
		s.acted(m)
	case tea.KeyPressMsg:
		return s.key(m.String())
	}
	return nil
}

func (s *topScreen) key(key string) tea.Cmd {
	switch {
	case key == "ctrl+c":
		return tea.Quit
	case s.typing:
		s.typed(key)
		return nil
	case s.act != nil:
		return s.acting(key)
	case s.help:
		s.help = key == "q" // any other key ends it
	}
	s.said = ""
	switch key {
	case "q":
		return tea.Quit
	case "down", "j":
		s.step(1)
	case "up", "k":
		s.step(-1)
	case "pgdown", "space":
		s.chosen += s.page()
	case "pgup":
		s.chosen -= s.page()
	case "home":
		s.chosen = 0
	case "/":
		s.typing, s.filter = true, ""
	case "?":
		s.help = true
	case "p", "m":
		s.act = s.begin(key)
	case "enter":
		return s.into()
	case "esc":
		if s.filter != "" {
			s.filter = ""
			return nil
		}
		if s.table != "" {
			return s.to("t", "")
		}
	}
	for _, v := range topViews {
		if v.key == key && (key != s.view || s.table != "") {
			return s.to(key, "")
		}
	}
	return nil
}

// step goes to the next line, or to the next table or lane where there is one in that direction.
func (s *topScreen) step(by int) {
	s.chosen += by
	lines := s.lines()
	for at := s.chosen; at >= 0 && at < len(lines); at += by {
		if s.name(lines[at]) != "" {
			s.chosen = at
			return
		}
	}
}

// typed takes a key of the filter.
func (s *topScreen) typed(key string) {
	switch {
	case key == "enter":
		s.typing = false
	case key == "esc":
		s.typing, s.filter = false, ""
	case key == "backspace":
		if runes := []rune(s.filter); len(runes) > 0 {
			s.filter = string(runes[:len(runes)-1])
		}
	case key == "space":
		s.filter += " "
	case len([]rune(key)) == 1:
		s.filter += key
	}
	s.chosen, s.top = 0, 0
}

// to shows something else.
func (s *topScreen) to(view, table string) tea.Cmd {
	s.view, s.table, s.text, s.names, s.top, s.chosen = view, table, "", nil, 0, 0
	return s.request()
}

// into goes from a table to its lanes.
func (s *topScreen) into() tea.Cmd {
	if name := s.onName(); s.view == "t" && name != "" {
		return s.to("l", name)
	}
	return nil
}

// name is the table or lane that a line is about; empty: none.
func (s *topScreen) name(line string) string {
	words := strings.Fields(line)
	if len(words) > 1 && strings.HasPrefix(line, "  ") && slices.Contains(s.names, words[0]) {
		return words[0]
	}
	return ""
}

// onName is that of the chosen line.
func (s *topScreen) onName() string {
	if lines := s.lines(); s.chosen < len(lines) {
		return s.name(lines[s.chosen])
	}
	return ""
}

// lines are those that the filter keeps; what has no filter to respond to, headings and sentences, stays.
func (s *topScreen) lines() []string {
	lines := strings.Split(strings.TrimRight(s.text, "\n"), "\n")
	if s.filter == "" {
		return lines
	}
	kept := lines[:0:0]
	for _, line := range lines {
		if strings.Contains(strings.ToLower(line), strings.ToLower(s.filter)) {
			kept = append(kept, line)
		}
	}
	return kept
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
	lines := s.lines()
	if s.help {
		lines = strings.Split(topHelp, "\n")
	}
	s.chosen = max(0, min(s.chosen, len(lines)-1))
	s.top = max(0, min(s.top, s.chosen, len(lines)-1))
	s.top = max(s.top, s.chosen-s.page()+1)
	from := s.top
	if s.help {
		from = 0
	}
	for i, line := range lines[from:min(len(lines), from+s.page())] {
		mark := ""
		if from+i == s.chosen && !s.help && s.name(line) != "" {
			mark = "\x1b[4m" // underlined
		}
		out.WriteString(mark + paint(line) + "\x1b[0m\n")
	}
	switch {
	case s.typing:
		fmt.Fprintf(&out, "/%s_", s.filter)
	case s.act != nil:
		out.WriteString(s.act.prompt())
	case s.said != "":
		out.WriteString(s.said)
	case s.err != nil:
		fmt.Fprintf(&out, "\x1b[31m%s\x1b[0m", oneLine(status.Convert(s.err).Message()))
	case s.at.IsZero():
		out.WriteString("asking …")
	default:
		said := ""
		if s.table != "" {
			said = "   lanes of " + s.table
		}
		if s.filter != "" {
			said += "   /" + s.filter
		}
		fmt.Fprintf(&out, "\x1b[2m%s UTC%s   ? help, q quits\x1b[0m", s.at.UTC().Format(time.TimeOnly), said)
	}
	v := tea.NewView(out.String())
	v.AltScreen = true
	return v
}

const topHelp = `  t  tables      which is stale, and why
  l  lanes       one for each partition, the furthest behind first
  f  fleet       processes, and the plan of each ingest
  e  events      what happened, the newest first
  d  dead letters

  ↑ ↓  choose a line        Enter  from a table to its lanes
  /    filter lines         Esc    back: from the filter, from the lanes of a table
  p    pause the lane, or all lanes of the table, that is chosen
  m    move the lane that is chosen to another writer; both say first what would happen
  ?    this                 q      quit`

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
