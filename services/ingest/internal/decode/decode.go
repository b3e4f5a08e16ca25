// Package decode holds what the formats of payloads have in common: what a plan and a decoder are, the errors, how
// texts, numbers, moments and shapes become values of columns (Cell), and BigQuery's limits on names, columns and
// dates. The tree of columns is in shape, the formats are in avro, json, protobuf and raw; each turns a payload
// into the body of the row's payload column, in one pass and without allocating for a row. confluent and within
// stand around them.
//
// The bytes are those that proto.Marshal makes of the same message: lengths minimal, every present value written, zero
// included, null left out. (Protobuf payloads keep the order of their fields and the form of their lists, which
// protobuf allows.) Every value of the payload is checked: bounds, number ranges, UTF-8, BigQuery's ranges of dates and
// timestamps. Work and memory are bounded by the payload's length.
package decode

import "google.golang.org/protobuf/types/descriptorpb"

// Plan is a compiled schema of any format. It is immutable and safe for concurrent use; each lane runs it with a
// Decoder of its own.
type Plan interface {
	// AddPayload adds to a row message the payload's column and the message types it is made of, nested in the row
	// message: a self-contained descriptor as BigQuery wants it. row is named and holds the envelope. The column is
	// length-delimited: a message, a string or bytes.
	AddPayload(row *descriptorpb.DescriptorProto, column string, number int32) error
	// NewDecoder returns a decoder with no state but its memory.
	NewDecoder() Decoder
}

// Warnings are what is wrong with the schema of a plan and does not matter, each with the place in it.
func Warnings(p Plan) []string {
	if w, ok := p.(interface{ Warnings() []string }); ok {
		return w.Warnings()
	}
	return nil
}

// Decoder runs a plan. Not safe for concurrent use.
type Decoder interface {
	// Append appends to dst the body of the payload's column: neither tag nor length before it. On error dst comes back
	// at its old length, and the error is a *Error.
	Append(dst, payload []byte) ([]byte, error)
	// EventID returns the identity of the event in the payload last appended, as UTF-8 text. It is valid until the next
	// Append and may alias that payload; ok is false if the contract names no field, or it was null.
	EventID() (id []byte, ok bool)
	// EventTime returns when the event in the payload last appended happened, in microseconds since the epoch, within
	// BigQuery's range; ok is false if the contract names no field, or it was null.
	EventTime() (micros int64, ok bool)
	// FarDates is how many dates and times of the payload last appended were far away and became null, or another one.
	FarDates() int
}

// Options say what a plan is for.
type Options struct {
	// Contract is the name of the contract, for errors.
	Contract string
	// Payload is the name of the payload's column: paths in errors start with it.
	Payload string
	// EventID is the path of the payload field that identifies the event, such as id or order.id: a string, a whole
	// number, an enum or a uuid outside of arrays. Empty for none.
	EventID string
	// EventTime is the path of the payload field that says when the event happened: a whole number or a timestamp
	// outside of arrays. Empty for none.
	EventTime string
	// EventTimeUnit is the unit of EventTime; a timestamp has its own and needs Auto here.
	EventTimeUnit Unit
	// Dates say which dates and times are far away, and what becomes of them.
	Dates *Dates
	// Columns are what the contract asks of columns in place of the type map. A path that leads to no value which can
	// become such a column is a *SchemaError whose reason starts with "columns: ".
	Columns Columns
	// Only are the paths of all that is to have columns, with what is below them and the records around them; nil for
	// everything.
	Only []string
	// IgnoreHints makes nothing of what the sources of payloads leave in schemas beside types: see HintOf.
	IgnoreHints bool
}

// EventIDPath is the full path of EventID; one that no field has if there is none.
func (o *Options) EventIDPath() string { return o.Path(o.EventID) }

// EventTimePath is the full path of EventTime; one that no field has if there is none.
func (o *Options) EventTimePath() string { return o.Path(o.EventTime) }

// Path is the full path of a payload field, one that no field has if name is empty.
func (o *Options) Path(name string) string {
	if name == "" {
		return " "
	}
	return o.Payload + "." + name
}
