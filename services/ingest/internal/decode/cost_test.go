package decode_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/avro"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/json"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/protobuf"
)

// What one record may cost: all that is allocated for it, from first to last, and what is still held when it is done.
const (
	mostTimes  = 300
	leastBytes = 2 << 20           // decoders, pools of libraries
	mostBytes  = 5 * decode.MaxRow // the row as it grows, each time copied to twice the room
	mostHeld   = 20 << 20          // schemas of files that are kept, and buffers
)

// container is an object container file of one block.
func container(schema, codec string, block []byte) []byte {
	long := func(out []byte, v int) []byte { return binary.AppendVarint(out, int64(v)) }
	text := func(out []byte, s string) []byte { return append(long(out, len(s)), s...) }
	out := text(text(long([]byte("Obj\x01"), 2), "avro.schema"), schema)
	out = append(text(text(out, "avro.codec"), codec), 0)
	sync := strings.Repeat("s", 16)
	out = append(out, sync...)
	out = append(long(long(out, 1), len(block)), block...)
	return append(out, sync...)
}

// unfolding is a field type that few bytes of schema make 2^levels values of.
func unfolding(levels int) string {
	inner := `{"type":"record","name":"T0","fields":[{"name":"a","type":"int"}]}`
	for i := range levels {
		inner = fmt.Sprintf(`{"type":"record","name":"T%d","fields":[{"name":"a","type":%s},{"name":"b","type":"T%d"}]}`, i+1,
			inner, i)
	}
	return inner
}

// nested are records within records, with so many types at each level to choose from.
func nested(levels, types int) string {
	inner := `"int"`
	for level := range levels {
		var union []string
		for i := range types {
			union = append(union, fmt.Sprintf(`{"type":"record","name":"L%d_%d","fields":[{"name":"x","type":%s}]}`,
				level, i, inner))
			if i == 0 && level > 0 {
				var names []string
				for j := range types {
					names = append(names, fmt.Sprintf(`"L%d_%d"`, level-1, j))
				}
				inner = "[" + strings.Join(names, ",") + "]" // defined once, named from then on
			}
		}
		inner = "[" + strings.Join(union, ",") + "]"
	}
	return recordOf(`{"name":"x","type":` + inner + `}`)
}

func recordOf(fields string) string {
	return `{"type":"record","name":"R","fields":[` + fields + `]}`
}

