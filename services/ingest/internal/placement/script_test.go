package placement

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// The scripts in testdata/scripts say what happens and show what the core decides:
//
//	join w1 w2          writers serve          state w1 away REASON   a writer is in another state
//	leave w1            it drains, its lanes open elsewhere, it is gone from what is looked up
//	open orders 8 RATE  lanes 0 to 7 open      latency w1 3s          as the lanes measure it
//	load w1 LANES CPU   what it reports        run 10s                time passes; prints the moves
//	show                who carries what
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		w := newWorld("ingest-1")
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			arg := func(i int) string {
				if i < len(d.CmdArgs) {
					return d.CmdArgs[i].String()
				}
				return ""
			}
			number := func(i int) float64 {
				n, err := strconv.ParseFloat(arg(i), 64)
				if err != nil {
					t.Fatalf("%s: %v", d.Pos, err)
				}
				return n
			}
			duration := func(i int) time.Duration {
				n, err := time.ParseDuration(arg(i))
				if err != nil {
					t.Fatalf("%s: %v", d.Pos, err)
				}
				return n
			}
			var out strings.Builder
			switch d.Cmd {
			case "join":
				for i := range d.CmdArgs {
					w.join(arg(i))
				}
				w.observe()
			case "state":
				o := w.writer(arg(0))
				var why []string
				for _, a := range d.CmdArgs[2:] {
					why = append(why, a.String())
				}
				o.State, o.Why = State(arg(1)), strings.Join(why, " ")
				w.observe()
			case "leave":
				w.leave(arg(0))
			case "open":
				for i := range int(number(1)) {
					id := LaneID{arg(0), int32(i)}
					at, why, ok := w.core.Place(w.now, id)
					w.lanes = append(w.lanes, &simulated{LaneID: id, rate: number(2), at: at})
					fmt.Fprintf(&out, "%s at %s (%t): %s\n", id, at, ok, why)
				}
			case "latency":
				w.writer(arg(0)).Latency = duration(1)
			case "load":
				w.writer(arg(0)).Load = Load{Known: true, Lanes: number(1), Processor: number(2)}
			case "run":
				w.moves = nil
				began := w.now
				for end := w.now.Add(duration(0)); w.now.Before(end); {
					before := len(w.moves)
					w.run(w.tick)
					for _, m := range w.moves[before:] {
						fmt.Fprintf(&out, "%6v  %s\n", w.now.Sub(began), m.Reason)
					}
				}
			case "show":
				p := w.core.Picture()
				for _, o := range p.Writers {
					fmt.Fprintf(&out, "%s %s: %d lanes, %s of %s", o.Name, o.State, o.Lanes, percent(o.Share),
						percent(o.Fair))
					if o.Why != "" {
						fmt.Fprintf(&out, " (%s)", o.Why)
					}
					out.WriteString("\n")
				}
				if len(p.Unplaced) > 0 {
					fmt.Fprintf(&out, "without a writer: %v\n", p.Unplaced)
				}
			default:
				t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
			}
			return out.String()
		})
	})
}
