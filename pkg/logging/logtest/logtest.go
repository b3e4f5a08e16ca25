// Package logtest keeps a log for a test to read.
package logtest

import (
	"log/slog"
	"strings"
	"sync"
)

// Log is what was logged, a line each. The zero value is empty. Safe for concurrent use.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

// Logger makes a logger that writes text here, from level Info on.
func (l *Log) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is all that was logged.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Take is all that was logged since the last Take.
func (l *Log) Take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// Count is how often s was logged.
func (l *Log) Count(s string) int { return strings.Count(l.String(), s) }

// At returns the lines of a level that have a word.
func (l *Log) At(level slog.Level, word string) (found []string) {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, "level="+level.String()+" ") && strings.Contains(line, word) {
			found = append(found, strings.TrimSuffix(line, "\n"))
		}
	}
	return found
}
