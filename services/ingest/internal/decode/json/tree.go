package json

import "github.com/waybill-data/waybill/services/ingest/internal/decode"

// kind is what a value becomes: the type of its column.
type kind uint8

const (
	kindNull kind = iota // only null: no column
	kindBool
	kindInt32
	kindInt64
	kindFloat
	kindDouble
	kindString
	kindEnum
	kindBytes
	kindTimestamp
	kindDate
	kindTime
	kindDateTime
	kindDecimal
	kindJSON
	kindRecord
	kindMap
	kindUnion
	kindArray
	kindItem // the RECORD around an item of an array that is no column by itself
	kindGeography
	kindInterval
	kindRange // of a step: a record that is a RANGE
)

var kindNames = [...]string{
	"null", "boolean", "int", "long", "float", "double", "string", "enum", "bytes", "timestamp", "date", "time", "datetime", "decimal",
	"json", "record", "map", "union", "array", "item", "geography", "interval",
	"range",
}

func (k kind) String() string { return kindNames[k] }

// typ is the type of a value, read from a schema of any language. Uses of a named type share one typ, so a recursive schema is a cyclic graph.
type typ struct {
	kind kind
	name string // of a named type; uses of it share a message
	doc  string

	fields []field // record
	items  *typ    // array items and map values
	// nullItems is set where the values of a map may be null.
	nullItems bool
	branches  []branch // union, null left out
	symbols   []string // enum
	fallback  string   // enum: what stands for unknown symbols; empty for none
	size      int      // bytes of a fixed length; 0 for any

	// unit is that of numbers in a timestamp, date, time or datetime; numbers says whether they are taken at all.
	unit    decode.Unit
	numbers bool

	precision, scale int // decimal
	// big is set for a BIGNUMERIC, whatever its digits; unbounded where the column's own bounds hold.
	big, unbounded bool

	// written is set for a text that is any scalar as it is written; isRange for a record that is a RANGE.
	written, isRange bool
}

// arrayOf is an array of items that may be null. A RECORD stands around items that are no column by themselves, as format avro has it:
// value for those that may be null, since a REPEATED column has no null (GoogleSQL, "Array type"), items for arrays and maps.
func arrayOf(items *typ, nullable bool) *typ {
	switch {
	case items.kind == kindArray || items.kind == kindMap:
		items = &typ{kind: kindItem, items: items, name: "items"}
	case nullable:
		items = &typ{kind: kindItem, items: items, name: "value"}
	}
	return &typ{kind: kindArray, items: items}
}

// field is one field of a record.
type field struct {
	// name is that of the JSON field and of the column.
	name, doc string
	typ       *typ
	number    int32
	// nullable is set where the schema takes null; required where the field must be there; notNull where null is refused.
	nullable, required, notNull bool
	// fallback is the JSON of what stands for the field where it is missing; nil for none.
	fallback []byte
}

// branch is one type of a union: a column of its RECORD.
type branch struct {
	name   string
	number int32
	typ    *typ
}

// takes are the kinds of JSON values, as a set.
type takes uint8

const (
	takesBool takes = 1 << iota
	takesNumber
	takesString
	takesObject
	takesArray
)

// takes says which JSON values can be one of the type.
func (t *typ) takes() takes {
	switch t.kind {
	case kindNull:
		return 0
	case kindBool:
		return takesBool
	case kindInt32, kindInt64, kindFloat, kindDouble:
		return takesNumber
	case kindDecimal:
		return takesNumber | takesString
	case kindTimestamp, kindDate, kindTime, kindDateTime:
		if t.numbers {
			return takesNumber | takesString
		}
		return takesString
	case kindString, kindEnum, kindBytes, kindInterval:
		return takesString
	case kindGeography:
		return takesString | takesObject
	case kindRecord, kindMap:
		return takesObject
	case kindArray:
		return takesArray
	}
	return takesBool | takesNumber | takesString | takesObject | takesArray
}
