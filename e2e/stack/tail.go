package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

// Logged is nil when the process has logged a text behind so many bytes of its log.
func (p *Process) Logged(behind int64, text string) error {
	b, err := os.ReadFile(p.Log)
	if err == nil && !bytes.Contains(b[min(behind, int64(len(b))):], []byte(text)) {
		err = fmt.Errorf("%s has not logged %q, see %s", p.Name, text, p.Log)
	}
	return err
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

// Tidy removes the folder of a run that went well, unless it is to be kept, or that was interrupted; else it says where
// the logs are. It returns the error of the run, with that of removing.
func Tidy(ctx context.Context, dir string, keep bool, err error, out io.Writer) error {
	if err == nil && !keep || ctx.Err() != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	fmt.Fprintf(out, "\ndata and logs are in %s\n", filepath.Join(dir, "logs"))
	return err
}
