package avro

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

// evolve changes a schema as people do: fields come, go, and change places, at every level.
func (m *schemaMaker) evolve(node any, random *rand.Rand) any {
	switch n := node.(type) {
	case []any:
		for i := range n {
			n[i] = m.evolve(n[i], random)
		}
	case map[string]any:
		for _, part := range []string{"items", "values", "type"} {
			if p, ok := n[part]; ok {
				n[part] = m.evolve(p, random)
			}
		}
		fields, ok := n["fields"].([]any)
		if !ok {
			break
		}
		if len(fields) > 1 && random.IntN(3) == 0 {
			fields = slices.Delete(fields, 1, 2)
		}
		for i := range fields {
			fields[i] = m.evolve(fields[i], random)
		}
		for range random.IntN(3) {
			m.types++
			var typ any
			_ = json.Unmarshal([]byte(m.column(3, false)), &typ) // what the maker makes is JSON
			added := map[string]any{"name": fmt.Sprint("n", m.types), "type": typ}
			fields = slices.Insert(fields, random.IntN(len(fields)+1), any(added))
		}
		random.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		n["fields"] = fields
	}
	return node
}

// The law of growing: whatever has come, gone and moved, rows of the old schema are byte for byte what they were,
// numbers included, and rows of the new one hold what they hold under the new schema alone.
func TestGrowingChangesNoRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := schemaMaker{t: t}
		text := m.record(1)
		var tree any
		if err := json.Unmarshal([]byte(text), &tree); err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		evolved, err := json.Marshal(m.evolve(tree, random))
		if err != nil {
			t.Fatal(err)
		}
		older, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		newer, err := Parse(string(evolved))
		if err != nil {
			t.Fatalf("%s: %v", evolved, err)
		}
		merged, changes := older.With(newer, "payload")
		if len(changes.Conflicts) > 0 {
			t.Fatalf("conflicts: %v", changes.Conflicts)
		}
		run := func(reader, writer *Schema, datum []byte) (*Plan, []byte) {
			plan, err := reader.CompileFor(writer, rowOptions, Resolution{Origin: "it", Lenient: true})
			if err != nil {
				t.Fatal(err)
			}
			row, err := plan.NewDecoder().Append(nil, datum)
			if err != nil {
				t.Fatalf("%s of %s: %v", evolved, text, err)
			}
			return plan, row
		}
		old := m.datum(nil, older.root)
		_, alone := run(older, older, old)
		_, grown := run(merged, older, old)
		if !bytes.Equal(alone, grown) {
			t.Fatalf("a row of %s changed with %s:\n%x\n%x", text, evolved, alone, grown)
		}
		fresh := m.datum(nil, newer.root)
		message := func(p *Plan, row []byte) protoreflect.Message {
			d := dynamicpb.NewMessage(decodetest.Payload(t, p))
			if err := proto.Unmarshal(row, d); err != nil {
				t.Fatal(err)
			}
			return d
		}
		want, got := message(run(newer, newer, fresh)), message(run(merged, newer, fresh))
		if diff := sameByName(want, got); diff != "" {
			t.Fatalf("%s after %s: %s", evolved, text, diff)
		}
	})
}

// sameByName compares messages of different types by the names of what they hold.
func sameByName(want, got protoreflect.Message) (difference string) {
	count := func(m protoreflect.Message) (n int) {
		m.Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool { n++; return true })
		return n
	}
	if count(want) != count(got) {
		return fmt.Sprintf("%v and %v", want, got)
	}
	value := func(f protoreflect.FieldDescriptor, a, b protoreflect.Value) string {
		if f.Message() != nil {
			return sameByName(a.Message(), b.Message())
		}
		if !a.Equal(b) {
			return fmt.Sprintf("%s: %v and %v", f.Name(), a, b)
		}
		return ""
	}
	want.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		g := got.Descriptor().Fields().ByName(f.Name())
		if g == nil || !got.Has(g) {
			difference = string(f.Name()) + " is missing"
			return false
		}
		if !f.IsList() {
			difference = value(f, v, got.Get(g))
			return difference == ""
		}
		a, b := v.List(), got.Get(g).List()
		if a.Len() != b.Len() {
			difference = fmt.Sprintf("%s: %d and %d items", f.Name(), a.Len(), b.Len())
		}
		for i := range a.Len() {
			if difference == "" {
				difference = value(f, a.Get(i), b.Get(i))
			}
		}
		return difference == ""
	})
	return difference
}

// FuzzEvolve merges any two schemas: it ends, and what it makes has all columns of the older one under their numbers.
func FuzzEvolve(f *testing.F) {
	f.Add(recordOf(`{"name":"a","type":"int"}`),
		recordOf(`{"name":"b","type":"long"},{"name":"a","type":["null","long"]}`))
	f.Add(recordOf(`{"name":"a","type":["null","R"]}`),
		recordOf(`{"name":"b","type":"R"},{"name":"a","type":{"type":"array","items":"R"}}`))
	f.Add(one(`{"type":"record","name":"S","fields":[{"name":"u","type":["null","string","S"]}]}`),
		one(`["int",{"type":"enum","name":"S","symbols":["A"]}]`))
	f.Add(one(`["null","int",{"type":"fixed","name":"n.F","size":2}]`),
		one(`[{"type":"fixed","name":"m.F","size":2},"null","bytes"]`))
	f.Fuzz(func(t *testing.T, first, second string) {
		older, err := Parse(first)
		if err != nil {
			return
		}
		newer, err := Parse(second)
		if err != nil {
			return
		}
		before, err := older.Compile(rowOptions)
		if err != nil {
			return
		}
		merged, _ := older.With(newer, "payload")
		if again, err := older.Compile(rowOptions); err != nil ||
			!slices.EqualFunc(again.program.paths, before.program.paths,
				func(a, b *decode.Path) bool { return a.String() == b.String() }) {
			t.Fatalf("merging changed the older schema: %v", err)
		}
		after, err := merged.Compile(rowOptions)
		if err != nil {
			return // the newer schema has what no table has
		}
		had, has := decodetest.Payload(t, before), decodetest.Payload(t, after)
		for i := range had.Fields().Len() {
			want := had.Fields().Get(i)
			if got := has.Fields().ByName(want.Name()); got == nil || got.Number() != want.Number() {
				t.Fatalf("%s is %v, was %v", want.Name(), got, want)
			}
		}
		if _, changes := merged.With(newer, "payload"); changes.Grown() {
			t.Fatalf("merging again changes %+v", changes)
		}
		for _, writer := range []*Schema{older, newer} {
			// A writer may be one that nobody can read.
			_, _ = merged.CompileFor(writer, rowOptions, Resolution{Lenient: true})
		}
	})
}
