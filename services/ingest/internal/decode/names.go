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
var reservedPrefixes = []string{"_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier", "_change_type", "_change_sequence_number"}

// CheckName says why BigQuery does not take the name of a column; empty if it does. seen holds the names of its
// siblings so far, in lower case; the name is added.
func CheckName(name string, seen map[string]bool) (reason string) {
	lower := strings.ToLower(name)
	if seen[lower] {
		return "another field has this name but for its case; BigQuery does not tell them apart"
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

// TypeName turns a column's name or path, such as shipping_costs[].address, into that of a message type:
// ShippingCostsAddress.
func TypeName(name string) string {
	var b strings.Builder
	upper := true
	for _, r := range name {
		switch {
		case r == '_' || r == '.' || r == '[' || r == ']':
			upper = true
			continue
		case upper:
			b.WriteString(strings.ToUpper(string(r)))
		default:
			b.WriteRune(r)
		}
		upper = false
	}
	return b.String()
}
