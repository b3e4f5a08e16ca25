package deadletter

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Offsets is a range of offsets, both ends included.
type Offsets struct{ First, Last int64 }

// UnmarshalText reads A, A.., ..B or A..B.
func (o *Offsets) UnmarshalText(text []byte) error {
	first, last, isRange := strings.Cut(string(text), "..")
	*o = Offsets{0, math.MaxInt64}
	read := func(s string, into *int64) bool {
		if s == "" {
			return isRange
		}
		n, err := fmt.Sscanf(s+"\n", "%d\n", into)
		return n == 1 && err == nil && *into >= 0
	}
	if !isRange {
		last = first
	}
	if !read(first, &o.First) || !read(last, &o.Last) || o.First > o.Last {
		return fmt.Errorf("%q is not a range of offsets: write A, A.., ..B or A..B", text)
	}
	return nil
}

// Selection says which letters are meant. Its zero value means all. Lists take any of their words.
type Selection struct {
	// Places are those of the records.
	Places []Place
	// Reasons, Contracts and Types are those of the letters. A type that ends in * means all that begin with what is
	// before it.
	Reasons, Contracts, Types []string
	// Partitions and Offsets are those of the records, not of the letters.
	Partitions []int32
	Offsets    *Offsets
	// Since and Until are about when the letter was written: from Since on, before Until.
	Since, Until time.Time
	// Pending leaves out letters whose record was replayed.
	Pending bool
}

// place reports whether a letter of this place may be meant: what is known before the letter is read.
func (s *Selection) place(p Place) bool {
	return (len(s.Places) == 0 || slices.Contains(s.Places, p)) &&
		(len(s.Partitions) == 0 || slices.Contains(s.Partitions, p.Partition)) &&
		(s.Offsets == nil || s.Offsets.First <= p.Offset && p.Offset <= s.Offsets.Last)
}

func (s *Selection) takes(l *Letter, itemType string) bool {
	among := func(words []string, word string) bool { return len(words) == 0 || slices.Contains(words, word) }
	ofType := len(s.Types) == 0 || slices.ContainsFunc(s.Types, func(t string) bool {
		prefix, wild := strings.CutSuffix(t, "*")
		return t == itemType || wild && strings.HasPrefix(itemType, prefix)
	})
	return among(s.Reasons, l.Reason) && among(s.Contracts, l.Contract) && ofType &&
		(s.Since.IsZero() || !l.Time.Before(s.Since)) && (s.Until.IsZero() || l.Time.Before(s.Until)) &&
		(!s.Pending || !l.Replayed)
}
