package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// terminal is a shell in a tmux of its own, in which one types.
type terminal struct {
	*world
	socket string
}

// newTerminal opens one; the test is skipped where there is no tmux.
func (w *world) newTerminal() *terminal {
	w.t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		w.t.Skip("there is no tmux: install it to have the commands tried in a terminal")
	}
	term := &terminal{w, filepath.Join(w.Config.Dir, "tmux")}
	w.t.Cleanup(func() { // the context of the test has ended by then
		if out, err := exec.Command("tmux", "-S", term.socket, "kill-server").CombinedOutput(); err != nil {
			w.t.Errorf("end tmux: %v: %s", err, out)
		}
	})
	if out, err := term.tmux("-f", "/dev/null", "new-session", "-d", "-x", "150", "-y", "36", "-c", w.Config.Dir,
		"env PS1='> ' sh"); err != nil {
		w.t.Fatalf("tmux: %v: %s", err, out)
	}
	return term
}

func (t *terminal) tmux(args ...string) (string, error) {
	out, err := exec.CommandContext(t.ctx, "tmux", append([]string{"-S", t.socket}, args...)...).CombinedOutput()
	return string(out), err
}

// keys presses keys, by tmux's names.
func (t *terminal) keys(keys ...string) {
	t.t.Helper()
	if out, err := t.tmux(append([]string{"send-keys"}, keys...)...); err != nil {
		t.t.Fatalf("tmux: %v: %s", err, out)
	}
}

// run types a command line on an empty screen, with its exit status behind what it says.
func (t *terminal) run(line string) {
	t.t.Helper()
	t.keys("clear; "+line+`; echo "status $?"`, "Enter")
}

// shows waits until the screen has all of these.
func (t *terminal) shows(wants ...string) {
	t.t.Helper()
	t.until(fmt.Sprintf("the terminal shows %q", wants), func() error { return t.lacks(wants...) })
}

// lacks is an error unless the screen has all of these now.
func (t *terminal) lacks(wants ...string) error {
	screen, err := t.tmux("capture-pane", "-p")
	if err != nil {
		return err
	}
	for _, want := range wants {
		if !strings.Contains(screen, want) {
			return fmt.Errorf("%q is missing in\n%s", want, screen)
		}
	}
	return nil
}

