package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// watched is a stack with a goal of freshness and a few events in its tables.
func watched(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, stack.Config{
		Writers: 2, Ingests: 1, DeliveryPartitions: 4, StockPartitions: 2,
		Contracts: "  - builtin: delivery.v6\n    freshness: {goal: 2s, stale: 5s}\n  - builtin: stock.v1\n",
	})
	w.produce(stack.DeliveryTopic, 400, events.Config{Seed: 1, TruncatedEvery: 50})
	w.settled()
	return w
}

// The status page in a browser, in the widths of a desk and of a phone: each screen says what it is for, nothing runs
// over the edge, and it follows what happens without being loaded again: BigQuery runs out of quota, the table is stale
// and the page says why, and when there is quota again it has recovered. Pictures go to the artifacts (-artifacts).
func TestStatusPageInABrowser(t *testing.T) {
	t.Parallel()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium: install it to have the page driven in a browser")
	}
	w := watched(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox)
	browsers, stop := chromedp.NewExecAllocator(w.ctx, options...)
	defer stop()
	page, closePage := chromedp.NewContext(browsers)
	defer closePage()
	url := "http://" + w.Ingests[0].Admin
	lane := "/lane?topic=" + stack.DeliveryTopic + "&partition=0"
	for name, screen := range map[string]struct{ path, want string }{
		"tables": {"/", "delivery_events"}, "table": {"/table?name=delivery_events", "4 lanes"},
		"lane": {lane, "/streams/"}, "fleet": {"/fleet", "The load needs"}, "events": {"/events", "lane open"},
		"letters": {"/letters", "undecodable"}, "contracts": {"/contracts", "delivery.v6"},
		"replays": {"/replays", "Nothing is replayed, and nothing was"}, "runbook": {"/runbook#quota", "out of quota"},
	} {
		for _, width := range []int64{1280, 390} {
			if err := chromedp.Do(page, chromedp.EmulateViewport(width, 844), chromedp.Navigate(url+screen.path),
				chromedp.WaitVisible(chromedp.CSS("#live.on"))); err != nil {
				t.Fatalf("%s at %d: %v", name, width, err)
			}
			text := shown(page, t)
			overflow, err := chromedp.Run(page, chromedp.Evaluate[int](
				"document.documentElement.scrollWidth - innerWidth"))
			if err != nil {
				t.Fatalf("%s at %d: %v", name, width, err)
			}
			if !strings.Contains(text, screen.want) {
				t.Errorf("%s at %d does not say %q:\n%s", name, width, screen.want, text)
			}
			if overflow > 0 {
				t.Errorf("%s at %d runs %d pixels over the edge", name, width, overflow)
			}
			if width < 760 && !labelled(page, t) {
				t.Errorf("%s at %d has labels upon their values", name, width)
			}
			keep(page, t, fmt.Sprintf("%s-%d.png", name, width))
		}
	}

	w.recordsOnThePage(page, url)
	if err := chromedp.Do(page, chromedp.EmulateViewport(1280, 844), chromedp.Navigate(url+"/"),
		chromedp.WaitVisible(chromedp.CSS("#live.on"))); err != nil {
		t.Fatal(err)
	}
	w.fault("bigquery", map[string]any{"kind": "quota", "method": "append", "probability": 1})
	w.produce(stack.DeliveryTopic, 200, events.Config{Seed: 2})
	says := func(what string) {
		t.Helper()
		w.until("the page says "+what, func() error {
			text := shown(page, t)
			if !strings.Contains(text, what) {
				return fmt.Errorf("it says %s", text)
			}
			return nil
		})
	}
	says("quota, or an outage, since")
	says("1 stale")
	for _, width := range []int64{1280, 390} {
		if err := chromedp.Do(page, chromedp.EmulateViewport(width, 844)); err != nil {
			t.Fatal(err)
		}
		keep(page, t, fmt.Sprintf("stale-%d.png", width))
	}
	if err := chromedp.Do(page, chromedp.Navigate(url+"/fleet"),
		chromedp.WaitVisible(chromedp.CSS("#live.on"))); err != nil {
		t.Fatal(err)
	}
	says("1 table takes nothing: quota")
	if err := chromedp.Do(page, chromedp.Navigate(url+"/"),
		chromedp.WaitVisible(chromedp.CSS("#live.on"))); err != nil {
		t.Fatal(err)
	}
	if code, out := w.top("--once"); code != 1 || !strings.Contains(out, "stale") {
		t.Errorf("top --once with a stale table: status %d, %s", code, out)
	}
	if err := w.ClearFaults(w.ctx, "bigquery", ""); err != nil {
		t.Fatal(err)
	}
	says("recovered")
}

