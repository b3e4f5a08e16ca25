package config

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// Bounds are those within which a duration works.
type Bounds struct {
	Least, Most time.Duration
	// Short and Long say what becomes of a shorter and of a longer one.
	Short, Long string
	// Right is a value for the remedy.
	Right time.Duration
}

// Check reports a duration out of bounds under its key.
func (b Bounds) Check(report func(key, message, remedy string), key string, d Duration) {
	remedy := fmt.Sprintf("write %s to %s; %s is right for most", Spoken(b.Least), Spoken(b.Most), Spoken(b.Right))
	switch v := d.Std(); {
	case v < b.Least:
		report(key, fmt.Sprintf("%s is too short: %s", Spoken(v), b.Short), remedy)
	case v > b.Most:
		report(key, fmt.Sprintf("%s is too long: %s", Spoken(v), b.Long), remedy)
	}
}

// Spoken is a duration without zeros behind it: 30m, not 30m0s.
func Spoken(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// SamePort says whether two addresses to listen on, host:port, are in each other's way: the same port, unless it is 0,
// of the same host or of all hosts.
func SamePort(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	every := func(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }
	return hostA == hostB || every(hostA) || every(hostB)
}
