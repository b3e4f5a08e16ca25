package config

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// formError is a value in the wrong form, with what to write instead.
type formError struct{ message, remedy string }

func (e *formError) Error() string { return e.message + ": " + e.remedy }

// Secret is text that is printed nowhere: formatting, JSON, YAML and logs show "***". In a file it is the text itself,
// a variable, or `file:` and the path of a file whose content is the secret, relative to the configuration file; a line
// end behind it is cut off. The file may be renewed in place: it is read each time that the secret is revealed.
type Secret struct {
	// kept is behind a pointer because package fmt, given a wrong verb, prints the fields of structs without asking
	// their methods.
	kept *kept
}

// kept is where a secret is: its text or, in a file, the text that was last read.
type kept struct {
	file string
	text atomic.Pointer[string]
}

// NewSecret is the secret with this text.
func NewSecret(text string) Secret { return newSecret(text, "") }

func newSecret(text, file string) Secret {
	k := &kept{file: file}
	k.text.Store(&text)
	return Secret{k}
}

// Reveal is the text; empty when the secret is not set. Of a file it is what the file holds now; while that cannot be
// read, or is empty since it is being written, it is what it held before.
func (s Secret) Reveal() string {
	if s.kept == nil {
		return ""
	}
	if s.kept.file != "" {
		if text, err := readLine(s.kept.file); err == nil && text != "" {
			s.kept.text.Store(&text)
		}
	}
	return *s.kept.text.Load()
}

// Equal compares the texts.
func (s Secret) Equal(other Secret) bool { return s.Reveal() == other.Reveal() }

// String is "***", or nothing for an empty secret, so that one sees whether it is set.
func (s Secret) String() string {
	if s.Reveal() == "" {
		return ""
	}
	return "***"
}

// Format implements fmt.Formatter: no verb shows the text.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText implements encoding.TextMarshaler, for JSON, YAML and slog.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func readSecret(text, dir string) (Secret, error) {
	path, ok := strings.CutPrefix(text, "file:")
	if !ok {
		return NewSecret(text), nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	content, err := readLine(path)
	if err != nil {
		return Secret{}, err
	}
	return newSecret(content, path), nil
}

func readLine(path string) (string, error) {
	content, err := os.ReadFile(path)
	return strings.TrimRight(string(content), "\r\n"), err
}

// Duration is a length of time, written with its unit: 250ms, 10s, 1h30m. It is not negative.
type Duration time.Duration

// Std is the duration as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String is the duration as it is written.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil || parsed < 0 {
		return &formError{
			fmt.Sprintf("%q is not a duration", text), "write a number and its unit, such as 250ms, 10s or 1h30m",
		}
	}
	*d = Duration(parsed)
	return nil
}

// Bytes is an amount of memory or data, written as a number of bytes or with a unit: 512KiB, 64MiB, 1GiB, or 9MB in
// thousands. It is not negative.
type Bytes int64

// byteUnits in the order in which String tries the binary ones.
var byteUnits = []struct {
	name string
	size int64
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"B", 1},
}

// String is the amount in the largest binary unit that it is a whole number of.
func (b Bytes) String() string {
	for _, unit := range byteUnits[:4] {
		if b != 0 && int64(b)%unit.size == 0 {
			return strconv.FormatInt(int64(b)/unit.size, 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	number, size := strings.TrimSpace(string(text)), int64(1)
	for _, unit := range byteUnits {
		if rest, ok := cutSuffixFold(number, unit.name); ok {
			number, size = strings.TrimSpace(rest), unit.size
			break
		}
	}
	amount, err := strconv.ParseInt(number, 10, 64)
	if err != nil || amount < 0 || amount > math.MaxInt64/size {
		return &formError{
			fmt.Sprintf("%q is not an amount of bytes", text),
			"write a number and its unit, such as 512KiB, 64MiB or 9MB",
		}
	}
	*b = Bytes(amount * size)
	return nil
}

func cutSuffixFold(s, suffix string) (string, bool) {
	cut := len(s) - len(suffix)
	if cut < 0 || !strings.EqualFold(s[cut:], suffix) {
		return s, false
	}
	return s[:cut], true
}
