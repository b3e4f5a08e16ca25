//go:build race

package e2e

// raced says whether these tests, and so the services that they start, have the race detector.
const raced = true
