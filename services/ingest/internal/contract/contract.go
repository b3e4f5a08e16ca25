// Package contract says what the records of a topic mean: which table a record becomes a row of, by its type header,
// and how.
//
//	set, err := contract.Load(ctx, cfg.Contracts, dir, env) // config.Problems: every one of them
//	topic := set.Topic("delivery_events_v6_topic").Fork() // one for each lane
//	switch m := topic.Match(&rec); m.Action {
//	case contract.Row:
//		block, err = m.Contract.AppendRow(block, &rec, m, now) // a *decode.Error: the record's own fault
//	...
//
// Matching decodes nothing: which table a record counts for depends on its headers, on whether its value is null, and
// on the routing, whose Fingerprint travels in the checkpoint. A changed schema cannot shift the count of a replay.
package contract

import (
	"crypto/sha256"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/avro"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/confluent"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/within"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

var units = map[string]decode.Unit{
	"auto": decode.Auto, "s": decode.Seconds, "ms": decode.Millis, "us": decode.Micros, "ns": decode.Nanos,
}

// Contract turns the records of one entry into rows. Not safe for concurrent use; it belongs to one Fork of a Topic.
type Contract struct {
	name    string
	version string
	key     string // what becomes of the record's key
	plan    decode.Plan
	decoder decode.Decoder
	// versions is set when the records name their schema; at is the version that this fork works with.
	versions *versions
	at       *version
	// rows is the plan of the rows' payload where that is a record within what plan decodes; nil where it is plan's.
	rows   decode.Plan
	within *within.Decoder
	// cloudEvents: headers have the identity and the time of the event.
	cloudEvents bool
	// nulls tells bare payloads that are null by their schema; nil where none may be.
	nulls confluent.TypeOf
	// far counts dates and times that are far away; nil where the contract says nothing of them.
	far prometheus.Counter
	// source tells the text of the schema that the entry was compiled from.
	source [sha256.Size]byte
	// warnings are what the entry says about versions of its subject.
	warnings []string

	// Kept from row to row, so that none allocates. The payload is decoded first: the envelope before it takes its
	// identity and time from it. identity is how long those fields were in the row before, gain how much longer its
	// payload was than the record's value.
	payload        []byte
	identity, gain int
	memo           memo
	headers        *headers // shared by the contracts of a topic
}

func newContract(name, version, key string, plan decode.Plan) *Contract {
	c := &Contract{name: name, version: version, key: key, plan: plan, decoder: plan.NewDecoder(), headers: &headers{}}
	if t, ok := plan.(*avro.Plan); ok && t.Schema().HasNull() {
		c.nulls = t.Schema().TypeOf
	}
	return c
}

// fork copies the contract, at its newest version.
func (c *Contract) fork() *Contract {
	var fork *Contract
	if c.versions == nil {
		fork = newContract(c.name, c.version, c.key, c.plan).reading(c.rows, c.cloudEvents)
	} else {
		at := c.versions.current.Load()
		fork = newContract(c.name, c.version, c.key, at.plan).reading(at.rows, c.cloudEvents)
		fork.versions, fork.at = c.versions, at
	}
	fork.far = c.far
	return fork
}

// Name is what the entry says, else follows from its schema: see Config.Name. The contract of records whose type no
// other takes is called unknown.
func (c *Contract) Name() string { return c.name }

// keptBytes bounds the buffers kept from row to row: one huge record must not hold its memory for ever in each lane.
const keptBytes = 1 << 20

// spare is the room behind a payload that decoders like to have.
const spare = 256

// AppendRow appends the record's row as one entry of `repeated rows = 1`: tag 0x0a, length, row. m is what Match said
// of the record, nowMicros the time of ingestion in microseconds since the epoch. Of a null value the payload is null.
// Fields are ascending and lengths minimal. On error dst comes back at its old length and the error is a *decode.Error.
func (c *Contract) AppendRow(dst []byte, r *record.Record, m *Match, nowMicros int64) ([]byte, error) {
	var e envelope
	start := len(dst)
	bad := c.measure(&e, r, m, nowMicros)
	if r.Value == nil || c.null(r.Value) {
		if bad != nil {
			return dst, c.refuse(bad)
		}
		c.complete(&e, false)
		return e.alone(dst), nil
	}
	// The payload is decoded to where it belongs, if the envelope turns out as long as it is expected to be. Where dst
	// may be too short it is decoded elsewhere: what makes dst grow copies all rows that are in it.
	expected := max(0, len(r.Value)+c.gain)
	gap := headLen(e.size+c.identity, expected)
	in := c.payload[:0]
	direct := cap(dst)-start >= gap+max(expected, len(r.Value))+spare
	if direct {
		in = dst[:start+gap]
	}
	out, err := c.decoder.Append(in, r.Value)
	if err != nil {
		return dst, err
	}
	if bad != nil {
		return dst, c.refuse(bad)
	}
	if c.far != nil {
		if n := c.decoder.FarDates(); n > 0 {
			c.far.Add(float64(n))
		}
	}
	payload, measured := out[len(in):], e.size
	c.complete(&e, true)
	if c.within != nil && c.within.Absent() {
		return e.alone(dst), nil
	}
	c.identity, c.gain = e.size-measured, len(payload)-len(r.Value)
	head := headLen(e.size, len(payload))
	switch {
	case !direct:
		if cap(out) <= keptBytes {
			c.payload = out
		}
		out = slices.Grow(dst, head+len(payload))
	case head > gap:
		out = slices.Grow(out, head-gap)
	}
	out = out[:start+head+len(payload)]
	if !direct || head != gap {
		copy(out[start+head:], payload)
	}
	before := out[:start+head]
	o := e.lay(before, putFrame(before, start, e.size+len(payloadTag)+decode.VarintLen(uint64(len(payload)))+
		len(payload)))
	o += copy(before[o:], payloadTag)
	decode.PutVarint(before, o, uint64(len(payload)))
	return out, nil
}

// headLen is how many bytes of a row, its frame included, are before a payload of so many bytes.
func headLen(envelope, payload int) int {
	envelope += len(payloadTag) + decode.VarintLen(uint64(payload))
	return 1 + decode.VarintLen(uint64(envelope+payload)) + envelope
}

func (c *Contract) refuse(bad *fault) error {
	return &decode.Error{Contract: c.name, Field: bad.field, Offset: -1, Reason: bad.reason}
}

// fault is what is wrong with a record outside of its payload.
type fault struct {
	field  string
	reason string
}
