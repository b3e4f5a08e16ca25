package main

import (
	"time"
	"unicode/utf8"

	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
)

// line is a letter as JSON. Key and value are what they are in Kafka: absent keys are null, and bytes that are no UTF-8
// are in base64.
type line struct {
	Place     string    `json:"place"`
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Letter    string    `json:"letter"`
	Written   time.Time `json:"written"`
	// Timestamp is the record's; absent when it has none.
	Timestamp *time.Time `json:"timestamp,omitempty"`
	Reason    string     `json:"reason"`
	Contract  string     `json:"contract,omitempty"`
	Type      string     `json:"type,omitempty"`
	Field     string     `json:"field,omitempty"`
	Byte      *int       `json:"byte,omitempty"`
	Error     string     `json:"error"`
	Key       *string    `json:"key,omitempty"`
	KeyBytes  []byte     `json:"key_base64,omitempty"`
	// ValueBytes is the size of the value; null for a null value.
	ValueBytes   *int `json:"value_bytes"`
	ValueLeftOut bool `json:"value_left_out,omitempty"`
	// LeftOut names the parts of the record that the dead-letter topic did not take.
	LeftOut  string `json:"left_out,omitempty"`
	Replayed bool   `json:"replayed"`
	Version  string `json:"version,omitempty"`
}

func newLine(l *deadletter.Letter, itemType string) line {
	r := &l.Record
	out := line{
		Place: l.Of().String(), Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Letter: l.At.String(),
		Written: l.Time,
		Reason:  l.Reason, Contract: l.Contract, Type: itemType, Field: l.Field, Error: l.Err, Replayed: l.Replayed,
		Version: l.Version,
		LeftOut: l.LeftOut.String(),
	}
	if r.TimestampMicros >= 0 {
		at := time.UnixMicro(r.TimestampMicros).UTC()
		out.Timestamp = &at
	}
	if l.Byte >= 0 {
		out.Byte = &l.Byte
	}
	out.Key, out.KeyBytes = textOrBytes(r.Key)
	size := len(r.Value)
	switch {
	case l.LeftOut.Value >= 0:
		out.ValueBytes, out.ValueLeftOut = &l.LeftOut.Value, true
	case r.Value != nil:
		out.ValueBytes = &size
	}
	return out
}

// whole is a letter as JSON, with all that it keeps of the record.
type whole struct {
	line

	Headers []headerLine `json:"headers"`
	// Value is null for a null value, and where it was left out. One that is no UTF-8 is in ValueBase64.
	Value       *string `json:"value"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
}

// headerLine is a header of a record. A value that is no UTF-8 is in base64; null is null.
type headerLine struct {
	Name        string  `json:"name"`
	Value       *string `json:"value"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
}

func newWhole(l *deadletter.Letter, itemType string) whole {
	out := whole{line: newLine(l, itemType), Headers: []headerLine{}}
	for _, h := range l.Record.Headers {
		one := headerLine{Name: string(h.Key)}
		one.Value, one.ValueBase64 = textOrBytes(h.Value)
		out.Headers = append(out.Headers, one)
	}
	if l.LeftOut.Value < 0 {
		out.Value, out.ValueBase64 = textOrBytes(l.Record.Value)
	}
	return out
}

// textOrBytes is what JSON can say of bytes: text, or else what goes into base64; neither for null.
func textOrBytes(b []byte) (*string, []byte) {
	switch {
	case b == nil:
		return nil, nil
	case utf8.Valid(b):
		text := string(b)
		return &text, nil
	default:
		return nil, b
	}
}
