package avro

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/twmb/avro"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

// schemaMaker draws random schemas, and values of them.
type schemaMaker struct {
	t     *rapid.T
	types int
}

var leaves = []string{
	`"boolean"`, `"int"`, `"long"`, `"float"`, `"double"`, `"bytes"`, `"string"`,
	`{"type":"int","logicalType":"date"}`, `{"type":"int","logicalType":"time-millis"}`,
	`{"type":"long","logicalType":"time-micros"}`, `{"type":"long","logicalType":"timestamp-millis"}`,
	`{"type":"long","logicalType":"timestamp-micros"}`, `{"type":"long","logicalType":"timestamp-nanos"}`,
	`{"type":"long","logicalType":"local-timestamp-millis"}`,
	`{"type":"long","logicalType":"local-timestamp-micros"}`,
	`{"type":"bytes","logicalType":"decimal","precision":38,"scale":9}`,
	`{"type":"bytes","logicalType":"decimal","precision":76,"scale":38}`,
	`{"type":"bytes","logicalType":"decimal","precision":5,"scale":5}`, `{"type":"string","logicalType":"uuid"}`,
	`{"type":"bytes","logicalType":"big-decimal"}`, `{"type":"long","logicalType":"local-timestamp-nanos"}`, "enum",
	"fixed", "decimal", "duration", "uuid",
}

func (m *schemaMaker) leaf() string {
	m.types++
	switch s := rapid.SampledFrom(leaves).Draw(m.t, "leaf"); s {
	case "enum":
		return fmt.Sprintf(`{"type":"enum","name":"E%d","symbols":["A","B","LONGER"]}`, m.types)
	case "fixed":
		return fmt.Sprintf(`{"type":"fixed","name":"F%d","size":%d}`, m.types, rapid.IntRange(1, 40).Draw(m.t, "size"))
	case "duration":
		return fmt.Sprintf(`{"type":"fixed","name":"P%d","size":12,"logicalType":"duration"}`, m.types)
	case "uuid":
		return fmt.Sprintf(`{"type":"fixed","name":"U%d","size":16,"logicalType":"uuid"}`, m.types)
	case "decimal":
		return fmt.Sprintf(`{"type":"fixed","name":"D%d","size":16,"logicalType":"decimal","precision":20,"scale":4}`,
			m.types)
	default:
		return s
	}
}

// column draws a type that a column can have; items are those that stand in a union, and may be neither null nor
// repeated.
func (m *schemaMaker) column(depth int, item bool) string {
	kinds := []string{"leaf", "leaf", "leaf", "record", "union"}
	if !item {
		kinds = append(kinds, "nullable", "nullable", "one", "array", "map")
	}
	if depth > 3 {
		return m.leaf()
	}
	switch rapid.SampledFrom(kinds).Draw(m.t, "kind") {
	case "record":
		return m.record(depth + 1)
	case "nullable":
		if s := m.column(depth+1, true); !strings.HasPrefix(s, "[") {
			if rapid.Bool().Draw(m.t, "null last") {
				return fmt.Sprintf(`[%s,"null"]`, s)
			}
			return fmt.Sprintf(`["null",%s]`, s)
		}
		return m.leaf()
	case "one":
		return "[" + m.leaf() + "]"
	case "array":
		return fmt.Sprintf(`{"type":"array","items":%s}`, m.column(depth+1, false))
	case "map":
		return fmt.Sprintf(`{"type":"map","values":%s}`, m.column(depth+1, false))
	case "union":
		null := ""
		if !item {
			null = rapid.SampledFrom([]string{"", `"null",`}).Draw(m.t, "null")
		}
		return fmt.Sprintf(`[%s"string",%s,"double","long"]`, null, m.record(depth+1))
	}
	return m.leaf()
}

func (m *schemaMaker) record(depth int) string {
	m.types++
	name := m.types
	var fields []string
	for i := range rapid.IntRange(1, 20/depth).Draw(m.t, "fields") {
		fields = append(fields, fmt.Sprintf(`{"name":"f%d","type":%s}`, i, m.column(depth, false)))
	}
	return fmt.Sprintf(`{"type":"record","name":"R%d","fields":[%s]}`, name, strings.Join(fields, ","))
}

