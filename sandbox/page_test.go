package sandbox_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// What docs/sandbox.md shows of Go is what the example does, line by line.
func TestPageShowsTheExample(t *testing.T) {
	page, err := os.ReadFile("../docs/sandbox.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```go\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("the page has no Go")
	}
	there := map[string]bool{}
	for line := range strings.SplitSeq(string(example), "\n") {
		there[strings.TrimSpace(line)] = true
	}
	for line := range strings.SplitSeq(string(block[1]), "\n") {
		if !there[strings.TrimSpace(line)] {
			t.Errorf("the example has no line %q", line)
		}
	}
}
