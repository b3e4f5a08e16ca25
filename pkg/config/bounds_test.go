package config

import (
	"testing"
	"time"
)

func TestBounds(t *testing.T) {
	b := Bounds{
		Least: 6 * time.Second, Most: 90 * time.Minute, Short: "nobody listens", Long: "nobody waits", Right: time.Hour,
	}
	for d, want := range map[time.Duration]string{
		0:                            "0s is too short: nobody listens",
		5999 * time.Millisecond:      "5.999s is too short: nobody listens",
		6 * time.Second:              "",
		90 * time.Minute:             "",
		10 * time.Hour:               "10h is too long: nobody waits",
		100 * time.Minute:            "1h40m is too long: nobody waits",
		2*time.Hour + 10*time.Second: "2h0m10s is too long: nobody waits",
	} {
		var got string
		b.Check(func(key, message, remedy string) {
			if key != "wait" || remedy != "write 6s to 1h30m; 1h is right for most" {
				t.Errorf("%s: %s", key, remedy)
			}
			got = message
		}, "wait", Duration(d))
		if got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestSamePort(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"127.0.0.1:7080", "127.0.0.1:7080", true},
		{"127.0.0.1:7080", "127.0.0.1:7081", false},
		{":7080", "127.0.0.1:7080", true},
		{"0.0.0.0:7080", "10.0.0.1:7080", true},
		{"10.0.0.1:7080", "[::]:7080", true},
		{"10.0.0.1:7080", "127.0.0.1:7080", false},
		{"127.0.0.1:0", "127.0.0.1:0", false},
		{"7080", "7080", false}, // no addresses, which is a problem of its own
	} {
		if SamePort(c.a, c.b) != c.want || SamePort(c.b, c.a) != c.want {
			t.Errorf("%s and %s: not %v", c.a, c.b, c.want)
		}
	}
}
