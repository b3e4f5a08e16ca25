package decode

import (
	"fmt"
	"strings"
)

// Error says that a payload is not what its contract says. It is about one record and will be the same on every try:
// the record belongs in the dead-letter topic.
type Error struct {
	// Contract is the name of the contract the payload was read by.
	Contract string
	// Field is the path of the value at fault, for example delivery.items[3].variant.id; the payload's name alone when
	// no single field is at fault.
	Field string
	// Offset is the byte of the payload where the value at fault starts. In a compressed object container file it
	// counts from the start of the decompressed block, and Reason says so. -1 when the fault is not in the payload.
	Offset int
	// Reason says what is wrong with it.
	Reason string
}

func (e *Error) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("%s: %s: %s", e.Contract, e.Field, e.Reason)
	}
	return fmt.Sprintf("%s: %s at byte %d: %s", e.Contract, e.Field, e.Offset, e.Reason)
}

// Refuse is an Error about a payload where no single field is at fault.
func (o *Options) Refuse(offset int, reason string) *Error {
	return &Error{Contract: o.Contract, Field: o.Payload, Offset: offset, Reason: reason}
}

// SchemaError says why a schema cannot be compiled, and where in it.
type SchemaError struct {
	// Field is the path of the field at fault, with [] for the items of an array and the entries of a map.
	Field string
	// Reason says what is wrong, and what to do instead where there is a choice.
	Reason string
}

// FaultAt is a SchemaError: why a schema cannot be compiled, at the path of a field.
func FaultAt(field, reason string) *SchemaError {
	return &SchemaError{Field: field, Reason: reason}
}

func (e *SchemaError) Error() string { return e.Field + ": " + e.Reason }

// FillPath puts the indexes of the arrays being read into a path template such as items[].variant.id.
func FillPath(template string, indexes []int) string {
	var b strings.Builder
	for _, index := range indexes {
		head, tail, ok := strings.Cut(template, "[]")
		if !ok {
			break
		}
		fmt.Fprintf(&b, "%s[%d]", head, index)
		template = tail
	}
	b.WriteString(template)
	return b.String()
}
