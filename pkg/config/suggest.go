package config

import (
	"slices"
	"strings"
)

// suggest is the remedy for an unknown key: the known key that looks like it, or all known keys.
func suggest(name string, known []string) string {
	best := Nearest(name, known)
	switch {
	case best != "":
		return "did you mean " + best + "?"
	case len(known) == 0:
		return "remove it: nothing can be set here"
	default:
		known = slices.Clone(known)
		slices.Sort(known)
		return "known keys here: " + strings.Join(known, ", ")
	}
}

// Nearest is the one of known names that a name looks like; empty when none does.
func Nearest(name string, known []string) string {
	best, least := "", len(name)/3+2
	for _, candidate := range known {
		if d := distance(plain(name), plain(candidate)); d < least {
			best, least = candidate, d
		}
	}
	return best
}

// plain takes away what people spell differently: maxBytes, max-bytes, max_bytes.
func plain(name string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))
}

// distance is how many bytes must be inserted, removed or replaced to turn one name into the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
