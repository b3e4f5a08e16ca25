package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Tail returns the last n lines of a file, empty when it cannot be read.
func Tail(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Tails are the last n lines of every log, each below its name.
func (s *Stack) Tails(n int) string {
	logs, _ := filepath.Glob(filepath.Join(s.Config.Dir, "logs", "*.log"))
	var text strings.Builder
	for _, log := range logs {
		fmt.Fprintf(&text, "%s\n%s\n", filepath.Base(log), Tail(log, n))
	}
	return text.String()
}
