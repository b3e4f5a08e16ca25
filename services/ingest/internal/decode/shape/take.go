package shape

import (
	"errors"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// take checks the fields that the envelope takes from the payload, and settles the unit of the event's time.
func (t *Tree) take(o *decode.Options) {
	if o.EventID != "" {
		n, err := t.find(o.EventID)
		switch {
		case err != nil:
			t.fault(o.EventIDPath(), "event_id: "+err.Error())
		case t.kind(n) != String && t.kind(n) != Enum && !t.kind(n).IsWhole():
			t.fault(o.EventIDPath(), "event_id: wants a string, a whole number, an enum or a uuid")
		}
	}
	if o.EventTime == "" {
		return
	}
	n, err := t.find(o.EventTime)
	switch {
	case err != nil:
		t.fault(o.EventTimePath(), "event_time: "+err.Error())
	case n.Kind == Timestamp && o.EventTimeUnit != decode.Auto && n.Override != nil:
		t.fault(o.EventTimePath(), "event_time: columns says the unit already: leave it out")
	case n.Kind == Timestamp && o.EventTimeUnit != decode.Auto:
		t.fault(o.EventTimePath(), "event_time: the schema says the unit already: leave it out")
	case n.Kind == Timestamp:
		o.EventTimeUnit = n.Unit
	case !t.kind(n).IsWhole() && !(n.From == Timestamp && n.Override != nil):
		t.fault(o.EventTimePath(), "event_time: wants a whole number, a timestamp, or a text whose column is a "+
			"TIMESTAMP")
	}
}

// kind is what the envelope takes of a value.
func (t *Tree) kind(n *Node) Kind {
	if t.AsRow {
		return n.Kind
	}
	return n.From
}

// find returns the field at a dotted path through records.
func (t *Tree) find(path string) (*Node, error) {
	n := t.Root
	for name := range strings.SplitSeq(path, ".") {
		if n.Kind != Record && n.Kind != Range {
			return nil, errors.New(name + " is in a value of type " + n.Kind.String() +
				", only fields of records can be named")
		}
		at := n.Part(name)
		if at < 0 {
			return nil, errors.New("the schema has no field " + name + " here")
		}
		if n = n.Parts[at]; n.Skip {
			return nil, errors.New("columns leaves " + name + " out of the table")
		}
	}
	return n, nil
}
