//go:build race

package placement

// slower is how much longer anything may take with the race detector.
const slower = 10
