package json

import (
	"encoding/base64"
	stdjson "encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/avro"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// maker draws Avro schemas, and JSON of them, with white space, escapes and the order of fields left to chance.
type maker struct {
	t     *rapid.T
	types int
}

var leaves = []string{
	`"boolean"`, `"int"`, `"long"`, `"float"`, `"double"`, `"bytes"`, `"string"`, `{"type":"int","logicalType":"date"}`,
	`{"type":"long","logicalType":"time-micros"}`, `{"type":"long","logicalType":"timestamp-millis"}`,
	`{"type":"long","logicalType":"timestamp-nanos"}`, `{"type":"long","logicalType":"local-timestamp-micros"}`,
	`{"type":"bytes","logicalType":"decimal","precision":38,"scale":9}`,
	`{"type":"bytes","logicalType":"decimal","precision":76,"scale":38}`, `"enum"`,
}

func (m *maker) leaf() string {
	m.types++
	if s := rapid.SampledFrom(leaves).Draw(m.t, "leaf"); s != `"enum"` {
		return s
	}
	return fmt.Sprintf(`{"type":"enum","name":"E%d","symbols":["A","B","LONGER"]}`, m.types)
}

func (m *maker) column(depth int, item bool) string {
	if depth > 3 {
		return m.leaf()
	}
	kinds := []string{"leaf", "leaf", "record"}
	if !item {
		kinds = append(kinds, "nullable", "nullable", "array", "map", "union")
	}
	switch rapid.SampledFrom(kinds).Draw(m.t, "kind") {
	case "record":
		return m.record(depth + 1)
	case "nullable":
		return fmt.Sprintf(`["null",%s]`, m.column(depth+1, true))
	case "array":
		return fmt.Sprintf(`{"type":"array","items":%s}`, m.column(depth+1, rapid.Bool().Draw(m.t, "plain")))
	case "map":
		return fmt.Sprintf(`{"type":"map","values":%s}`, m.column(depth+1, false))
	case "union":
		return fmt.Sprintf(`["null","string",%s,"double",{"type":"array","items":"long"}]`, m.record(depth+1))
	}
	return m.leaf()
}

func (m *maker) record(depth int) string {
	m.types++
	name := m.types
	var fields []string
	n := rapid.IntRange(1, 12/depth).Draw(m.t, "fields")
	if depth == 1 && rapid.IntRange(0, 15).Draw(m.t, "wide") == 0 {
		n = 70 // more than the bits of a word
	}
	for i := range n {
		pad := strings.Repeat("_x", i%15) // short names and long ones
		fields = append(fields, fmt.Sprintf(`{"name":"f%d%s","type":%s}`, i, pad, m.column(depth, false)))
	}
	return fmt.Sprintf(`{"type":"record","name":"R%d","fields":[%s]}`, name, strings.Join(fields, ","))
}

func (m *maker) space() string {
	return rapid.SampledFrom([]string{"", "", "", "", " ", "\n\t "}).Draw(m.t, "space")
}

// quoted writes a text with some of its characters as escapes.
func (m *maker) quoted(text string) string {
	b, err := stdjson.Marshal(text)
	if err != nil {
		m.t.Fatal(err)
	}
	out := string(b)
	if !strings.Contains(out, `\`) && rapid.IntRange(0, 3).Draw(m.t, "escapes") == 0 {
		out = strings.NewReplacer("a", `\u0061`, "/", `\/`, "é", `\u00E9`, "😀", `\ud83d\uDE00`).Replace(out)
	}
	return out
}

func (m *maker) value(t *shape.Node) string {
	number := func(low, high int64) string {
		return strconv.FormatInt(rapid.Int64Range(low, high).Draw(m.t, "number"), 10)
	}
	moment := func(layout string) string {
		micros := rapid.Int64Range(decode.MinMicros, decode.MaxMicros).Draw(m.t, "moment")
		return `"` + time.UnixMicro(micros).UTC().Format(layout) + `"`
	}
	switch t.Kind {
	case shape.Bool:
		return rapid.SampledFrom([]string{"true", "false"}).Draw(m.t, "bool")
	case shape.Int32:
		return number(-1<<31, 1<<31-1)
	case shape.Int64:
		return number(-1<<63, 1<<63-1)
	case shape.Float:
		return string(stdFloat(float64(rapid.Float32().Draw(m.t, "float")), 32))
	case shape.Double:
		if rapid.Bool().Draw(m.t, "short") {
			return rapid.StringMatching(`-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?`).Draw(m.t,
				"decimal")
		}
		return string(stdFloat(rapid.Float64().Draw(m.t, "double"), 64))
	case shape.String:
		return m.quoted(rapid.StringN(-1, 200, -1).Draw(m.t, "string"))
	case shape.Enum:
		return m.quoted(rapid.SampledFrom(t.Symbols).Draw(m.t, "symbol"))
	case shape.Bytes:
		return m.quoted(base64.StdEncoding.EncodeToString(rapid.SliceOfN(rapid.Byte(), 0, 150).Draw(m.t, "bytes")))
	case shape.Date:
		return moment("2006-01-02")
	case shape.Time:
		return moment("15:04:05.000000")
	case shape.Timestamp:
		if rapid.Bool().Draw(m.t, "counted") {
			return number(-1<<40, 1<<40)
		}
		return moment("2006-01-02T15:04:05.999999Z")
	case shape.DateTime:
		return moment("2006-01-02 15:04:05.999999")
	case shape.Decimal:
		text := rapid.StringMatching(fmt.Sprintf(`-?(0|[1-9][0-9]{0,%d})(\.[0-9]{1,%d})?`, t.Precision-t.Scale-1,
			t.Scale)).Draw(m.t, "decimal")
		if rapid.Bool().Draw(m.t, "quoted") {
			return `"` + text + `"`
		}
		return text
	case shape.Array:
		var items []string
		for range rapid.IntRange(0, 4).Draw(m.t, "items") {
			items = append(items, m.space()+
				m.maybe(t.Parts[0], t.Parts[0].Kind == shape.Item && t.Parts[0].Parts[0].Name == "value")+m.space())
		}
		return "[" + m.space() + strings.Join(items, ",") + "]"
	case shape.Map:
		var entries []string
		for i := range rapid.IntRange(0, 40).Draw(m.t, "entries") / 10 {
			entries = append(entries, m.quoted(fmt.Sprintf("key %d é", i))+m.space()+":"+m.space()+m.maybe(t.Parts[1],
				t.Parts[1].Nullable))
		}
		return "{" + strings.Join(entries, m.space()+","+m.space()) + "}"
	case shape.Item:
		return m.value(t.Parts[0])
	case shape.Union:
		return m.value(t.Parts[rapid.IntRange(0, len(t.Parts)-1).Draw(m.t, "branch")])
	}
	var fields []string
	for _, f := range t.Parts {
		if f.Required || rapid.IntRange(0, 3).Draw(m.t, "there") > 0 {
			fields = append(fields, m.quoted(f.Name)+m.space()+":"+m.space()+m.maybe(f, !f.NotNull))
		}
	}
	if rapid.Bool().Draw(m.t, "order") {
		fields = rapid.Permutation(fields).Draw(m.t, "fields")
	}
	return "{" + m.space() + strings.Join(fields, m.space()+","+m.space()) + m.space() + "}"
}

func (m *maker) maybe(t *shape.Node, nullable bool) string {
	if t.Kind == shape.Null || nullable && rapid.IntRange(0, 3).Draw(m.t, "null") == 0 {
		return "null"
	}
	return m.value(t)
}

func stdFloat(v float64, size int) []byte { return strconv.AppendFloat(nil, v, 'g', -1, size) }

// TestAgainstStandard compares random payloads of random schemas with what encoding/json, strconv, time and math/big
// make of them.
func TestAgainstStandard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &maker{t: t}
		avsc := m.record(1)
		p, err := Compile([]byte(avsc), Avro, Settings{}, decode.Options{Contract: "random", Payload: "payload"})
		if err != nil {
			t.Fatalf("%s: %v", avsc, err)
		}
		message := decodetest.Payload(t, p)
		d := p.NewDecoder()
		for range 2 {
			payload := m.space() + m.value(p.schema) + m.space()
			row, err := d.Append(nil, []byte(payload))
			if err != nil {
				t.Fatalf("%s\n%s: %v", avsc, payload, err)
			}
			got := dynamicpb.NewMessage(message)
			if err := proto.Unmarshal(row, got); err != nil {
				t.Fatal(err)
			}
			if canonical, err := proto.Marshal(got); err != nil || len(canonical) != len(row) {
				t.Fatalf("%s\n%s: %d bytes where proto.Marshal makes %d", avsc, payload, len(row), len(canonical))
			}
			std := stdjson.NewDecoder(strings.NewReader(payload))
			std.UseNumber()
			var want map[string]any
			if err := std.Decode(&want); err != nil {
				t.Fatalf("%s: %v", payload, err)
			}
			if differs := compareRecord(got, p.schema, want); differs != "" {
				t.Fatalf("%s\n%s: %s", avsc, payload, differs)
			}
		}
	})
}

func compareRecord(m protoreflect.Message, t *shape.Node, want map[string]any) string {
	for _, f := range t.Parts {
		if f.Kind == shape.Null {
			continue
		}
		if differs := compareField(m, m.Descriptor().Fields().ByName(protoreflect.Name(f.Name)), f,
			want[f.Name]); differs != "" {
			return f.Name + ": " + differs
		}
	}
	return ""
}

func compareField(m protoreflect.Message, f protoreflect.FieldDescriptor, t *shape.Node, want any) string {
	if f.IsList() {
		list := m.Get(f).List()
		switch want := want.(type) {
		case []any:
			if len(want) != list.Len() {
				return fmt.Sprintf("%d items, want %d", list.Len(), len(want))
			}
			for i := range want {
				if differs := compareValue(f, list.Get(i), t.Parts[0], want[i]); differs != "" {
					return fmt.Sprintf("[%d]: %s", i, differs)
				}
			}
		case map[string]any:
			if len(want) != list.Len() {
				return fmt.Sprintf("%d entries, want %d", list.Len(), len(want))
			}
			for i := range list.Len() {
				e := list.Get(i).Message()
				key := e.Get(e.Descriptor().Fields().ByNumber(1)).String()
				if differs := compareField(e, e.Descriptor().Fields().ByNumber(2), t.Parts[1],
					want[key]); differs != "" {
					return fmt.Sprintf("[%q]: %s", key, differs)
				}
			}
		case nil:
			if list.Len() > 0 {
				return "there are items"
			}
		}
		return ""
	}
	if m.Has(f) != (want != nil) {
		return fmt.Sprintf("present %v, want %v", m.Has(f), want)
	}
	if want == nil {
		return ""
	}
	return compareValue(f, m.Get(f), t, want)
}

func compareValue(f protoreflect.FieldDescriptor, v protoreflect.Value, t *shape.Node, want any) string {
	got, text := fmt.Sprint(v.Interface()), fmt.Sprint(want)
	parsed := func(layout string) time.Time {
		at, err := time.Parse(layout, text)
		if err != nil {
			return time.Time{}
		}
		return at
	}
	switch t.Kind {
	case shape.Record:
		return compareRecord(v.Message(), t, want.(map[string]any))
	case shape.Item:
		return compareField(v.Message(), v.Message().Descriptor().Fields().ByNumber(1), t.Parts[0], want)
	case shape.Union:
		set, differs := 0, ""
		v.Message().Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
			set++
			for _, b := range t.Parts {
				if b.Number == int32(f.Number()) {
					differs = compareField(v.Message(), f, b, want)
				}
			}
			return true
		})
		if list, ok := want.([]any); set != 1 && (!ok || len(list) > 0) {
			return fmt.Sprintf("%d branches set", set)
		}
		return differs
	case shape.Float, shape.Double:
		size := map[shape.Kind]int{shape.Float: 32, shape.Double: 64}[t.Kind]
		w, err := strconv.ParseFloat(text, size)
		if err != nil {
			return err.Error()
		}
		got, text = string(stdFloat(v.Float(), size)), string(stdFloat(w, size))
	case shape.Bytes:
		got, text = base64.StdEncoding.EncodeToString(v.Bytes()), want.(string)
	case shape.Decimal:
		g, ok := new(big.Rat).SetString(got)
		w, ok2 := new(big.Rat).SetString(text)
		if !ok || !ok2 || g.Cmp(w) != 0 || strings.ContainsAny(got, "eE") || strings.HasSuffix(got, ".") {
			return fmt.Sprintf("%s, want %s", got, text)
		}
		return ""
	case shape.Date:
		text = fmt.Sprint(parsed("2006-01-02").Unix() / 86400)
	case shape.Timestamp:
		if n, ok := want.(stdjson.Number); ok {
			v, _ := n.Int64()
			micros, _ := decode.ToMicros(v, t.Unit)
			text = fmt.Sprint(micros)
		} else {
			text = fmt.Sprint(parsed(time.RFC3339).UnixMicro())
		}
	case shape.DateTime:
		text = parsed("2006-01-02 15:04:05").Format("2006-01-02 15:04:05.000000")
	}
	if got != text {
		return fmt.Sprintf("%s of %s is %s, want %s", t.Kind, f.FullName(), got, text)
	}
	return ""
}

// The same Avro schema gives the same columns, in whichever format its data are.
func TestColumnsOfAvro(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		avsc := []byte((&maker{t: t}).record(1))
		o := decode.Options{Contract: "random", Payload: "payload"}
		j, err := Compile(avsc, Avro, Settings{}, o)
		if err != nil {
			t.Fatal(err)
		}
		schema, err := avro.Parse(string(avsc))
		if err != nil {
			t.Fatal(err)
		}
		a, err := schema.Compile(o)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := columns(t, j), columns(t, a); got != want {
			t.Fatalf("%s:\n%s\n%s", avsc, got, want)
		}
	})
}
