package access

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// lookEvery is how often a file is looked at for changes: what is taken away in it holds on about this long.
const lookEvery = time.Second

// file is what a file holds, read again when the file changes. While it cannot be read or makes no sense, as in the
// middle of being written, what was read last counts; of a file that is gone, nothing does.
type file[T any] struct {
	path string
	read func(path string) (T, error)
	log  *slog.Logger

	now  atomic.Pointer[T]
	next atomic.Int64 // when to look again, in nanoseconds since 1970
	seen fs.FileInfo  // of whoever has moved next
}

func open[T any](path string, log *slog.Logger, read func(string) (T, error)) (*file[T], error) {
	f := &file[T]{path: path, read: read, log: log}
	f.seen, _ = os.Stat(path) // read says what is wrong
	value, err := read(path)
	if err != nil {
		return nil, err
	}
	f.now.Store(&value)
	f.next.Store(time.Now().Add(lookEvery).UnixNano())
	return f, nil
}

// get is what the file holds. One caller at a time looks; the others do not wait for it.
func (f *file[T]) get() T {
	due, now := f.next.Load(), time.Now()
	if now.UnixNano() >= due && f.next.CompareAndSwap(due, now.Add(time.Hour).UnixNano()) {
		f.look()
		f.next.Store(now.Add(lookEvery).UnixNano())
	}
	return *f.now.Load()
}

func (f *file[T]) look() {
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if f.seen != nil {
			f.log.Warn("file of access is gone: nobody is let in by it", "file", f.path)
		}
		f.seen = nil
		f.now.Store(new(T))
		return
	case err != nil:
		f.log.Warn("file of access cannot be read: what was read last counts", "file", f.path, "error", err)
		return
	case f.seen != nil && os.SameFile(info, f.seen) && info.Size() == f.seen.Size() &&
		info.ModTime().Equal(f.seen.ModTime()):
		return
	}
	value, err := f.read(f.path)
	if err != nil {
		f.log.Warn("file of access cannot be read: what was read last counts", "file", f.path, "error", err)
		return
	}
	f.seen = info
	f.now.Store(&value)
}
