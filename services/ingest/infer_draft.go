package ingest

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

func zigzag(src []byte) (int64, int) {
	n, size := binary.Varint(src)
	return n, max(size, 0)
}

// draft makes contracts of the groups: those whose schemas are of one subject share one, and so do those that have none
// and are no objects.
func (in *Inference) draft(groups []*group, o Inferring) {
	byName := map[string]*InferredType{}
	var order []string
	named := map[string]bool{}
	for _, g := range groups {
		if g.name != "" {
			named[g.name] = true
		}
	}
	bySchema := len(named) > 1 && in.TypeHeader == ""
	slices.SortFunc(groups, func(a, b *group) int { return strings.Compare(a.typ+" "+a.name, b.typ+" "+b.name) })
	for _, g := range groups {
		t := in.one(g)
		key := t.Format + " " + t.contract.As + " " + t.Subject + " " + t.contract.Message
		if bySchema && g.name != "" {
			t.contract.TypeFrom, t.contract.Types = "schema", []string{g.name}
			key += " " + g.name
		}
		if t.tree != nil || t.contract.Framing == "" && t.schema != "" {
			key = g.typ + " " + g.name + " " + fmt.Sprint(g.typed) // its own
		}
		if same := byName[key]; same != nil {
			same.Types = append(same.Types, t.Types...)
			same.Records += t.Records
			for k, n := range t.Payloads {
				same.Payloads[k] += n
			}
			same.Schemas = append(same.Schemas, t.Schemas...)
			continue
		}
		byName[key] = t
		order = append(order, key)
	}
	for _, key := range order {
		in.Types = append(in.Types, *byName[key])
	}
	slices.SortFunc(in.Types, byRecords)
	in.choose()
	in.name(o)
}

// one is the contract of a group.
func (in *Inference) one(g *group) *InferredType {
	t := &InferredType{Records: g.records, Payloads: g.kinds, Schemas: g.ids}
	t.contract.Types = []string{"*"}
	switch {
	case g.typed:
		t.Types, t.contract.Types = []string{g.typ}, []string{g.typ}
	case g.name != "":
		t.Types = []string{g.name}
	}
	most, n := "", 0
	for kind, count := range g.kinds {
		if count > n || count == n && kind < most {
			most, n = kind, count
		}
	}
	switch {
	case g.schema != nil && strings.HasSuffix(most, ", framed"):
		t.Subject = in.subject(g)
		t.contract.Format, t.contract.Framing, t.contract.Subject = g.schema.Format, "confluent", t.Subject
		t.schema = g.schema.Text
		if g.schema.Format == "protobuf" {
			t.contract.Message = g.message
		}
	case most == isObject && g.tree.HasColumns():
		t.contract.Format, t.tree = "json", g.tree
	case most == isContainer && g.container != "":
		t.contract.Format, t.schema = "avro", g.container
	default:
		t.contract.Format, t.contract.As = "raw", rawKind(g.kinds)
	}
	t.Format = t.contract.Format
	if len(g.kinds) > 1 {
		in.note("%s: payloads are of several kinds, %s; the contract reads the most frequent one",
			cmp.Or(g.typ, cmp.Or(g.name, "records without a type")), counts(g.kinds))
	}
	return t
}

// rawKind is what takes all kinds of payloads as they are.
func rawKind(kinds map[string]int) string {
	as := "json"
	for kind := range kinds {
		switch kind {
		case isJSON, isObject:
		case isText:
			if as == "json" {
				as = "string"
			}
		default:
			as = "bytes"
		}
	}
	return as
}

// subject chooses the subject of a group's schemas: by the naming strategies of serializers, else the first of those
// that have all ids.
func (in *Inference) subject(g *group) string {
	name := g.name
	if name == "" {
		name = avroName(g.schema.Text)
	}
	for _, s := range []string{in.Topic + "-value", in.Topic + "-" + name, name} {
		if slices.Contains(g.subjects, s) {
			return s
		}
	}
	if len(g.subjects) > 0 {
		return g.subjects[0]
	}
	in.note("the schema registry does not tell of which subject the ids %v are: %s-value is a guess", g.ids, in.Topic)
	return in.Topic + "-value"
}

