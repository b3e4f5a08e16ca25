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
	name  string
	grant grant
	until time.Time // zero: no end
}

// readTokens reads a file of tokens. A line is
//
//	SHA-256-IN-HEX NAME RIGHT[,RIGHT...] [until=2026-12-31T00:00:00Z] [groups=A,B] [topics=A,B*] [tables=A,D.B]
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
	if len(fields) < 3 || len(fields) > 7 {
		return hash, t, fmt.Errorf("has %d fields, want hash, name and rights", len(fields))
	}
	raw, err := hex.DecodeString(fields[0])
	if err != nil || len(raw) != sha256.Size {
		return hash, t, fmt.Errorf("the first field is no SHA-256 in hex") // not the field: it may be the token
	}
	copy(hash[:], raw)
	t.name = fields[1]
	for r := range strings.SplitSeq(fields[2], ",") {
		t.grant.rights = append(t.grant.rights, Right(r))
	}
	if err := checkRights(t.grant.rights); err != nil {
		return hash, t, fmt.Errorf("rights: %w", err)
	}
	lists := map[string]*[]string{
		"groups": &t.grant.only.Groups, "topics": &t.grant.only.Topics, "tables": &t.grant.only.Tables,
	}
	for i, field := range fields[3:] {
		key, value, _ := strings.Cut(field, "=")
		if list, ok := lists[key]; ok && value != "" {
			*list = strings.Split(value, ",")
		} else if t.until, err = time.Parse(time.RFC3339, value); err != nil || key != "until" {
			return hash, t, fmt.Errorf("field %d is not until= and a time such as 2026-12-31T00:00:00Z, nor groups=, "+
				"topics= or tables= and names with commas", i+4)
		}
	}
	if of, message := t.grant.only.check(); of != "" {
		return hash, t, fmt.Errorf("%s: %s", of, message)
	}
	return hash, t, nil
}

// caller is whose token this is.
func (all tokens) caller(presented string, now time.Time) (Caller, bool) {
	t, found := all[sha256.Sum256([]byte(presented))]
	if !found || !t.until.IsZero() && !now.Before(t.until) {
		return Caller{}, false
	}
	c := Caller{Name: t.name}
	c.give(t.grant)
	return c, true
}
