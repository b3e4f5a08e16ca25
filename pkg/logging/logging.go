// Package logging makes the logger of a service from its configuration.
package logging

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Config is the `log:` section of a service's configuration.
type Config struct {
	// Level is the least level that is written: debug, info, warn or error. Empty is info.
	Level string `yaml:"level"`
	// Format is text or json. Empty is text.
	Format string `yaml:"format"`
}

// Check implements config.Checker.
func (c *Config) Check(report func(key, message, remedy string)) {
	if _, err := c.level(); err != nil {
		report("level", err.Error(), "write debug, info, warn or error")
	}
	switch c.Format {
	case "", "text", "json":
	default:
		report("format", fmt.Sprintf("no log format %q", c.Format), "write text or json")
	}
}

func (c *Config) level() (slog.Level, error) {
	switch strings.ToLower(c.Level) {
	case "debug":
		return slog.LevelDebug, nil
	case "", "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	default:
		return 0, fmt.Errorf("no log level %q", c.Level)
	}
}

// New makes a logger that writes to w. The configuration has been checked; what is wrong with it counts as empty.
func New(w io.Writer, c Config) *slog.Logger {
	level, err := c.level()
	if err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
