//go:build unix

package statuspage

import (
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
)

// minutes are the screens and their queries of which a minute is measured.
var minutes = map[string]string{
	"/{$}": "", "/table": "name=warehouse.orders_003", "/lane": "topic=orders&partition=4", "/fleet": "",
	"/events": "", "/letters": "", "/contracts": "", "/replays": "", "/runbook": "",
}

// large is a page with 100 tables and 1,000 lanes.
func large() *page { return &page{view: viewOf(fake{tables: 100, lanes: 1000}), templates: parse()} }

// BenchmarkMinuteOfWatching is what one who watches a screen costs of a processor in a minute, with 100 tables and
// 1,000 lanes: the page is made every three seconds. Of several who watch the same it is made once.
func BenchmarkMinuteOfWatching(b *testing.B) {
	p := large()
	for path, query := range minutes {
		b.Run(screens[path].template, func(b *testing.B) {
			took := time.Duration(0)
			for b.Loop() {
				took += watched(b, p, path, query)
			}
			b.ReportMetric(took.Seconds()/float64(b.N), "cpu-s/minute")
		})
	}
}

// watched is the processor time that a minute of watching takes.
func watched(tb testing.TB, p *page, path, query string) time.Duration {
	tb.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		tb.Fatal(err)
	}
	began := spent(tb)
	for range time.Minute / every {
		data, err := screens[path].gather(tb.Context(), p, values)
		if err != nil {
			tb.Fatal(err)
		}
		if err := p.templates.ExecuteTemplate(new(strings.Builder), screens[path].template, data); err != nil {
			tb.Fatal(err)
		}
	}
	return spent(tb) - began
}

// spent is the processor time of the process until now.
func spent(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
