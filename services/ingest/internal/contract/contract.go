// Package contract says what the records of a topic mean: which table a record becomes a row of, by its type header, and how.
//
//	set, err := contract.Load(cfg.Contracts, dir)   // config.Problems: every one of them
//	topic := set.Topic("delivery_events_v6_topic").Fork() // one for each lane
//	switch m := topic.Match(&rec); m.Action {
//	case contract.Row:
//		block, err = m.Contract.AppendRow(block, &rec, m, now) // a *decode.Error: the record's own fault
//	...
//
// Matching decodes nothing: which table a record counts for depends on its headers, on whether its value is null, and on the routing, whose
// Fingerprint travels in the checkpoint. A changed schema cannot shift the count of a replay.
package contract

import (
	"fmt"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

var units = map[string]decode.Unit{"auto": decode.Auto, "s": decode.Seconds, "ms": decode.Millis, "us": decode.Micros, "ns": decode.Nanos}

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

	// Kept from row to row, so that none allocates. The payload is encoded first: the envelope before it takes its identity
	// and time from it.
	envelope, payload []byte
	memo              memo
}

func newContract(name, version, key string, plan decode.Plan) *Contract {
	return &Contract{name: name, version: version, key: key, plan: plan, decoder: plan.NewDecoder()}
}

// fork copies the contract, at its newest version.
func (c *Contract) fork() *Contract {
	if c.versions == nil {
		return newContract(c.name, c.version, c.key, c.plan)
	}
	at := c.versions.current.Load()
	fork := newContract(c.name, c.version, c.key, at.plan)
	fork.versions, fork.at = c.versions, at
	return fork
}

// Name is what the entry says, else follows from its schema: see Config.Name. The contract of records whose type no other takes is called unknown.
func (c *Contract) Name() string { return c.name }

// keptBytes bounds the buffers kept from row to row: one huge record must not hold its memory for ever in each lane.
const keptBytes = 1 << 20

// AppendRow appends the record's row as one entry of `repeated rows = 1`: tag 0x0a, length, row. m is what Match said of the record,
// nowMicros the time of ingestion in microseconds since the epoch. Of a null value the payload is null. Fields are ascending and lengths minimal. On error dst comes back at
// its old length and the error is a *decode.Error.
func (c *Contract) AppendRow(dst []byte, r *record.Record, m Match, nowMicros int64) ([]byte, error) {
	payload := c.payload[:0]
	if r.Value != nil {
		var err error
		if payload, err = c.decoder.Append(payload, r.Value); err != nil {
			return dst, err
		}
		if cap(payload) <= keptBytes {
			c.payload = payload
		}
	}
	envelope, fault := c.appendEnvelope(c.envelope[:0], r, m.itemType, nowMicros)
	if fault != nil {
		return dst, &decode.Error{Contract: c.name, Field: fault.name(), Offset: -1, Reason: fault.reason}
	}
	if cap(envelope) <= keptBytes {
		c.envelope = envelope
	}
	dst = append(dst, rowsTag)
	if r.Value == nil {
		dst = appendVarint(dst, uint64(len(envelope)))
		return append(dst, envelope...), nil
	}
	var head [16]byte
	payloadHead := appendVarint(append(head[:0], payloadTag...), uint64(len(payload)))
	dst = appendVarint(dst, uint64(len(envelope)+len(payloadHead)+len(payload)))
	dst = append(dst, envelope...)
	dst = append(dst, payloadHead...)
	return append(dst, payload...), nil
}

// fault is what is wrong with a record outside of its payload.
type fault struct {
	field, part string
	index       int // of the header, with part
	reason      string
}

func (f *fault) name() string {
	if f.part == "" {
		return f.field
	}
	return fmt.Sprintf("%s[%d].%s", f.field, f.index, f.part)
}
