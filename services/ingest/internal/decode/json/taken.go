package json

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// take says what the envelope takes of a field.
type take uint8

const (
	takeID take = 1 << iota
	takeTime
)

// taken is what the envelope needs of a payload: the event's identity and time. It is valid until the next payload.
type taken struct {
	id      []byte
	hasID   bool
	unit    decode.Unit
	micros  int64
	hasTime bool
}

// from takes a value as it stands in the row, behind its tag.
func (t *taken) from(s *step, value []byte) (reason string) {
	v, n := decode.Varint(value, 0)
	if s.take&takeID != 0 {
		t.hasID = true
		if s.kind == kindString || s.kind == kindEnum {
			t.id = append(t.id[:0], value[n:]...)
		} else {
			t.id = strconv.AppendInt(t.id[:0], int64(v), 10)
		}
	}
	if s.take&takeTime != 0 {
		unit := t.unit
		if s.kind == kindTimestamp {
			unit = decode.Micros
		}
		if t.micros, t.hasTime = decode.ToMicros(int64(v), unit); !t.hasTime {
			return decode.TimestampReason
		}
	}
	return ""
}

// checkID checks the field that is the event's identity.
func checkID(schema *typ, o *decode.Options) error {
	if o.EventID != "" {
		t, err := find(schema, o.EventID)
		switch {
		case err != nil:
			return decode.Misfit(o.Path(o.EventID), "event_id: "+err.Error())
		case !slices.Contains([]kind{kindString, kindEnum, kindInt32, kindInt64}, t.kind):
			return decode.Misfit(o.Path(o.EventID), "event_id: wants a string, a whole number, an enum or a uuid")
		}
	}
	return nil
}

// checkTime checks the field that says when the event happened.
func checkTime(schema *typ, o *decode.Options) error {
	if o.EventTime != "" {
		t, err := find(schema, o.EventTime)
		switch {
		case err != nil:
			return decode.Misfit(o.Path(o.EventTime), "event_time: "+err.Error())
		case t.kind == kindTimestamp && o.EventTimeUnit != decode.Auto:
			return decode.Misfit(o.Path(o.EventTime), "event_time: the schema says the unit already: leave it out")
		case !slices.Contains([]kind{kindTimestamp, kindInt32, kindInt64}, t.kind):
			return decode.Misfit(o.Path(o.EventTime), "event_time: wants a whole number or a timestamp")
		}
	}
	return nil
}

// find returns the type of the field at a dotted path through records.
func find(t *typ, path string) (*typ, error) {
	for name := range strings.SplitSeq(path, ".") {
		if t.kind != kindRecord {
			return nil, errors.New(name + " is in a " + t.kind.String() + ", only fields of records can be named")
		}
		at := slices.IndexFunc(t.fields, func(f field) bool { return f.name == name })
		if at < 0 {
			return nil, errors.New("the schema has no field " + name + " here")
		}
		t = t.fields[at].typ
	}
	return t, nil
}
