package record

// Action is what becomes of a record.
type Action uint8

// The actions.
const (
	// Row: the record becomes a row of the route.
	Row Action = iota
	// Ignore: the configuration says that the record is of no interest.
	Ignore
	// Unknown: no contract takes the record; it belongs in the dead-letter topic.
	Unknown
)

// String is the action in a word.
func (a Action) String() string { return [...]string{"row", "ignore", "unknown"}[a] }

// Match is what becomes of a record, by its headers and whether its value is null.
type Match struct {
	Action Action
	// Route is the index in the topic's routes when Action is Row.
	Route int
	// Name is the contract's that takes the record, empty when none does.
	Name string
	// Reason says why, naming header and value, when Action is Unknown.
	Reason string
}