// datum draws the Avro bytes of a value, written here and not by a library: blocks of either form, numbers at their
// bounds.
func (m *schemaMaker) datum(dst []byte, t *typ) []byte {
	long := func(v int64) { dst = appendZigzag(dst, v) }
	text := func(b []byte) { long(int64(len(b))); dst = append(dst, b...) }
	switch t.logical {
	case logicalDate:
		long(int64(rapid.IntRange(decode.MinDays, decode.MaxDays).Draw(m.t, "date")))
		return dst
	case logicalTimeMillis:
		long(int64(rapid.IntRange(0, decode.DayMicros/1000-1).Draw(m.t, "time")))
		return dst
	case logicalTimeMicros:
		long(int64(rapid.IntRange(0, decode.DayMicros-1).Draw(m.t, "time")))
		return dst
	case logicalTimestampMillis, logicalLocalMillis:
		long(rapid.Int64Range(decode.MinMicros/1000, decode.MaxMicros/1000).Draw(m.t, "millis"))
		return dst
	case logicalTimestampMicros, logicalLocalMicros:
		long(rapid.Int64Range(decode.MinMicros, decode.MaxMicros).Draw(m.t, "micros"))
		return dst
	case logicalDuration:
		for _, most := range []int{decode.MaxIntervalMonths, decode.MaxIntervalDays, math.MaxUint32} {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(rapid.IntRange(0, most).Draw(m.t, "part")))
		}
		return dst
	case logicalBigDecimal:
		scale := rapid.IntRange(0, decode.BigNumericScale).Draw(m.t, "scale")
		n, _ := new(big.Int).SetString(
			rapid.StringMatching(fmt.Sprintf(`-?[0-9]{1,%d}`, decode.BigNumericWhole+scale)).Draw(m.t, "digits"), 10)
		unscaled := twosComplement(n, n.BitLen()/8+1)
		text(appendZigzag(append(appendZigzag(nil, int64(len(unscaled))), unscaled...), int64(scale)))
		return dst
	case logicalTimestampNanos, logicalLocalNanos:
		long(rapid.Int64().Draw(m.t, "nanos"))
		return dst
	case logicalDecimal:
		// As many digits as the precision has, of either sign.
		digits := rapid.StringMatching(fmt.Sprintf(`-?[0-9]{1,%d}`, t.precision)).Draw(m.t, "digits")
		n, _ := new(big.Int).SetString(digits, 10)
		if t.kind == kindFixed {
			return append(dst, twosComplement(n, t.size)...)
		}
		text(twosComplement(n, n.BitLen()/8+1+rapid.IntRange(0, 2).Draw(m.t, "padding")))
		return dst
	case logicalUUID:
		if t.kind == kindFixed {
			return append(dst, rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(m.t, "uuid")...)
		}
		text([]byte(rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`).Draw(m.t,
			"uuid")))
		return dst
	}
	switch t.kind {
	case kindBoolean:
		dst = append(dst, byte(rapid.IntRange(0, 1).Draw(m.t, "bool")))
	case kindInt:
		long(int64(rapid.Int32().Draw(m.t, "int")))
	case kindLong:
		long(rapid.Int64().Draw(m.t, "long"))
	case kindFloat:
		dst = append(dst, rapid.SliceOfN(rapid.ByteMax(0x7e), 4, 4).Draw(m.t, "float")...)
	case kindDouble:
		dst = append(dst, rapid.SliceOfN(rapid.ByteMax(0x7e), 8, 8).Draw(m.t, "double")...)
	case kindBytes:
		text(rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(m.t, "bytes"))
	case kindString:
		text([]byte(rapid.StringN(-1, 90, -1).Draw(m.t, "string")))
	case kindFixed:
		dst = append(dst, rapid.SliceOfN(rapid.Byte(), t.size, t.size).Draw(m.t, "fixed")...)
	case kindEnum:
		long(int64(rapid.IntRange(0, len(t.symbols)-1).Draw(m.t, "symbol")))
	case kindRecord:
		for _, f := range t.fields {
			dst = m.datum(dst, f.typ)
		}
	case kindUnion:
		branch := rapid.IntRange(0, len(t.branches)-1).Draw(m.t, "branch")
		long(int64(branch))
		dst = m.datum(dst, t.branches[branch])
	case kindArray, kindMap:
		entry := 0
		for range rapid.IntRange(0, 3).Draw(m.t, "blocks") {
			var block []byte
			items := rapid.IntRange(1, 3).Draw(m.t, "items")
			for range items {
				if t.kind == kindMap {
					key := fmt.Sprintf("key %d é", entry)
					block = append(appendZigzag(block, int64(len(key))), key...)
					entry++
				}
				block = m.datum(block, t.items)
			}
			if rapid.Bool().Draw(m.t, "sized") {
				long(int64(-items))
				long(int64(len(block)))
			} else {
				long(int64(items))
			}
			dst = append(dst, block...)
		}
		long(0)
	}
	return dst
}

func appendZigzag(dst []byte, v int64) []byte {
	var room [10]byte
	return append(dst, room[:decode.PutVarint(room[:], 0, uint64(v)<<1^uint64(v>>63))]...)
}

func twosComplement(n *big.Int, size int) []byte {
	v := new(big.Int).Set(n)
	if v.Sign() < 0 {
		v.Add(v, new(big.Int).Lsh(big.NewInt(1), uint(8*size)))
	}
	return v.FillBytes(make([]byte, size))
}

// TestAgainstAvro compares random data of random schemas with what twmb/avro reads, through the run-time descriptor.
func TestAgainstAvro(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &schemaMaker{t: t}
		avsc := m.record(1)
		p, err := Compile([]byte(avsc), decode.Options{Contract: "random", Payload: "payload"})
		if err != nil {
			t.Fatalf("%s: %v", avsc, err)
		}
		message := decodetest.Payload(t, p)
		d := p.NewDecoder()
		for range 2 {
			datum := m.datum(nil, p.schema.root)
			row, err := d.Append(nil, datum)
			if err != nil {
				t.Fatalf("%s\n%x: %v", avsc, datum, err)
			}
			got := dynamicpb.NewMessage(message)
			if err := proto.Unmarshal(row, got); err != nil {
				t.Fatal(err)
			}
			if canonical, err := (proto.MarshalOptions{Deterministic: true}).Marshal(got); err != nil ||
				!bytes.Equal(row, canonical) {
				t.Fatalf("%s\n%x: not the bytes of proto.Marshal\n%x\n%x", avsc, datum, row, canonical)
			}
			schema, err := avro.Parse(avsc)
			if err != nil {
				t.Fatal(err)
			}
			var want any
			if _, err := schema.Decode(datum, &want); err != nil {
				t.Fatalf("%s\n%x: %v", avsc, datum, err)
			}
			if differs := compareRecord(got, p.schema.root, want); differs != "" {
				t.Fatalf("%s\n%x: %s", avsc, datum, differs)
			}
		}
	})
}
