package row

import (
	"fmt"
	"regexp"
	"strings"
)

// The bounds of a schema, from https://cloud.google.com/bigquery/docs/schemas and
// https://cloud.google.com/bigquery/quotas#standard_tables.
const (
	// maxDepth bounds RECORDs within RECORDs.
	maxDepth = 15
	// maxColumns bounds the columns of a table; fields of RECORDs count.
	maxColumns = 10_000
)

// columnName is a flexible column name: see "Flexible column names" in the page on schemas.
var columnName = regexp.MustCompile(`^[\p{L}\p{M}\p{N}\p{Pc}\p{Pd}&%=+:'<>#| ]{1,300}$`)

// forbiddenPrefixes cannot start a column's name, in any case of the letters.
var forbiddenPrefixes = []string{
	"_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER",
	"_CHANGE_SEQUENCE_NUMBER", "_CHANGE_TYPE", "_CHANGE_TIMESTAMP",
}

// nameable says why a column cannot have a name; path is the name with those of the RECORDs around it.
func nameable(name, path string) error {
	if !columnName.MatchString(name) {
		return fmt.Errorf("Invalid field name %q. Fields must contain only letters, digits, underscores, spaces and "+
			"&%%=+:'<>#|-, and be at most 300 characters long.", path)
	}
	for _, prefix := range forbiddenPrefixes {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return fmt.Errorf("Invalid field name %q. Field names are not allowed to start with the "+
				"(case-insensitive) prefixes %s.", path, strings.Join(forbiddenPrefixes, ", "))
		}
	}
	return nil
}

// bounded says what is wrong with a column's length, precision and scale:
// https://cloud.google.com/bigquery/docs/schemas#parameterized_data_types.
func (c *Column) bounded(path string) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("Field %s: %s", path, fmt.Sprintf(format, args...))
	}
	switch {
	case c.MaxLength < 0 || c.Precision < 0 || c.Scale < 0:
		return wrong("maxLength, precision and scale cannot be negative")
	case c.MaxLength > 0 && c.Type != String && c.Type != Bytes:
		return wrong("maxLength is for STRING and BYTES, not for %s", c.Type)
	case c.Precision == 0 && c.Scale == 0:
		return nil
	case c.Type != Numeric && c.Type != BigNumeric:
		return wrong("precision and scale are for NUMERIC and BIGNUMERIC, not for %s", c.Type)
	case c.Precision == 0:
		return wrong("scale cannot be specified without precision")
	}
	whole, scale := int64(29), int64(9)
	if c.Type == BigNumeric {
		whole, scale = 38, 38
	}
	if c.Scale > scale {
		return wrong("the scale of %s must be between 0 and %d, not %d", c.Type, scale, c.Scale)
	}
	if least, most := max(1, c.Scale), whole+c.Scale; c.Precision < least || c.Precision > most {
		return wrong("the precision of %s with scale %d must be between %d and %d, not %d",
			c.Type, c.Scale, least, most, c.Precision)
	}
	return nil
}
