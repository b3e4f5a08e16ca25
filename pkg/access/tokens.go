package access

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"
)

// tokens are known by their hash, so that the file gives nobody a token. They must be random: 16 bytes or more.
type tokens map[[sha256.Size]byte]token

type token struct {
	name   string
	rights []Right
	until  time.Time // zero: no end
}

// readTokens reads a file of tokens. A line is
//
//	SHA-256-IN-HEX NAME RIGHT[,RIGHT...] [until=2026-12-31T00:00:00Z]
//
// Empty lines, and those that begin with #, say nothing. An error names the line and shows nothing of it.
func readTokens(path string) (tokens, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all := tokens{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		hash, t, err := parseToken(strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		if _, found := all[hash]; found {
			return nil, fmt.Errorf("%s:%d: the token is in the file already", path, n)
		}
		all[hash] = t
	}
	return all, lines.Err()
}

func parseToken(fields []string) (hash [sha256.Size]byte, t token, err error) {
	if len(fields) < 3 || len(fields) > 4 {
		return hash, t, fmt.Errorf("has %d fields, want hash, name and rights", len(fields))
	}
	raw, err := hex.DecodeString(fields[0])
	if err != nil || len(raw) != sha256.Size {
		return hash, t, fmt.Errorf("the first field is no SHA-256 in hex") // not the field: it may be the token
	}
	copy(hash[:], raw)
	t.name = fields[1]
	for r := range strings.SplitSeq(fields[2], ",") {
		t.rights = append(t.rights, Right(r))
	}
	if err := checkRights(t.rights); err != nil {
		return hash, t, fmt.Errorf("rights: %w", err)
	}
	if len(fields) == 4 {
		end, ok := strings.CutPrefix(fields[3], "until=")
		if t.until, err = time.Parse(time.RFC3339, end); err != nil || !ok {
			return hash, t, fmt.Errorf("the last field is not until= and a time such as 2026-12-31T00:00:00Z")
		}
	}
	return hash, t, nil
}

// caller is whose token this is.
func (all tokens) caller(presented string, now time.Time) (Caller, bool) {
	t, found := all[sha256.Sum256([]byte(presented))]
	if !found || !t.until.IsZero() && !now.Before(t.until) {
		return Caller{}, false
	}
	return Caller{Name: t.name, rights: t.rights}, true
}