func compiled[P decode.Plan](t *testing.T) func(P, error) decode.Plan {
	return func(p P, err error) decode.Plan {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

func compileAvro(schema string, o decode.Options) (*avro.Plan, error) {
	s, err := avro.Parse(schema)
	if err != nil {
		return nil, err
	}
	return s.Compile(o)
}

// compileProtobuf compiles a message of the text of a .proto file; without a name it is the file's first.
func compileProtobuf(text, message string, o decode.Options) (*protobuf.Plan, error) {
	file, err := protobuf.ParseSource(map[string]string{"x.proto": text}, "x.proto")
	if err != nil {
		return nil, err
	}
	s, err := protobuf.NewSchema(file, message)
	if err != nil {
		return nil, err
	}
	return s.Compile(protobuf.Drop, o)
}

// appended is how long a payload's row is, which nobody keeps.
func appended(d decode.Decoder, payload []byte) (int, error) {
	row, err := d.Append(nil, payload)
	return len(row), err
}

// One record costs at most a stated multiple of its size, whatever it holds: a schema of its own, a packed block, or
// values that stand for more than they say.
func TestCostOfARecord(t *testing.T) {
	if raced {
		t.Skip("make test-memory runs it, without the race detector")
	}
	options := decode.Options{Contract: "c", Payload: "p"}
	id := `{"name":"id","type":"string"}`
	files := compiled[*avro.Plan](t)(compileAvro(recordOf(id), options))
	wide := []string{}
	for i := range 200 {
		wide = append(wide, fmt.Sprintf(`{"name":"f%d","type":"string","default":%q}`, i, strings.Repeat("d", 100)))
	}
	defaults := recordOf(`{"name":"items","type":{"type":"array","items":{"type":"record","name":"I",` +
		`"fields":[{"name":"x","type":"int"},` + strings.Join(wide, ",") + `]}}}`)
	bare := recordOf(`{"name":"items","type":{"type":"array","items":{"type":"record","name":"I","fields":[{"name":"x",` +
		`"type":"int"}]}}}`)
	places := []string{}
	for i := range 100 {
		places = append(places, fmt.Sprintf(`{"name":"e%d","type":{"type":"enum","name":"E%d","symbols":["A"]}}`, i, i))
	}
	symbols := []string{}
	for i := range 20_000 {
		symbols = append(symbols, fmt.Sprintf(`"S%d"`, i))
	}
	enums := recordOf(`{"name":"e0","type":{"type":"enum","name":"E","symbols":["A",` + strings.Join(symbols, ",") +
		`]}}` + strings.Repeat(
		`,{"name":"e%","type":"E"}`, 99))
	for i := 1; i < 100; i++ {
		enums = strings.Replace(enums, "e%", fmt.Sprintf("e%d", i), 1)
	}
	branches := []string{}
	for i := range 1000 {
		branches = append(branches, fmt.Sprintf(`{"type":"record","name":"B%d","fields":[{"name":"x","type":"int"}]}`,
			i))
	}
	million := make([]byte, 1<<20)
	packed := func(codec string, n int) []byte {
		var out bytes.Buffer
		data := append(binary.AppendVarint(nil, int64(n)), make([]byte, n)...)
		switch codec {
		case "deflate":
			w, _ := flate.NewWriter(&out, 9)
			_, _ = w.Write(data)
			_ = w.Close()
		case "snappy":
			out.Write(snappy.Encode(nil, data))
			_ = binary.Write(&out, binary.BigEndian, crc32.ChecksumIEEE(data))
		case "zstandard":
			w, _ := zstd.NewWriter(&out)
			_, _ = w.Write(data) // without its length in the frame
			_ = w.Close()
		}
		return container(recordOf(id), codec, out.Bytes())
	}
	message := "syntax = \"proto3\"; package p; message M { repeated I items = 1; repeated E e = 2; " +
		"repeated J json = 3; } enum E { " + strings.Repeat(
		"A", 1000) + " = 0; } message I { "
	for i := range 500 {
		message += fmt.Sprintf("int64 a%d = %d; ", i, i+1)
	}
	message += "} message J { string s = 1; optional J2 j = 2; } message J2 { string s = 1; }"
	proto := compiled[*protobuf.Plan](t)(compileProtobuf(message, "p.M", options))
	natural := func(unknown json.Unknown) decode.Plan {
		return compiled[*json.Plan](t)(json.Compile([]byte(defaults), json.Avro,
			json.Settings{Unknown: unknown, Lenient: true}, options))
	}
	for name, c := range map[string]struct {
		plan    decode.Plan
		payload []byte
		bytes   int // beside the payload's multiple: for rows and blocks as they grow
	}{
		"a schema that unfolds": {
			files, container(recordOf(id+`,{"name":"x","type":`+unfolding(40)+`}`), "null",
				append([]byte{2, 'x'}, make([]byte, 1000)...)), leastBytes,
		},
		"a long name above it": {
			files, container(recordOf(id+`,{"name":"`+strings.Repeat("n", 64<<10)+`","type":`+unfolding(15)+`}`),
				"null", append([]byte{2, 'x'}, make([]byte, 1<<15)...)), leastBytes,
		},
		"a schema of many types": {
			files, container(recordOf(id+`,{"name":"x","type":[`+strings.Join(branches, ",")+`]}`), "null",
				[]byte{2, 'x', 0, 2}), leastBytes,
		},
		"types for one column": {
			compiled[*avro.Plan](t)(compileAvro(nested(12, 1), options)),
			container(nested(12, 3), "null", append(make([]byte, 12), 2)), leastBytes,
		},
		"types for every column": {
			compiled[*avro.Plan](t)(compileAvro(recordOf(strings.Join(places, ",")), options)),
			container(enums, "null", make([]byte, 100)), leastBytes,
		},
		"values of no bytes": {
			files, container(recordOf(id+`,{"name":"x","type":`+strings.Replace(unfolding(40), `"int"`, `"null"`, 1)+
				`}`), "null", []byte{2, 'x'}), leastBytes,
		},
		"deflate":   {files, packed("deflate", 30<<20), mostBytes},
		"snappy":    {files, packed("snappy", 30<<20), mostBytes},
		"zstandard": {files, packed("zstandard", 30<<20), mostBytes},
		// with the library's decoder, which is kept
		"zstandard that lies": {
			files, container(recordOf(id), "zstandard", []byte("\x28\xb5\x2f\xfd\xa0\x00\x00\x00\x40\x01\x00\x00")),
			leastBytes + 2<<20,
		},
		"defaults of a file": {
			compiled[*avro.Plan](t)(compileAvro(defaults, options)),
			container(bare, "null", append(append(binary.AppendVarint(nil, 1<<20), million...), 0)), mostBytes,
		},
		"defaults of JSON": {
			natural(json.Drop), []byte(`{"items":[{"x":0}` + strings.Repeat(`,{"x":0}`, 100_000) + `]}`), mostBytes,
		},
		"unknown fields of JSON": {
			natural(json.Keep), []byte(`{"items":[{"x":0}` + strings.Repeat(`,{"x":0,"":1}`, 1000) + `]}`), mostBytes,
		},
		"messages of nothing": {proto, bytes.Repeat([]byte{1<<3 | 2, 0}, 500_000), mostBytes},
		"numbers that become names": {
			proto, append(binary.AppendUvarint([]byte{2<<3 | 2}, 1<<20), million...),
			mostBytes,
		},
		"numbers, each by itself": {proto, bytes.Repeat([]byte{2 << 3, 0}, 500_000), mostBytes},
		"a field twice in everything": {
			proto, bytes.Repeat([]byte{3<<3 | 2, 6, 1<<3 | 2, 0, 1<<3 | 2, 0, 2<<3 | 2, 0}, 100_000), mostBytes,
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			d := c.plan.NewDecoder()
			var before, after, held runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			size, err := appended(d, c.payload)
			runtime.ReadMemStats(&after)
			runtime.GC()
			runtime.GC() // what libraries keep in pools
			runtime.ReadMemStats(&held)
			spent := after.TotalAlloc - before.TotalAlloc
			if most := uint64(c.bytes + mostTimes*len(c.payload)); spent > most {
				t.Errorf("%d bytes: %d allocated, at most %d should be", len(c.payload), spent, most)
			}
			if size > decode.MaxRow+len(c.payload)+1<<20 {
				t.Errorf("a row of %d bytes", size)
			}
			if kept := int64(held.HeapAlloc) - int64(before.HeapAlloc); kept > mostHeld {
				t.Errorf("%d bytes are held", kept)
			}
			t.Logf("%d bytes: %d KiB allocated (%d times), row %d, %.120v",
				len(c.payload), spent>>10, spent/uint64(len(c.payload)), size, err)
			runtime.KeepAlive(d)
		})
	}
}

// A schema that is met in flight costs at most a stated multiple of its length, whatever its types name and are called.
func TestCostOfASchema(t *testing.T) {
	if raced {
		t.Skip("make test-memory runs it, without the race detector")
	}
	options := decode.Options{Contract: "c", Payload: "p"}
	definitions, messages := `"T0":{"properties":{"a":{"type":"integer"}}}`, "message T0 { int32 a = 1; }"
	for i := range 40 {
		definitions += fmt.Sprintf(`,"T%d":{"properties":{"a":{"$ref":"#/$defs/T%d"},"b":{"$ref":"#/$defs/T%d"}}}`, i+1,
			i, i)
		messages += fmt.Sprintf(" message T%d { T%d a = 1; T%d b = 2; }", i+1, i, i)
	}
	long := strings.Repeat("n", 300<<10)
	fields, properties := []string{}, []string{}
	for i := range 9000 {
		fields = append(fields, fmt.Sprintf(`{"name":"f%d","type":"int"}`, i))
		properties = append(properties, fmt.Sprintf(`"f%d":{"type":"integer"}`, i))
	}
	ofAvro := func(text string) func() error {
		return func() error {
			s, err := avro.Parse(text)
			if err != nil {
				return err
			}
			grown, _ := s.With(s, "p")
			_, err = grown.CompileFor(s, options, avro.Resolution{Origin: "it"})
			return err
		}
	}
	ofJSON := func(text string) func() error {
		return func() error {
			s, err := json.Parse([]byte(text), json.JSONSchema)
			if err != nil {
				return err
			}
			grown, _ := s.With(s, "p")
			_, err = grown.Compile(json.Settings{}, options)
			return err
		}
	}
	for name, c := range map[string]struct {
		size int
		make func() error
	}{
		"Avro that unfolds": {len(unfolding(40)), ofAvro(recordOf(`{"name":"x","type":` + unfolding(40) + `}`))},
		"a long name of Avro": {
			len(long), ofAvro(recordOf(`{"name":"` + long + `","type":{"type":"record","name":"S","fields":[` +
				strings.Join(fields, ",") + `]}}`)),
		},
		"JSON that unfolds": {
			len(definitions), ofJSON(`{"properties":{"x":{"$ref":"#/$defs/T40"}},"$defs":{` + definitions + `}}`),
		},
		"a long name of JSON": {
			len(long), ofJSON(`{"properties":{"` + long + `":{"properties":{` + strings.Join(properties, ",") + `}}}}`),
		},
		"protobuf that unfolds": {len(messages), func() error {
			_, err := compileProtobuf(`syntax = "proto3"; package p; `+messages, "p.T40", options)
			return err
		}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			err := c.make()
			runtime.ReadMemStats(&after)
			if spent := after.TotalAlloc - before.TotalAlloc; spent > uint64(mostBytes+mostTimes*c.size) {
				t.Errorf("%d bytes: %d allocated", c.size, spent)
			} else {
				t.Logf("%d bytes: %d KiB allocated, %.100v", c.size, spent>>10, err)
			}
			if err == nil {
				t.Error("it became columns")
			}
		})
	}
}