// Every command that looks, reloads, skips and replays is typed in a terminal, its keys are pressed, and its exit
// status is what its help says;
// with -o json each prints JSON. The picture of `ingest top` goes to the artifacts.
func TestCommandsInATerminal(t *testing.T) {
	t.Parallel()
	w := watched(t)
	term := w.newTerminal()
	in := filepath.Join(bin, "ingest") + " %s -c " + w.Ingests[0].Config
	command := func(args string) string { return fmt.Sprintf(in, args) }

	w.fault("bigquery", map[string]any{"kind": "quota", "method": "append"})
	w.produce(stack.DeliveryTopic, 200, events.Config{Seed: 2})
	term.run(command("top"))
	term.shows("t tables", "delivery_events", "stale", "BigQuery's quota, or an outage", "? help")
	drawn, err := term.tmux("capture-pane", "-p", "-e")
	if err != nil {
		t.Fatal(err)
	}
	keepFile(t, "top.svg", picture(drawn))
	for key, wants := range map[string][]string{
		"l": {"lane ", "position", stack.DeliveryTopic + "/3"},
		"f": {"The plan of", "saturation"},
		"e": {"lane open"},
		"d": {"undecodable", "one of them"},
		"?": {"filter lines"},
	} {
		term.keys(key)
		term.shows(wants...)
	}
	term.keys("l")
	term.shows("position", stack.DeliveryTopic+"/3")
	term.keys("Down", "p") // the first lane
	term.shows("pause "+stack.DeliveryTopic+"/", "for: 10m_")
	term.keys("Enter")
	term.shows("Enter does it, Esc does not: ", "would be paused")
	term.keys("Escape")
	term.shows("? help, q quits") // Escape and a key at once are another key
	term.keys("m")
	term.shows("to writer: _")
	term.keys("writer-22", "Enter")
	term.shows(`the nearest is "writer-2"`)
	term.keys("t")
	term.shows("where the time goes")
	term.keys("/", "stock", "Enter")
	term.shows("/stock", "physical_stock_events")
	term.keys("Escape")
	term.shows("delivery_events")
	term.keys("Down", "Enter") // the first table
	term.shows("lanes of delivery_events", "quota")
	term.keys("Escape")
	term.shows("where the time goes")
	term.keys("q")
	term.shows("status 0")
	term.run(command("top --once"))
	term.shows("is", "stale", "status 1")
	if err := w.ClearFaults(w.ctx, "bigquery", ""); err != nil {
		t.Fatal(err)
	}
	w.settled()

	place := stack.DeliveryTopic + "/0/0"
	term.run(command("plan"))
	term.shows("The load needs", "status 0")
	term.run(command("events --filter 'lane open' --limit 5"))
	term.shows("lane open", "status 0")
	term.run(command("explain " + place))
	term.shows(place+": it is settled", "contract", "status 0")
	term.run(command("tap --for 1s"))
	term.shows("0 records shown", "status 1")
	term.run(command("tap --at nowhere"))
	term.shows("must be one of", "status 2")
	term.run(command("explain 7"))
	term.shows("topic/partition/offset", "status 2")
	term.run(command("tap --limit 1 --for 2m"))
	w.until("the tap shows a record", func() error { // which passes once it looks
		w.produce(stack.DeliveryTopic, 200, events.Config{Seed: 3})
		return term.lacks("1 record shown", "status 0")
	})

	w.settled()
	term.run(command("reload --validate"))
	term.shows("The contracts are those in use already", "Request id:", "status 0")
	term.run(command("reload --back"))
	term.shows("there is nothing to go back to", "status 1")
	term.run(command("reload --sometime"))
	term.shows("unknown flag --sometime", "status 2")
	term.run(command("skip " + place + " --reason 'a try'"))
	term.shows("is settled already", "status 1")
	term.run(command("skip " + place))
	term.shows("--reason: is needed", "status 2")
	replay := "replay --name typed --topic " + stack.DeliveryTopic + " --to @20 --into typed"
	term.run(command(replay + " --validate"))
	term.shows("Rows of delivery_events go to typed.", stack.DeliveryTopic+"/3", "status 0")
	term.run(command(replay))
	term.shows("80 of 80 offsets are settled", "status 0")
	term.run(command(replay + "_again"))
	term.shows("goes into delivery_events=typed", "status 1")
	term.run(command("replay --name typed --topic " + stack.DeliveryTopic))
	term.shows("where do rows go?", "status 2")
	term.run(command("replays"))
	term.shows("typed", "done", "100% of 80", "status 0")
	term.run(command("replays --stop tipped"))
	term.shows(`the nearest is "typed"`, "status 1")
	term.run(command("replays --validate"))
	term.shows("are for --stop NAME", "status 2")

	for _, args := range [][]string{
		{"top", "--once"},
		{"plan"},
		{"events"},
		{"explain", place},
		{"contracts", "list"},
		{"replays"},
		{"pause", "--list"},
		{"contracts", "diff"},
		{"dead-letters", "replay", "--all", "--dry-run", "--no-check"},
		{"reload", "--validate"},
		{"replay", "--name", "typed", "--topic", stack.DeliveryTopic, "--into", "typed"},
		{"dead-letters", "show", "--topic", stack.DeliveryTopic, "--limit", "1"},
		{"check"},
		{"health"},
	} {
		out, errs, code := w.ingest(append(args, "-o", "json")...)
		if !json.Valid([]byte(out)) || code != 0 {
			t.Errorf("%v -o json: status %d: %s%s", args, code, out, errs)
		}
	}
	for _, line := range []string{
		"ingest version", "writer version", "writer check -c " + w.Writers[0].Config,
		"writer health -c " + w.Writers[0].Config,
	} {
		words := strings.Fields(line)
		words = append(words, "-o", "json")
		out, err := exec.CommandContext(w.ctx, filepath.Join(bin, words[0]), words[1:]...).Output()
		if !json.Valid(out) || err != nil {
			t.Errorf("%s -o json: %v: %s", line, err, out)
		}
	}
	// A letter has all that is known of its record.
	out, _, _ := w.ingest("dead-letters", "show", "--topic", stack.DeliveryTopic, "--limit", "1", "-o", "json")
	var letter struct {
		Place, Reason, Error string
		Headers              []struct{ Name, Value string }
		Value                []byte `json:"value_base64"`
	}
	if err := json.Unmarshal([]byte(out), &letter); err != nil || letter.Reason != "undecodable" ||
		!strings.HasPrefix(letter.Place, stack.DeliveryTopic+"/") || len(letter.Headers) == 0 ||
		len(letter.Value) == 0 {
		t.Errorf("a dead letter: %v, %s", err, out)
	}
}

// keepFile writes what a test has made to its artifacts, and to the folder SCREENS where that is set.
func keepFile(t *testing.T, name, text string) {
	t.Helper()
	dirs := []string{t.ArtifactDir()}
	if dir := os.Getenv("SCREENS"); dir != "" {
		dirs = append(dirs, dir)
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
