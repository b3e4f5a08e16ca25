package lane

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

func (s *script) render(r *lanev1.LaneResponse) string {
	keep := func(position int64, token string) { s.seen, s.seenAt = &token, position }
	switch m := r.GetMessage().(type) {
	case *lanev1.LaneResponse_Opened:
		keep(s.end, m.Opened.GetCheckpoint())
		out := "opened " + show(m.Opened.GetCheckpoint())
		for _, p := range m.Opened.GetReplay() {
			out += fmt.Sprintf(" replay %s=%d", s.routes[p.GetRoute()], p.GetRows())
		}
		if len(m.Opened.GetLeftOut()) > 0 {
			out += fmt.Sprintf(" skip %v", m.Opened.GetLeftOut())
		}
		return out
	case *lanev1.LaneResponse_Checkpoint:
		keep(m.Checkpoint.GetPosition(), m.Checkpoint.GetCheckpoint())
		return fmt.Sprintf("checkpoint %d at %d %s", m.Checkpoint.GetBarrier(), m.Checkpoint.GetPosition(),
			show(m.Checkpoint.GetCheckpoint()))
	case *lanev1.LaneResponse_Settled:
		keep(m.Settled.GetPosition(), m.Settled.GetCheckpoint())
		return fmt.Sprintf("settled %d at %d %s", m.Settled.GetSequence(), m.Settled.GetPosition(),
			show(m.Settled.GetCheckpoint()))
	case *lanev1.LaneResponse_Refused:
		out := fmt.Sprintf("refused in %d:", m.Refused.GetSequence())
		for _, row := range m.Refused.GetRows() {
			out += fmt.Sprintf(" %s[%d] %s %q", s.routes[row.GetRoute()], row.GetRow(), row.GetCode(), row.GetMessage())
		}
		return out
	case *lanev1.LaneResponse_Closed:
		keep(m.Closed.GetPosition(), m.Closed.GetCheckpoint())
		s.position, s.token = m.Closed.GetPosition(), m.Closed.GetCheckpoint()
		return fmt.Sprintf("closed at %d %s", m.Closed.GetPosition(), show(m.Closed.GetCheckpoint()))
	}
	text, _ := proto.Marshal(r)
	if d := r.GetDrain(); d != nil {
		return fmt.Sprintf("drain: %s within %v", d.GetReason(), d.GetWithin().AsDuration())
	}
	return fmt.Sprintf("%x", text)
}

// show prints a token for people.
func show(token string) string {
	if token == "" {
		return "{none}"
	}
	c, err := checkpoint.Decode(token)
	if err != nil {
		return err.Error()
	}
	var parts []string
	if c.Clean {
		parts = append(parts, "clean")
	}
	for _, t := range c.Tables {
		part := short(t.Name)
		if t.Stream != "" {
			part += fmt.Sprintf(" %s rows %d", short(t.Stream), t.Rows)
		}
		if t.Tainted {
			part += " tainted"
		}
		if t.Drop > 0 {
			part += fmt.Sprintf(" drop %d", t.Drop)
		}
		parts = append(parts, part)
	}
	for i, r := range c.LeftOut {
		if i == 5 {
			parts = append(parts, fmt.Sprintf("and %d more", len(c.LeftOut)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("left out %d..%d", r.From, r.To-1))
	}
	return "{" + strings.Join(parts, "; ") + "}"
}

func short(name string) string { return name[strings.LastIndex(name, "/")+1:] }

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
