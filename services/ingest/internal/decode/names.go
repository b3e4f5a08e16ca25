package decode

import (
	"fmt"
	"strings"
)

// BigQuery's limits on a table's schema (quotas of BigQuery, "Table schema").
const (
	// MaxColumns bounds the columns of a table, nested ones included.
	MaxColumns = 10_000
	// MaxNesting bounds the levels of RECORD columns.
	MaxNesting = 15
	// MaxColumnName bounds a column's name, in characters.
	MaxColumnName = 300
	// MaxDescription bounds a column's description, in characters.
	MaxDescription = 1024
)

// Bounds of BigQuery's decimal types: digits behind the point, and before it (GoogleSQL, "Parameterized decimal type").
const (
	NumericScale    = 9
	NumericWhole    = 29
	BigNumericScale = 38
	BigNumericWhole = 38
)

// reservedPrefixes start no column's name, in any case (BigQuery, "Column names").
var reservedPrefixes = []string{
	"_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier",
	"_change_type", "_change_sequence_number", "_change_timestamp",
}

// CheckName says why a name cannot be that of a column: in BigQuery, or in a protobuf descriptor by its letters; empty
// if it can. seen holds the names of its siblings so far, in lower case; the name is added.
func CheckName(name string, seen map[string]bool) (reason string) {
	if !IsName(name) {
		return fmt.Sprintf("%q cannot name a column: letters, digits and underscores only, no digit first", name)
	}
	lower := strings.ToLower(name)
	if seen[lower] {
		return "another column has this name but for its case; BigQuery does not tell them apart"
	}
	seen[lower] = true
	for _, prefix := range reservedPrefixes {
		if strings.HasPrefix(lower, prefix) {
			return "BigQuery keeps names that start with " + prefix + " to itself"
		}
	}
	if len(name) > MaxColumnName {
		return fmt.Sprintf("the name is longer than BigQuery's %d characters", MaxColumnName)
	}
	return ""
}

// SuggestName is a name for a column whose field has none that it can have. seen holds the names of its siblings, in
// lower case.
func SuggestName(name string, seen map[string]bool) string {
	name = strings.Map(func(r rune) rune {
		if !IsName("_" + string(r)) {
			return '_'
		}
		return r
	}, strings.TrimLeft(name, "_@"))
	name = name[:min(len(name), MaxColumnName/2)]
	if CheckName(name, map[string]bool{}) != "" {
		name = "f_" + name
	}
	for base, i := name, 2; seen[strings.ToLower(name)]; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	return name
}

// IsName reports whether a name is made of letters, digits and underscores, no digit first.
func IsName(name string) bool {
	for i, c := range []byte(name) {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// TypeName turns a column's name or path, such as shipping_costs[].address, into that of a message type:
// ShippingCostsAddress.
func TypeName(name string) string {
	var b strings.Builder
	upper := true
	for _, r := range name {
		switch {
		case !IsName("_"+string(r)) || r == '_':
			upper = true
			continue
		case b.Len() == 0 && '0' <= r && r <= '9':
			b.WriteString("T" + string(r)) // a field may be renamed whose name begins with a digit
		case upper:
			b.WriteString(strings.ToUpper(string(r)))
		default:
			b.WriteRune(r)
		}
		upper = false
	}
	return b.String()
}
