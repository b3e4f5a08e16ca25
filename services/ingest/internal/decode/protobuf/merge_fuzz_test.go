package protobuf

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// sourceOfBytes writes a schema with what the bytes say: three of them a field of M or N, of any kind, presence and
// place.
func sourceOfBytes(spec []byte) string {
	kinds := []string{
		"int32", "int64", "sint32", "sint64", "string", "bytes", "bool", "double", "N", "E", "map<string, int32>",
		"map<int32, N>", "google.protobuf.Timestamp", "M.I",
	}
	labels := []string{"", "optional ", "repeated ", "oneof", ""}
	var messages, oneofs [2]strings.Builder
	var numbers, names [2][]byte
	symbols := ""
	for ; len(spec) >= 3 && len(numbers[0])+len(numbers[1]) < 20; spec = spec[3:] {
		in, number, name, kind, label := int(spec[0]>>7), spec[0]%16+1, spec[1]%16, kinds[int(spec[2])%len(kinds)],
			labels[int(spec[1]>>4)%len(labels)]
		if in == 1 && (kind == "N" || kind == "map<int32, N>") {
			symbols += fmt.Sprintf(" S%d = %d;", len(symbols), len(symbols)+1)
			continue // N does not contain itself
		}
		if slices.Contains(numbers[in], number) || slices.Contains(names[in], name) {
			continue
		}
		numbers[in], names[in] = append(numbers[in], number), append(names[in], name)
		if strings.HasPrefix(kind, "map") && label != "" {
			label = ""
		}
		into := &messages[in]
		if label == "oneof" {
			into, label = &oneofs[in], ""
		}
		fmt.Fprintf(into, "%s%s f%d = %d;\n", label, kind, name, number)
	}
	for i := range oneofs {
		if oneofs[i].Len() > 0 {
			fmt.Fprintf(&messages[i], "oneof choice { %s }\n", &oneofs[i])
		}
	}
	return fmt.Sprintf("syntax = \"proto3\"; package p; import \"google/protobuf/timestamp.proto\";\nmessage M { "+
		"message I { int32 x = 1; }\n%s}\nmessage N { int32 always = 20;\n%s}\nenum E { ZERO = 0;%s }",
		&messages[0], &messages[1], symbols)
}

// FuzzMerge merges any two versions of a schema: every field of the older keeps its number, name and type, or a wider
// one; every field of the newer is there or a conflict; nothing is gained by merging again; and what the merged schema
// compiles to reads the older one's payloads.
func FuzzMerge(f *testing.F) {
	f.Add([]byte{0, 1, 0}, []byte{0, 1, 1, 1, 2, 4})
	f.Add([]byte{0, 0x31, 4, 1, 0x32, 8}, []byte{2, 0x33, 5, 0x81, 1, 9})
	f.Add([]byte{0, 1, 10, 1, 2, 9, 0x80, 1, 4}, []byte{0, 1, 4, 4, 0x13, 12, 0x80, 2, 8})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		read := func(spec []byte) protoreflect.FileDescriptor {
			text := sourceOfBytes(spec)
			file, err := ParseSource(map[string]string{"x.proto": text}, "x.proto")
			if err != nil {
				t.Skip("the bytes say no schema") // two maps of one name, and the like
			}
			return file
		}
		older, newer := read(first), read(second)
		was, will := schemaOf(t, older, "p.M"), schemaOf(t, newer, "p.M")
		merged, changes := was.With(will, "p")
		met := map[string]int{}
		compare(t, was.root, merged.root, will.root, decode.PathOf("p"), changes, met)
		// What a map's values gain, compare does not go into; the nodes of all of it tell.
		if had, has := nodes(was.root), nodes(merged.root); met["added"] > len(changes.Added) ||
			(has > had) != (len(changes.Added) > 0) {
			t.Fatalf("%d nodes have become %d, %d of them in records, added %v", had, has, met["added"], changes.Added)
		}
		if _, again := merged.With(will, "p"); again.Grown() {
			t.Fatalf("merging again: %+v", again)
		}
		plan, err := merged.Compile(Drop, options)
		if err != nil {
			return // no fields, or names that BigQuery does not tell apart
		}
		if _, err := plan.Written(older); err != nil {
			t.Fatalf("the older schema's payloads: %v", err)
		}
	})
}

// nodes counts all of a tree.
func nodes(n *shape.Node) int {
	sum := 1
	for _, p := range n.Parts {
		sum += nodes(p)
	}
	return sum
}

// compare holds a merged record to those that it was made of.
func compare(t *testing.T, was, now, will *shape.Node, path *decode.Path, changes decode.Changes, met map[string]int) {
	t.Helper()
	numbered := func(n *shape.Node, number int32) *shape.Node {
		if at := slices.IndexFunc(n.Parts, func(p *shape.Node) bool { return p.Number == number }); at >= 0 {
			return n.Parts[at]
		}
		return nil
	}
	for _, old := range was.Parts {
		got := numbered(now, old.Number)
		if got == nil || got.Name != old.Name || got.Kind != old.Kind {
			t.Fatalf("%v became %v", old, got)
		}
		o, ok := old.Source.(protoreflect.FieldDescriptor)
		if g := got.Source.(protoreflect.FieldDescriptor); ok && g.Kind() != o.Kind() &&
			!widens[[2]protoreflect.Kind{o.Kind(), g.Kind()}] {
			t.Fatalf("%v became %v", o, g)
		}
		if wanted := numbered(will, old.Number); wanted != nil && wanted.Kind == old.Kind && old.Kind == shape.Record {
			compare(t, old, got, wanted, path.Field(old.Name), changes, met)
		}
	}
	for _, wanted := range will.Parts {
		at := path.Field(wanted.Name).String()
		if numbered(now, wanted.Number) == nil &&
			!slices.ContainsFunc(changes.Conflicts, func(c decode.Conflict) bool { return c.Path == at }) {
			t.Fatalf("%s is neither there nor a conflict", at)
		}
	}
	met["added"] += len(now.Parts) - len(was.Parts)
}
