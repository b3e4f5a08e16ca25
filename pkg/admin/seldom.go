package admin

import (
	"log"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// saysEvery bounds the lines about connections that fail: who scans ports makes thousands.
const saysEvery = 10 * time.Second

// seldom is where an HTTP server says which connections failed.
func seldom(to *slog.Logger) *log.Logger {
	if to == nil {
		to = slog.New(slog.DiscardHandler)
	}
	return log.New(&sayer{to: to}, "", 0)
}

type sayer struct {
	to *slog.Logger

	mu   sync.Mutex
	said time.Time
	more int
}

// Write implements io.Writer.
func (s *sayer) Write(line []byte) (int, error) {
	s.mu.Lock()
	more, quiet := s.more, time.Since(s.said) < saysEvery
	if quiet {
		s.more++
	} else {
		s.said, s.more = time.Now(), 0
	}
	s.mu.Unlock()
	if !quiet {
		s.to.Warn("admin connection failed", "error", strings.TrimSpace(string(line)), "others_since_last", more)
	}
	return len(line), nil
}
