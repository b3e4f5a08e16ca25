package e2e

import (
	"fmt"
	"testing"

	"github.com/waybill-data/waybill/e2e/stack"
)

// The acts on lanes and writers are typed in a terminal: what they would do, what they did, what is refused and why,
// and which status a script gets.
func TestActsInATerminal(t *testing.T) {
	t.Parallel()
	w := watched(t)
	term := w.newTerminal()
	typed := func(args string, wants ...string) {
		t.Helper()
		term.run("ingest " + args + " -c " + w.Ingests[0].Config)
		term.shows(wants...)
	}
	term.keys("PATH="+bin+":$PATH", "Enter")
	topic := stack.DeliveryTopic
	lane := "--topic " + topic + " --partition 1"

	typed("pause "+lane+" --for 1h --validate", topic+"/1 (1 lanes) would be paused until", "status 0")
	typed("pause --list", "Nothing is paused.", "status 0")
	typed("pause "+lane+" --for 1h --reason 'a try'", topic+"/1 (1 lanes) paused until", "Request id: ", "status 0")
	typed("pause --list", "paused as", "somebody at", "a try", "status 0")
	typed("pause "+lane, "is not within 1s and 144h", "status 1")
	typed("pause --topic "+topic+"s --for 1h", `the nearest is "`+topic+`"`, "status 1")
	typed("pause --until tomorrow", "unknown flag --until", "status 2")
	typed("resume "+lane+" --validate", topic+"/1 would be resumed: 1 lanes are paused", "status 0")
	typed("resume "+lane, topic+"/1 resumed (1 lanes)", "Earlier, at ", "a try", "status 0")
	typed("resume --table delivery_events", "Nothing of ", "is paused", "status 0")

	other := map[string]string{"writer": "writer-2", "writer-2": "writer"}
	// where is the writer that has the lane, once the lane is open; all of the topic where they are to be at one.
	where := func(at string) (writer string) {
		t.Helper()
		w.until("the lanes are open "+at, func() error {
			lanes, err := w.Ingests[0].Lanes(w.ctx)
			for _, l := range lanes {
				if l.State != "open" || at != "" && l.Writer != at {
					return fmt.Errorf("%s/%d is %s at %q", l.Topic, l.Partition, l.State, l.Writer)
				}
				if l.Topic == topic && l.Partition == 1 {
					writer = l.Writer
				}
			}
			if err == nil && other[writer] == "" {
				return fmt.Errorf("it is at %q", writer)
			}
			return err
		})
		return writer
	}
	from := where("")
	typed("move "+lane+" --to "+other[from]+" --validate", "would move from "+from+" to "+other[from], "status 0")
	typed("move "+lane+" --to "+other[from], "moves from "+from+" to "+other[from], "status 0")
	where("")
	typed("move "+lane+" --to writer-22", `the nearest is "writer-2"`, "status 1")
	typed("move "+lane, "missing flags: --to=WRITER", "status 2")
	typed("drain --writer writer-2 --for 1h --validate", "It would be that", "leave writer writer-2", "status 0")
	typed("drain --writer writer-2 --for 1h", "none is opened there until", "status 0")
	where("writer")
	typed("drain --writer writer", "no other writer than writer takes", "status 1")
	typed("drain --writer writer-2 --end", "Writer writer-2 takes lanes again", "status 0")
	typed("drain --writer writer-2 --for 25h", "is not within 1s and 24h", "status 1")
	typed("spread --validate", "1 ingest(s) would spread their lanes", "status 0")
	typed("spread", "1 ingest(s) spread their lanes", "Request id: ", "status 0")
	typed("events --filter drain", "drain writer", "status 0")
	w.settled()
	w.verified()
}
