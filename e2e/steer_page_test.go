package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
)

// Every act in a browser: its form shows what would happen, does it when that is confirmed, and says who did what
// before; what is refused changes nothing and says why.
func TestActsInABrowser(t *testing.T) {
	t.Parallel()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium: install it to have the forms driven in a browser")
	}
	w := peered(t)
	w.produce(stack.DeliveryTopic, 100, events.Config{})
	w.settled()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox)
	browsers, stop := chromedp.NewExecAllocator(w.ctx, options...)
	defer stop()
	page, closePage := chromedp.NewContext(browsers)
	defer closePage()
	says := func(what string) {
		t.Helper()
		w.until("the page says "+what, func() error {
			// Between two pages there is nothing.
			text, err := chromedp.Run(page, chromedp.Evaluate[string](
				"document.querySelector('main')?.innerText ?? ''"))
			if err == nil && !strings.Contains(text, what) {
				err = fmt.Errorf("it says %s", text)
			}
			return err
		})
	}
	press := func(button string, fields map[string]string) {
		t.Helper()
		script := ""
		for name, value := range fields {
			script += fmt.Sprintf("document.querySelector('form.act [name=%s]').value = %q; ", name, value)
		}
		script += fmt.Sprintf("document.getElementById(%q).click(); true", button)
		if _, err := chromedp.Run(page, chromedp.Evaluate[bool](script)); err != nil {
			t.Fatal(err)
		}
	}
	var next int64 // offset of the record that lane 0 reads next
	for _, i := range w.Ingests {
		lanes, err := i.Lanes(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lanes {
			if l.Topic == stack.DeliveryTopic && l.Partition == 0 {
				next = l.Position
			}
		}
	}
	for _, act := range []struct {
		query       string
		fields      map[string]string
		would, done string
	}{
		{
			"pause&topic=" + stack.DeliveryTopic + "&partition=0",
			map[string]string{"for": "2h", "reason": "a try"},
			"would be paused until", "paused until",
		},
		{"pause&table=delivery_events", map[string]string{"for": "1h"}, "Earlier, at", "paused until"},
		{
			"skip&topic=" + stack.DeliveryTopic + "&partition=0",
			map[string]string{"offset": fmt.Sprint(next), "reason": "its producer is at fault"},
			"would become a dead letter once its lane is there", "becomes a dead letter once its lane is there",
		},
		{"resume&table=delivery_events", nil, "would be resumed", "resumed (4 lanes)"},
		{
			"drain",
			map[string]string{"writer": "writer-2", "for": "10m"},
			"would be that",
			"lanes leave writer writer-2",
		},
		{"undrain&writer=writer-2", nil, "would be that", "takes lanes again"},
		{"spread", nil, "would spread", "2 ingest(s) spread"},
		{
			"replay&topic=" + stack.DeliveryTopic,
			map[string]string{"name": "page", "into": "paged", "to": "@3"},
			"would be replayed into paged",
			"are being replayed by",
		},
		{"stop&name=page", nil, "eplay page ", "eplay page "},
		{"reload", nil, "ontract delivery.v6 would change", "ontract delivery.v6 changed, and 4 lanes opened again"},
		{"rollback", nil, "ontract delivery.v6 would change", "ontract delivery.v6 changed back"},
		{
			"letters&topic=" + stack.DeliveryTopic, nil, "1 record would be replayed",
			"ead letters are being replayed by",
		},
	} {
		switch what, _, _ := strings.Cut(act.query, "&"); what {
		case "skip": // of what comes while the lanes rest
			w.states(stack.DeliveryTopic, "paused")
			w.produce(stack.DeliveryTopic, 100, events.Config{TruncatedEvery: -1, UnknownTypeEvery: -1})
		case "letters": // of the record that was skipped
			w.settled()
		case "reload":
			for _, i := range w.Ingests {
				const entry = "  - builtin: delivery.v6\n"
				w.replaced(i.Config, entry, entry+"    freshness: {goal: 40s}\n")
			}
		}
		if err := chromedp.Do(page, chromedp.EmulateViewport(390, 844),
			chromedp.Navigate("http://"+w.Ingests[1].Admin+"/act?do="+act.query),
			chromedp.WaitVisible(chromedp.CSS("form.act"))); err != nil {
			t.Fatalf("%s: %v", act.query, err)
		}
		press("validate", act.fields)
		says(act.would)
		keep(page, t, strings.SplitN(act.query, "&", 2)[0]+".png")
		press("do", nil)
		says(act.done)
		says("Events have who did what")
	}
	for _, width := range []int64{1280, 390} { // what the forms have begun, as the other ingest tells it
		if err := chromedp.Do(page, chromedp.EmulateViewport(width, 844),
			chromedp.Navigate("http://"+w.Ingests[0].Admin+"/replays"),
			chromedp.WaitVisible(chromedp.CSS("#live.on"))); err != nil {
			t.Fatal(err)
		}
		says("delivery_events → paged")
		overflow, err := chromedp.Run(page, chromedp.Evaluate[int]("document.documentElement.scrollWidth - innerWidth"))
		if err != nil || overflow > 0 || width < 760 && !labelled(page, t) {
			t.Errorf("replays at %d: %v, %d pixels over the edge, or labels upon their values", width, err, overflow)
		}
		keep(page, t, fmt.Sprintf("replays-two-%d.png", width))
	}
	if err := chromedp.Do(page, chromedp.Navigate("http://"+w.Ingests[0].Admin+"/act?do=move&topic="+
		stack.DeliveryTopic), chromedp.WaitVisible(chromedp.CSS("form.act"))); err != nil {
		t.Fatal(err)
	}
	press("validate", map[string]string{"partition": "0", "writer": "writer-22"})
	says(`Refused: there is no writer "writer-22"; the nearest is "writer-2"`)
	w.states(stack.DeliveryTopic, "open")
	press("validate", map[string]string{"writer": "writer-2"})
	says("writer-2")
	if code, out := w.at(w.Ingests[0], "events", "--filter", "operator: "); code != 0 ||
		!strings.Contains(out, "the status page") {
		t.Errorf("events: status %d, %s", code, out)
	}
}
