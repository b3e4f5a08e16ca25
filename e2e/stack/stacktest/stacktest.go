// Package stacktest has stacks that end with a test.
package stacktest

import (
	"testing"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// New lays out a stack in a folder of the test, unless the configuration has one, and starts nothing. What is started
// is stopped in order with the test; when the test fails, the end of each log is shown.
func New(t testing.TB, config stack.Config) *stack.Stack {
	t.Helper()
	if config.Dir == "" {
		config.Dir = t.TempDir()
	}
	s, err := stack.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Down(time.Minute); err != nil {
			t.Errorf("down: %v", err)
		}
		if t.Failed() {
			t.Log(s.Tails(40))
		}
	})
	return s
}
