package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/verify"
)

const lettersTopic = stack.DeliveryTopic + stack.DeadLetters

// letterLine is what a test needs of a line of `dead-letters list -o json`.
type letterLine struct {
	Place, Reason, Type, Error string
	Byte                       *int
	ValueBytes                 int `json:"value_bytes"`
	Replayed                   bool
}

// deadLetters prepares a run of `ingest dead-letters`.
func (w *world) deadLetters(args ...string) *exec.Cmd {
	args = append([]string{"dead-letters"}, args...)
	return exec.CommandContext(w.ctx, filepath.Join(bin, "ingest"), append(args, "--config", w.Ingests[0].Config)...)
}

// letters runs `ingest dead-letters`, asserts its exit status, and returns what it says: on standard output, and when
// it fails on standard error too. That also gets the progress of a long look.
func (w *world) letters(status int, args ...string) string {
	w.t.Helper()
	cmd := w.deadLetters(args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		w.t.Fatal(err)
	}
	if code != 0 {
		out = append(out, errs.Bytes()...)
	}
	if code != status {
		w.t.Fatalf("dead-letters %s: exit status %d, want %d\n%s", strings.Join(args, " "), code, status, out)
	}
	return string(out)
}

func (w *world) listed(args ...string) []letterLine {
	w.t.Helper()
	var lines []letterLine
	for text := range strings.Lines(w.letters(0, append([]string{"list", "-o", "json"}, args...)...)) {
		var l letterLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			w.t.Fatalf("%s: %v", text, err)
		}
		lines = append(lines, l)
	}
	return lines
}

func (w *world) says(out string, patterns ...string) {
	w.t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(`(?m)` + p).MatchString(out) {
			w.t.Fatalf("no %s in\n%s", p, out)
		}
	}
}

// verifiedReplays waits until every record has its row or dead letter, so many of them replayed, and nothing is off.
func (w *world) verifiedReplays(replayed int64) verify.Report {
	w.t.Helper()
	var report verify.Report
	w.until("every record is in the table or a dead letter", func() (err error) {
		report, err = verify.Run(w.ctx, verify.Config{
			Seeds: w.Seeds(), Admin: "http://" + w.Endpoints.Admin, Topics: verify.Builtin("waybill")[:1],
		})
		if err == nil && report.Missing > 0 {
			err = errors.New(report.Line())
		}
		return err
	})
	var text bytes.Buffer
	_ = report.Print(&text)
	if !report.OK() || report.Replayed != replayed || report.Events != w.sent[stack.DeliveryTopic]+replayed ||
		report.Rows+report.DeadLetters != report.Events {
		w.t.Fatalf("%d records were sent and %d replayed:\n%s", w.sent[stack.DeliveryTopic], replayed, &text)
	}
	w.t.Log(report.Line())
	return report
}

// corrected restarts ingest with a contract that takes the type of the version to come.
func (w *world) corrected() {
	w.t.Helper()
	ingest := w.Ingests[0]
	if err := ingest.Stop(60 * time.Second); err != nil {
		w.t.Fatal(err)
	}
	text, err := os.ReadFile(ingest.Config)
	if err != nil {
		w.t.Fatal(err)
	}
	const before = "  - builtin: delivery.v6\n"
	after := before + "    types: [contracts.delivery.delivery_events_v6.*, contracts.delivery.delivery_events_v7.*]\n"
	if !bytes.Contains(text, []byte(before)) {
		w.t.Fatalf("%s has no %q", ingest.Config, before)
	}
	if err := os.WriteFile(ingest.Config, bytes.Replace(text, []byte(before), []byte(after), 1), 0o644); err != nil {
		w.t.Fatal(err)
	}
	w.restart(ingest)
}

