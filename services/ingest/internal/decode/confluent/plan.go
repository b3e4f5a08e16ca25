package confluent

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// maxKnown and maxBytes bound the schema ids that a plan knows, and what their plans take in memory: ids are foreign
// input, and each may cost a compiled plan.
const (
	maxKnown = 1024
	maxBytes = 64 << 20
)

// known is what is known of schema ids. Whatever was learned last is in young; when that holds half of the bounds, it
// becomes the old one, so that an id which a lane has just learned is not forgotten before its records are read.
type known struct{ young, old map[uint32]Source }

func (k *known) find(id uint32) (Source, bool) {
	if s, ok := k.young[id]; ok {
		return s, true
	}
	s, ok := k.old[id]
	return s, ok
}

// Plan is one version of a contract whose payloads are framed. Safe for concurrent use.
type Plan struct {
	contract, payload string
	columns           decode.Plan

	// known is replaced, never written to, so that looking up takes no lock.
	known atomic.Pointer[known]
	mu    sync.Mutex // held by those who replace it
	bytes int        // of the young; guarded by mu
	nulls atomic.Bool
}

// TypeOf is the full name of the type of a payload behind its frame, nil for none; null says that it is null and
// nothing else. It allocates nothing.
type TypeOf func(payload []byte) (name []byte, null bool)

// Source is what is known of a schema id.
type Source struct {
	// Plan decodes the payloads behind the id into the columns of the version; nil when there is a reason why not.
	Plan decode.Plan
	// Reason says why its records are refused.
	Reason string
	// Types says of which type its payloads are, nil where that is not asked for. Nulls: they may be null by their
	// schema.
	Types TypeOf
	Nulls bool
	// Until is when to ask again about the id; zero: never.
	Until time.Time
}

// bytes is about what the source takes in memory.
func (s *Source) bytes() int {
	const least = 1 << 10
	size := least + len(s.Reason)
	if p, ok := s.Plan.(interface{ Bytes() int }); ok {
		size += p.Bytes()
	}
	return size
}

// NewPlan makes a plan that knows no schema id yet. columns has the columns; its decoders are not used. contract and
// payload are for errors.
func NewPlan(contract, payload string, columns decode.Plan) *Plan {
	p := &Plan{contract: contract, payload: payload, columns: columns}
	p.known.Store(&known{})
	return p
}

// Known reports whether a schema id is known, as far as it does not have to be asked for again.
func (p *Plan) Known(id uint32) bool {
	s, ok := p.known.Load().find(id)
	return ok && (s.Until.IsZero() || time.Now().Before(s.Until))
}

// IDs are the schema ids that are known, ascending, at most so many.
func (p *Plan) IDs(most int) []uint32 {
	k := p.known.Load()
	ids := slices.Concat(slices.Collect(maps.Keys(k.young)), slices.Collect(maps.Keys(k.old)))
	slices.Sort(ids)
	ids = slices.Compact(ids)
	return ids[:min(len(ids), most)]
}

// Find is what is known of a schema id.
func (p *Plan) Find(id uint32) (Source, bool) { return p.known.Load().find(id) }

// Null says that a framed payload is null by its schema.
func (p *Plan) Null(payload []byte) bool {
	if !p.nulls.Load() {
		return false
	}
	id, rest, ok := ID(payload)
	if !ok {
		return false
	}
	source, ok := p.Find(id)
	if !ok || !source.Nulls {
		return false
	}
	_, null := source.Types(rest)
	return null
}

// Learn adds what is known of a schema id.
func (p *Plan) Learn(id uint32, s Source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.Nulls {
		p.nulls.Store(true)
	}
	next := *p.known.Load()
	before, again := next.young[id]
	if again {
		p.bytes -= before.bytes()
	}
	if p.bytes += s.bytes(); !again && len(next.young) >= maxKnown/2 || p.bytes > maxBytes/2 {
		next.old, next.young, p.bytes = next.young, nil, s.bytes()
	}
	young := map[uint32]Source{id: s}
	for other, source := range next.young {
		if other != id {
			young[other] = source
		}
	}
	next.young = young
	p.known.Store(&next)
}

// Warnings are those of the schema that the columns are made of.
func (p *Plan) Warnings() []string { return decode.Warnings(p.columns) }

// AddPayload implements decode.Plan.
func (p *Plan) AddPayload(row *descriptorpb.DescriptorProto, column string, number int32) error {
	return p.columns.AddPayload(row, column, number)
}

// NewDecoder implements decode.Plan.
func (p *Plan) NewDecoder() decode.Decoder { return &Decoder{plan: p, Decoder: nobodys} }

// maxDecoders bounds the decoders that one lane keeps.
const maxDecoders = 64

// Decoder runs a plan. Not safe for concurrent use.
type Decoder struct {
	// Decoder is that of lastID, the id of the record before; nobody's at first and after a refusal.
	decode.Decoder
	lastID   uint32
	plan     *Plan
	decoders map[uint32]decode.Decoder
}

// nobody decodes nothing, so that nothing is taken of a record that was refused.
type nobody struct{ decode.Taken }

func (*nobody) Append(dst, _ []byte) ([]byte, error) { return dst, nil }

var nobodys decode.Decoder = &nobody{}

// Append implements decode.Decoder. A payload without a header, and one whose schema id the plan has not learned, is
// refused.
func (d *Decoder) Append(dst, payload []byte) ([]byte, error) {
	id, rest, ok := ID(payload)
	if !ok {
		d.Decoder = nobodys
		return dst, d.refuse(unframed(payload))
	}
	if d.Decoder == nobodys || d.lastID != id {
		if err := d.find(id); err != nil {
			return dst, err
		}
	}
	out, err := d.Decoder.Append(dst, rest)
	if e, ok := err.(*decode.Error); ok && e.Offset >= 0 { //nolint:errorlint // a decoder's error is this type itself
		e.Offset += HeaderBytes
	}
	return out, err
}

// find makes the decoder of an id the last one.
func (d *Decoder) find(id uint32) error {
	d.Decoder = nobodys
	source, ok := d.plan.known.Load().find(id)
	switch {
	case !ok:
		return d.refuse(fmt.Sprintf("schema id %d was not looked up", id))
	case source.Plan == nil:
		return d.refuse(source.Reason)
	}
	decoder := d.decoders[id]
	if decoder == nil {
		if len(d.decoders) >= maxDecoders {
			clear(d.decoders)
		}
		if d.decoders == nil {
			d.decoders = map[uint32]decode.Decoder{}
		}
		decoder = source.Plan.NewDecoder()
		d.decoders[id] = decoder
	}
	d.Decoder, d.lastID = decoder, id
	return nil
}

func (d *Decoder) refuse(reason string) error {
	return &decode.Error{Contract: d.plan.contract, Field: d.plan.payload, Offset: 0, Reason: reason}
}