// choose leaves out what cannot be routed: records without a type header go to one contract.
func (in *Inference) choose() {
	var kept []InferredType
	all := false
	for _, t := range in.Types {
		every := slices.Equal(t.contract.Types, []string{"*"})
		switch {
		case every && all:
			in.note("%s of %s have neither a type header nor a schema to tell them by: no contract takes them",
				plural(t.Records, "record"), cmp.Or(strings.Join(t.Types, ", "), t.Format))
			continue
		case every:
			all = true
		case len(kept) == mostTypes:
			in.note("there are more than %d types: the contract takes those with the most records", mostTypes)
			continue
		}
		kept = append(kept, t)
	}
	in.Types = kept
	for i := range in.Types {
		t := &in.Types[i]
		if len(t.Types) > 0 && !slices.Equal(t.contract.Types, []string{"*"}) {
			t.contract.Types = in.shortened(i)
		}
		for _, name := range t.contract.Types {
			if strings.Contains(strings.TrimSuffix(name, ".*"), "*") && name != "*" {
				in.note("the type %q has a * in it, which no contract can name", name)
			}
		}
		t.contract.Types = slices.DeleteFunc(t.contract.Types, func(name string) bool {
			return strings.Contains(strings.TrimSuffix(name, ".*"), "*") && name != "*"
		})
	}
	in.Types = slices.DeleteFunc(in.Types, func(t InferredType) bool { return len(t.contract.Types) == 0 })
}

// manyTypes is from how many types on a list of them becomes a prefix.
const manyTypes = 8

// shortened are the types of a contract, as a prefix where there are many and no other has it.
func (in *Inference) shortened(at int) []string {
	types := in.Types[at].Types
	if len(types) < manyTypes {
		return types
	}
	prefix := types[0][:strings.LastIndexByte(types[0], '.')+1]
	for ; prefix != ""; prefix = prefix[:strings.LastIndexByte(strings.TrimSuffix(prefix, "."), '.')+1] {
		if !slices.ContainsFunc(types, func(s string) bool { return !strings.HasPrefix(s, prefix) }) {
			break
		}
	}
	if prefix == "" {
		return types
	}
	for i := range in.Types {
		if i != at && slices.ContainsFunc(in.Types[i].Types,
			func(s string) bool { return strings.HasPrefix(s, prefix) }) {
			return types
		}
	}
	return []string{prefix + "*"}
}

var (
	notOfTable = regexp.MustCompile(`[^A-Za-z0-9_]+`)
	notOfFile  = regexp.MustCompile(`[^A-Za-z0-9_-]+`)
	words      = regexp.MustCompile(`([a-z0-9])([A-Z])`)
)

// name gives tables and files their names.
func (in *Inference) name(o Inferring) {
	table := cmp.Or(o.Table, cmp.Or(strings.Trim(notOfTable.ReplaceAllString(in.Topic, "_"), "_"), "records"))
	taken := map[string]bool{}
	for i := range in.Types {
		t := &in.Types[i]
		t.contract.Topic = in.Topic
		if len(in.Types) > 1 {
			last := cmp.Or(strings.Join(t.Types[:min(1, len(t.Types))], ""), t.Format)
			last = last[strings.LastIndexByte(last, '.')+1:]
			last = strings.ToLower(notOfFile.ReplaceAllString(words.ReplaceAllString(last, "${1}_${2}"), "_"))
			t.suffix = bounded(last, maxSuffix)
		}
		t.contract.Table = table
		if t.suffix != "" {
			t.contract.Table += "_" + notOfTable.ReplaceAllString(t.suffix, "_")
		}
		for n := 2; taken[t.contract.Table]; n++ {
			t.suffix = strings.TrimRight(t.suffix, "0123456789_") + fmt.Sprintf("_%d", n)
			t.contract.Table = table + t.suffix
		}
		taken[t.contract.Table] = true
		t.Table = t.contract.Table
	}
}

const (
	// maxFile is how long the name of a file is that is made of a topic's, in bytes: most file systems take 255, and
	// the longest extension is .proto.
	maxFile = 255 - len(".proto")
	// maxSuffix bounds what is made of a type's name, which a header may make as long as a record.
	maxSuffix = 100
)

// bounded is a name of ASCII within a bound: of a longer one the end gives way to a fingerprint of the whole.
func bounded(name string, most int) string {
	if len(name) <= most {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	mark := "_" + hex.EncodeToString(sum[:4])
	return name[:most-len(mark)] + mark
}
