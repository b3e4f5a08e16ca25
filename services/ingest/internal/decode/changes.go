package decode

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
}

func (c Conflict) String() string {
	return c.Path + ": the contract has " + c.Have + ", it has " + c.Want
}
