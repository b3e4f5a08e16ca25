package decode

import (
	"fmt"
	"slices"
	"strings"
)

// Changes are what a newer schema has that an older one has not.
type Changes struct {
	// Added are the paths of new columns. Widened are those of columns that hold more than before and are of the same
	// BigQuery type: int to long, float to double, further symbols of an enum.
	Added, Widened []string
	// Conflicts are the columns that cannot hold what the newer schema has. They stay as they are, and what does not
	// fit is refused.
	Conflicts []Conflict
}

// Grown reports whether the merged schema differs from the older one.
func (c *Changes) Grown() bool { return len(c.Added)+len(c.Widened) > 0 }

// Conflict is a column whose type has changed.
type Conflict struct {
	// Path is that of the payload field, with [] for items of arrays and values of maps.
	Path string
	// Have is the type in the contract, Want that in the newer schema.
	Have, Want string
	// By are the columns that a contract may ask for and that values of both types become.
	By []Target
}

func (c *Conflict) String() string {
	return c.Path + ": the contract has " + c.Have + ", it has " + c.Want
}

// field is the path of the payload field as a contract names it.
func (c *Conflict) field() string {
	_, below, _ := strings.Cut(WithoutMarks(c.Path), ".")
	return below
}

// Remedy is what a contract says to have the field all the same, or not at all.
func (c *Conflict) Remedy() string {
	kind := ""
	if len(c.By) > 0 {
		kind = "{type: " + c.By[0].String() + "}, or "
	}
	return fmt.Sprintf("columns: {%q: %s{skip: true}}", c.field(), kind)
}

// Settles reports whether a contract has asked for columns with which the conflict is none: one that both types become,
// or none at all.
func (c Columns) Settles(conflict *Conflict) bool {
	path := conflict.field()
	if slices.Contains(conflict.By, c[path].Type) {
		return true
	}
	for at := len(path); at >= 0; at = strings.LastIndexByte(path[:at], '.') {
		if c[path[:at]].Skip {
			return true
		}
	}
	return false
}