// recordsOnThePage looks at records that pass, and at what would become of those that are there, in both widths.
func (w *world) recordsOnThePage(page context.Context, url string) {
	w.t.Helper()
	flows, stop := context.WithCancel(w.ctx)
	var flow sync.WaitGroup
	flow.Go(func() {
		for seed := uint64(10); flows.Err() == nil; seed++ {
			w.produce(stack.DeliveryTopic, 20, events.Config{Seed: seed})
			time.Sleep(100 * time.Millisecond)
		}
	})
	defer flow.Wait()
	defer stop()
	for name, screen := range map[string]struct{ path, at, want string }{
		"tap":     {"/tap?table=delivery_events&at=row&limit=3&for=30s&go=1", "#ended", "3 records, of "},
		"preview": {"/preview?topic=" + stack.DeliveryTopic, "#previewed", "would become rows and "},
	} {
		for _, width := range []int64{1280, 390} {
			if err := chromedp.Do(page, chromedp.EmulateViewport(width, 844), chromedp.Navigate(url+screen.path),
				chromedp.WaitVisible(chromedp.CSS(screen.at))); err != nil {
				w.t.Fatalf("%s at %d: %v", name, width, err)
			}
			overflow, err := chromedp.Run(page, chromedp.Evaluate[int](
				"document.documentElement.scrollWidth - innerWidth"))
			if text := shown(page, w.t); err != nil || overflow > 0 || !strings.Contains(text, screen.want) {
				w.t.Errorf("%s at %d: %v, %d pixels over the edge, or it does not say %q:\n%s", name, width, err,
					overflow, screen.want, text)
			}
			keep(page, w.t, fmt.Sprintf("%s-%d.png", name, width))
		}
	}
}

// shown is the text of the page as it is now.
func shown(page context.Context, t *testing.T) string {
	t.Helper()
	text, err := chromedp.Run(page, chromedp.Evaluate[string]("document.querySelector('main').innerText"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// labelled reports whether each value of a list stands beside its label, where labels stand in rows.
func labelled(page context.Context, t *testing.T) bool {
	t.Helper()
	beside, err := chromedp.Run(page, chromedp.Evaluate[bool](
		"[...document.querySelectorAll('td[data-l]')].every(td => parseFloat(getComputedStyle(td).paddingLeft) > 99)"))
	if err != nil {
		t.Fatal(err)
	}
	return beside
}

// keep writes a picture of the page to the test's artifacts.
func keep(page context.Context, t *testing.T, name string) {
	t.Helper()
	picture, err := chromedp.Run(page, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	keepFile(t, name, string(picture))
}

// top runs `ingest top` and returns its exit status and what it prints.
func (w *world) top(args ...string) (int, string) {
	args = append([]string{"top", "-c", w.Ingests[0].Config}, args...)
	cmd := exec.CommandContext(w.ctx, filepath.Join(bin, "ingest"), args...)
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

// The lines of docs/status.md for grpcurl are copied and run as they are, but for the addresses; the commands for
// scripts print JSON, and their status is that of the tables.
func TestAdminAPIByHand(t *testing.T) {
	t.Parallel()
	w := watched(t)
	w.byHand("../docs/status.md", 20, func(line, out string) {
		want := `"responses"`
		switch {
		case strings.Contains(line, "/GetDrift"):
			want = `"at"`
		case strings.Contains(line, "/Tap"):
			want = `"counts"`
		case strings.Contains(line, "/Preview"):
			want = `"rowsBy"`
		}
		if !strings.Contains(out, want) {
			t.Errorf("%s\n%s", line, out)
		}
		if strings.Contains(line, `"partition": 0}`) && !strings.Contains(out, "/streams/") {
			t.Errorf("the lane's checkpoint is not decoded: %s", out)
		}
	})
	code, out := w.top("--once", "-o", "json")
	var tables struct {
		Tables []struct{ Name, State, Reason string }
	}
	if err := json.Unmarshal([]byte(out), &tables); err != nil || code != 0 || len(tables.Tables) != 2 {
		t.Errorf("top --once -o json: status %d, %v, %s", code, err, out)
	}
	if code, out := w.top("--once", "--at", "127.0.0.1:1"); code != 1 ||
		!strings.Contains(out, "is an ingest running there") {
		t.Errorf("where nobody listens: status %d, %s", code, out)
	}
	if code, out := w.top("--once", "-o", "xml"); code != 2 || !strings.Contains(out, "output") {
		t.Errorf("wrong usage: status %d, %s", code, out)
	}
}
