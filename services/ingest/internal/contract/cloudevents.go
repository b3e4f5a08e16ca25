package contract

import (
	"unicode/utf8"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// The headers of CloudEvents in binary content mode (CloudEvents, "Kafka Protocol Binding", section 3.2).
const (
	cloudEventsBinary = "binary"

	ceType = "ce_type"
	ceID   = "ce_id"
	ceTime = "ce_time"
)

// cloudEvent takes the identity and the time of an event from its headers. Of several of a name the last counts, as it
// does for types; where there is none, or an empty id, the payload has its say as without. It allocates nothing.
func (c *Contract) cloudEvent(e *envelope, r *record.Record) *fault {
	var id, at []byte
	for i := range r.Headers {
		switch h := &r.Headers[i]; string(h.Key) {
		case ceID:
			id = h.Value
		case ceTime:
			at = h.Value
		}
	}
	if len(id) > 0 {
		if !utf8.Valid(id) {
			return &fault{field: "event_id", reason: "the header ce_id is not valid UTF-8"}
		}
		e.id, e.place = id, false
	}
	if len(at) == 0 {
		return nil
	}
	m, reason := decode.ReadMoment(at)
	micros, ok := m.Micros()
	if reason != "" || !ok || !m.HasZone || !m.HasClock {
		return &fault{field: "event_time", reason: "the header ce_time is no time as RFC 3339 has it, years 1 to 9999"}
	}
	e.time, e.timed = micros, true
	return nil
}

// checkCloudEvents reports what headers and payload would say both.
func (c *Config) checkCloudEvents(report func(key, message, remedy string)) {
	switch c.CloudEvents {
	case "":
		return
	case cloudEventsBinary:
	default:
		report("cloudevents", c.CloudEvents+" is no mode whose headers tell of events",
			"write binary; of structured events the payload tells, by event_id, event_time and payload_path: data")
	}
	const both = "the headers of CloudEvents say it"
	switch {
	case c.Builtin != "":
		report("cloudevents", "the built-in contract "+c.Builtin+" settles this", "remove it, or remove builtin")
	case c.EventID != "":
		report("event_id", both, "remove it, or cloudevents")
	case c.EventTime.Field != "":
		report("event_time", both, "remove it, or cloudevents")
	case c.Key == keyEventID:
		report("key", both, "write keep or omit, or remove cloudevents")
	}
}
