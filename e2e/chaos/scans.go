package chaos

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/registry"
)

// Scans are Avro behind the id of the schema that wrote them, which the sandbox's registry has. Their schema changes
// under way, and nobody is restarted for it: the contract grows with the first record that names the new one.
const (
	scansTopic   = "shop_scans_topic"
	scansSubject = scansTopic + "-value"
	scanned      = "shop.scans.Scanned"
)

// The schemas, and the ids that a registry gives them in which nothing but the sandbox's own two are. The second one
// has the fields in another order, beside the new one.
const (
	scanID      = 3
	grownScanID = 4
	scanSchema  = `{"type": "record", "name": "Scan", "namespace": "shop", "fields": [
  {"name": "number", "type": "long"}, {"name": "timestamp", "type": "long"}, {"name": "place", "type": "string"},
  {"name": "grams", "type": ["null", "int"], "default": null}]}`
	grownScanSchema = `{"type": "record", "name": "Scan", "namespace": "shop", "fields": [
  {"name": "place", "type": "string"}, {"name": "` + column +
		`", "type": ["null", "string"], "default": null}, {"name": "number", "type": "long"},
  {"name": "grams", "type": ["null", "int"], "default": null}, {"name": "timestamp", "type": "long"}]}`
)

// register gives a schema of the scans to the registry, which may be away or fail for a moment.
func (r *run) register(ctx context.Context, avsc string, want int) error {
	for {
		r.sandbox.RLock()
		id, err := registry.Register(ctx, "http://"+r.stack.Endpoints.Registry, scansSubject, avsc)
		r.sandbox.RUnlock()
		switch {
		case err == nil && id != want:
			return fmt.Errorf("the registry gave the id %d to a schema of %s, not %d", id, scansSubject, want)
		case err == nil || ctx.Err() != nil:
			return ctx.Err()
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// scan makes a scan. Grown ones are written with the new schema.
func scan(seed, index uint64, grown bool, dst []byte) events.Event {
	r := rand.New(rand.NewPCG(seed, index))
	e := events.Event{Topic: scansTopic, Nanos: start + int64(index)*interval}
	text := func(b []byte, s string) []byte { return append(binary.AppendVarint(b, int64(len(s))), s...) }
	place, hasGrams, grams, via := "depot "+strconv.Itoa(r.IntN(1e6)), r.IntN(3) > 0, int64(r.IntN(30_000)),
		[]string{"gate", "van", "door"}[r.IntN(3)]
	weight := func(b []byte) []byte {
		if !hasGrams {
			return append(b, 0)
		}
		return binary.AppendVarint(append(b, 2), grams)
	}
	var b []byte
	if grown {
		b = text(append(text(binary.BigEndian.AppendUint32(append(dst, 0), grownScanID), place), 2), via)
		b = binary.AppendVarint(weight(binary.AppendVarint(b, int64(index))), e.Nanos)
	} else {
		b = binary.AppendVarint(binary.BigEndian.AppendUint32(append(dst, 0), scanID), int64(index))
		b = weight(text(binary.AppendVarint(b, e.Nanos), place))
	}
	kind := scanned
	switch {
	case r.IntN(truncatedEvery) == 0: // in the frame too
		e.Kind = events.Truncated
		b = b[:len(dst)+1+r.IntN(len(b)-len(dst)-1)]
	case r.IntN(unknownEvery) == 0:
		e.Kind = events.UnknownType
		kind = "shop.scans.Lost"
	}
	return keyed(e, kind, b, len(dst), r)
}

var errScan = errors.New("not a scan")

// decodeScan is what a scan's row must hold.
func decodeScan(_ string, value []byte) (any, error) {
	if len(value) < 5 || value[0] != 0 {
		return nil, errScan
	}
	id, rest, cut := binary.BigEndian.Uint32(value[1:]), value[5:], false
	number := func() int64 {
		v, n := binary.Varint(rest)
		if cut = cut || n <= 0; cut {
			return 0
		}
		rest = rest[n:]
		return v
	}
	text := func() string {
		n := number()
		if cut = cut || n < 0 || n > int64(len(rest)); cut {
			return ""
		}
		s := string(rest[:n])
		rest = rest[n:]
		return s
	}
	row := map[string]any{}
	weight := func() {
		if number() == 1 {
			row["grams"] = number()
		}
	}
	switch id {
	case scanID:
		row["number"], row["timestamp"], row["place"] = number(), number(), text()
		weight()
	case grownScanID:
		row["place"] = text()
		if number() == 1 {
			row[column] = text()
		}
		row["number"] = number()
		weight()
		row["timestamp"] = number()
	}
	if cut || len(rest) > 0 {
		return nil, errScan
	}
	return row, nil
}
