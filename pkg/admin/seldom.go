package admin

import (
	"log"
	"log/slog"
	"strings"

	"github.com/waybill-data/waybill/pkg/logging"
)

// seldom is where an HTTP server says which connections failed.
func seldom(to *slog.Logger) *log.Logger {
	if to == nil {
		to = slog.New(slog.DiscardHandler)
	}
	return log.New(&sayer{to: to}, "", 0)
}

type sayer struct {
	to    *slog.Logger
	bound logging.Seldom
}

// Write implements io.Writer.
func (s *sayer) Write(line []byte) (int, error) {
	s.bound.Say(func(others int) {
		s.to.Warn("admin connection failed", "error", strings.TrimSpace(string(line)), "others_since_last", others)
	})
	return len(line), nil
}
