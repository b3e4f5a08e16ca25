package logging

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
)

// Lines is the logger of libraries: of those that print lines without a level, as sarama does, and of gRPC's
// interceptors. Until To is called it says nothing. Safe for concurrent use.
type Lines struct {
	// Library is the message of lines that are printed; what they say is the attribute line.
	Library string

	log     atomic.Pointer[slog.Logger]
	callers Callers
}

// To makes log what the lines go to.
func (l *Lines) To(log *slog.Logger) { l.log.Store(log) }

// Log writes a line of gRPC's interceptors at the level that they give. Warnings are bounded by their callers.
func (l *Lines) Log(ctx context.Context, level logging.Level, msg string, fields ...any) {
	log := l.log.Load()
	if log == nil || !log.Enabled(ctx, slog.Level(level)) {
		return
	}
	write := func(others int) {
		if others > 0 {
			fields = append(fields, "others_since_last", others)
		}
		log.Log(ctx, slog.Level(level), msg, fields...) //nolint:sloglint // the interceptors have a few static messages
	}
	if level < logging.LevelWarn {
		write(0)
		return
	}
	l.callers.Say(peerOf(fields), write)
}

// peerOf is the caller's address among the fields of a line, empty when there is none.
func peerOf(fields []any) string {
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == "peer.address" {
			address, _ := fields[i+1].(string)
			return address
		}
	}
	return ""
}

// Print writes a line at debug level, and so do Printf and Println. They cost nothing where that level is off.
func (l *Lines) Print(v ...any) { l.debug(func() string { return fmt.Sprint(v...) }) }

// Printf implements the logger of a library.
func (l *Lines) Printf(format string, v ...any) {
	l.debug(func() string { return fmt.Sprintf(format, v...) })
}

// Println implements the logger of a library.
func (l *Lines) Println(v ...any) { l.debug(func() string { return fmt.Sprintln(v...) }) }

func (l *Lines) debug(line func() string) {
	log := l.log.Load()
	if log == nil || !log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	log.Debug(l.Library, "line", strings.TrimSpace(line())) //nolint:sloglint // one name a library
}
