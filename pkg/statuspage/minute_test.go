//go:build unix

package statuspage

import (
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkMinuteOfWatching is what one who watches a screen costs of a processor in a minute, with 100 tables and
// 1,000 lanes: the page is made every three seconds. Of several who watch the same it is made once.
func BenchmarkMinuteOfWatching(b *testing.B) {
	p := &page{view: viewOf(fake{tables: 100, lanes: 1000}), templates: parse()}
	for path, query := range map[string]string{
		"/{$}": "", "/table": "name=warehouse.orders_003", "/lane": "topic=orders&partition=4", "/fleet": "",
		"/events":  "",
		"/letters": "", "/contracts": "", "/replays": "",
	} {
		b.Run(screens[path].template, func(b *testing.B) {
			values, err := url.ParseQuery(query)
			if err != nil {
				b.Fatal(err)
			}
			took := time.Duration(0)
			for b.Loop() {
				began := spent(b)
				for range time.Minute / every {
					data, err := screens[path].gather(b.Context(), p, values)
					if err != nil {
						b.Fatal(err)
					}
					if err := p.templates.ExecuteTemplate(new(strings.Builder), screens[path].template,
						data); err != nil {
						b.Fatal(err)
					}
				}
				took += spent(b) - began
			}
			b.ReportMetric(took.Seconds()/float64(b.N), "cpu-s/minute")
		})
	}
}

// spent is the processor time of the process until now.
func spent(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
