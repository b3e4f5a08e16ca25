package store

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Clock is the time of day plus what it has been moved ahead by, so that three days can pass in a test. It never goes
// back, and how far ahead it is survives a restart.
type Clock struct {
	path  string
	ahead atomic.Int64
}

func openClock(path string) (*Clock, error) {
	c := &Clock{path: path}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	c.ahead.Store(n)
	return c, err
}

// Now is the emulator's time.
func (c *Clock) Now() time.Time { return time.Now().Add(c.Ahead()) }

// Ahead is how far the clock is before the time of day.
func (c *Clock) Ahead() time.Duration { return time.Duration(c.ahead.Load()) }

// Jump moves the clock ahead.
func (c *Clock) Jump(d time.Duration) error {
	if d < 0 {
		return errors.New("the clock goes ahead only")
	}
	return replaceFile(c.path, []byte(strconv.FormatInt(c.ahead.Add(int64(d)), 10)))
}
