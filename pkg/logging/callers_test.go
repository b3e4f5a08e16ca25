package logging

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
)

// A host has so many lines at once and so many a second, whatever its ports; the next line says how many were left out.
// Others have lines of their own, and what is remembered of hosts is bounded.
func TestCallersHaveTheirShareOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Callers
		var left []int
		lines := 0
		say := func(host string, times int) {
			for i := range times {
				c.Say(fmt.Sprintf("%s:%d", host, 1024+i), func(others int) {
					if lines++; others > 0 {
						left = append(left, others)
					}
				})
			}
		}
		say("10.0.0.1", linesTogether+100)
		say("10.0.0.2", 1)
		if lines != linesTogether+1 || left != nil {
			t.Errorf("%d lines, which say that %v were left out", lines, left)
		}
		time.Sleep(time.Second)
		lines = 0
		say("10.0.0.1", 100)
		if lines != linesASecond || !slices.Equal(left, []int{100}) {
			t.Errorf("%d lines a second later, which say that %v were left out", lines, left)
		}
		for i := range 2 * hostsKept {
			say(fmt.Sprintf("10.1.%d.%d", i>>8, i&255), 1)
		}
		if len(c.hosts) > hostsKept {
			t.Errorf("%d hosts are remembered", len(c.hosts))
		}
	})
}

// Warnings of gRPC's interceptors have the same bound, by the host that they name; other lines have none.
func TestLinesOfCallersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Lines
		var out strings.Builder
		l.To(New(&out, Config{}))
		calls := func(level logging.Level, n int) {
			for i := range n {
				l.Log(t.Context(), level, "finished call", "peer.address", fmt.Sprintf("10.0.0.1:%d", i))
			}
		}
		calls(logging.LevelWarn, linesTogether+100)
		calls(logging.LevelInfo, 10)
		time.Sleep(time.Second)
		calls(logging.LevelWarn, 1)
		if n := strings.Count(out.String(), "level=WARN"); n != linesTogether+1 {
			t.Errorf("%d warnings", n)
		}
		if n := strings.Count(out.String(), "level=INFO"); n != 10 {
			t.Errorf("%d others", n)
		}
		if strings.Count(out.String(), "others_since_last=100\n") != 1 {
			t.Error("no line says how many were left out")
		}
	})
}