// Records of a type that the contract forgot: listed, shown, the contract corrected, replayed; their rows arrive, each
// once. Those that cannot be decoded would only fail again, and stay.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{})
	sum := w.produce(stack.DeliveryTopic, 2000, events.Config{Size: 4000, TruncatedEvery: 60, UnknownTypeEvery: 12})
	w.settled()
	if sum.Truncated == 0 || sum.UnknownTypes == 0 {
		t.Fatalf("the load has no bad records: %+v", sum)
	}
	lines := w.listed()
	counts := map[string]int64{}
	var cut letterLine
	for _, l := range lines {
		counts[l.Reason]++
		if l.Reason == "undecodable" && l.Byte != nil {
			cut = l
		}
	}
	if counts["undecodable"] != sum.Truncated || counts["unknown_type"] != sum.UnknownTypes || cut.Place == "" {
		t.Fatalf("listed %v, produced %+v", counts, sum)
	}
	w.says(w.letters(0, "list", "--topic", lettersTopic),
		`^  letter +record +written \(UTC\) +reason +contract +type +field +replayed +error$`,
		`^ +\d+/\d+ +\d+/\d+ +20.* no `, fmt.Sprintf(
			`^ +%d +0 +unknown_type +- +contracts\.delivery\.delivery_events_v7\.DeliveryRoutedV7$`,
			sum.UnknownTypes),
		fmt.Sprintf(`^%d dead letters: %d pending, 0 replayed; the first 50 are shown`, len(lines), len(lines)))
	if got := w.listed("--reason", "unknown_type", "--type", "contracts.delivery.delivery_events_v7.*", "--partition",
		"0,1,2,3,4,5,6,7", "--offset", "0..", "--since", "1h"); int64(len(got)) != sum.UnknownTypes {
		t.Errorf("%d of a type are listed", len(got))
	}
	shown := w.letters(0, "show", cut.Place)
	w.says(shown, "^"+cut.Place+"$", `^  reason     undecodable$`, `^  headers    item_type_name: "contracts`,
		fmt.Sprintf(`\^ byte %d$`, *cut.Byte))
	value := filepath.Join(t.TempDir(), "value")
	w.letters(0, "show", cut.Place, "--out", value)
	if info, err := os.Stat(value); err != nil || info.Size() != int64(cut.ValueBytes) {
		t.Errorf("the value of %s in a file: %v, %v", cut.Place, info, err)
	}
	w.says(w.letters(1, "show", stack.DeliveryTopic+"/0/999999"),
		`no dead letter of `+stack.DeliveryTopic+`/0/999999 is in `+lettersTopic)

	// Nothing to gain yet.
	w.says(w.letters(1, "replay", "--all"), fmt.Sprintf(`^%d letters skipped: would fail again$`, len(lines)),
		fmt.Sprintf(`^replayed 0 records; 0 already replayed, %d skipped$`, len(lines)))
	w.corrected()
	w.says(w.letters(0, "replay", "--reason", "unknown_type", "--dry-run"),
		fmt.Sprintf(`^would replay %d records; 0 already replayed, 0 skipped$`, sum.UnknownTypes))
	w.says(w.letters(0, "replay", "--reason", "unknown_type", "--limit", "3"),
		`^replayed 3 records; 0 already replayed, 0 skipped; stopped at --limit=3`)
	w.says(w.letters(1, "replay", "--all"), fmt.Sprintf(`^replayed %d records; 3 already replayed, %d skipped$`,
		sum.UnknownTypes-3, sum.Truncated))
	w.says(w.letters(0, "replay", "--reason", "unknown_type"),
		fmt.Sprintf(`^replayed 0 records; %d already replayed, 0 skipped$`, sum.UnknownTypes))
	report := w.verifiedReplays(sum.UnknownTypes)
	if report.DeadLetters != sum.Truncated+sum.UnknownTypes {
		t.Errorf("%d dead letters", report.DeadLetters)
	}
	w.says(w.letters(0, "list", "--pending"), fmt.Sprintf(`^%d dead letters: %d pending, 0 replayed$`, sum.Truncated,
		sum.Truncated))
	// Partitions end with markers of the replays now, which are nothing to wait for.
	w.until("no lane reports a lag", func() error {
		lanes, err := w.Ingests[0].Lanes(w.ctx)
		for _, l := range lanes {
			if l.Lag != 0 {
				err = errors.Join(err, fmt.Errorf("%s/%d has a lag of %d at %d", l.Topic, l.Partition, l.Lag,
					l.Position))
			}
		}
		return err
	})
}

// A replay that is killed in the middle, again and again, and replays that run at once: each record is replayed once.
func TestReplaysInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{})
	sum := w.produce(stack.DeliveryTopic, 3000, events.Config{Size: 4000, TruncatedEvery: -1, UnknownTypeEvery: 1})
	w.settled()
	if sum.UnknownTypes != 3000 {
		t.Fatalf("produced %+v", sum)
	}
	w.corrected()
	// The coordinator is slow, so that a kill finds transactions open.
	w.fault("kafka", map[string]any{"key": "EndTxn", "error": "CONCURRENT_TRANSACTIONS", "count": 12})
	pending := func() int { return len(w.listed("--pending")) }
	for round := range 3 {
		before := w.end(lettersTopic)
		replay := w.deadLetters("replay", "--all", "--no-check")
		if err := replay.Start(); err != nil {
			t.Fatal(err)
		}
		w.until("a part is replayed", func() error {
			if now := w.end(lettersTopic); now < before+int64(100+round*250) {
				return fmt.Errorf("%d marks", now-before)
			}
			return nil
		})
		if err := replay.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := replay.Wait(); err == nil {
			t.Fatal("the replay had ended before it was killed")
		}
	}
	left := pending()
	if left == 0 || left == 3000 {
		t.Fatalf("%d of 3000 are pending after the kills", left)
	}
	t.Logf("%d of 3000 are pending after the kills", left)

	w.fault("kafka", map[string]any{"key": "EndTxn", "error": "CONCURRENT_TRANSACTIONS", "count": 12})
	var all sync.WaitGroup
	outs := make([]string, 3)
	for i := range outs {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(w.ctx, 10*time.Minute)
			defer cancel()
			cmd := w.deadLetters("replay", "--all")
			stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
			defer stop()
			out, err := cmd.CombinedOutput()
			outs[i] = fmt.Sprintf("%s(%v)", out, err)
		})
	}
	all.Wait()
	finished := 0
	for _, out := range outs {
		t.Log(out)
		if strings.HasSuffix(out, "(<nil>)") {
			finished++
		} else if !strings.Contains(out, "another replay of the topic has taken over") {
			t.Errorf("a replay failed for another reason:\n%s", out)
		}
	}
	if finished == 0 {
		t.Error("no replay has finished")
	}
	w.says(w.letters(0, "replay", "--all"), `^replayed 0 records; 3,000 already replayed, 0 skipped$`)
	w.verifiedReplays(3000)
}

// end is the sum of the ends of a topic's partitions.
func (w *world) end(topic string) int64 {
	w.t.Helper()
	n, err := w.log.Produced(w.ctx, topic)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}
