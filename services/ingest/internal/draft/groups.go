package draft

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/confluent"
	"github.com/waybill-data/waybill/services/ingest/internal/infer"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/registry"
)

// typeHeaders are headers that name a record's type, by the libraries that write them. The first that is there counts.
var typeHeaders = []string{"item_type_name", "ce_type", "__TypeId__", "type", "event_type", "eventType", "message_type"}

const (
	// mostTypes bounds the types of a topic that get a contract.
	mostTypes = 100
	// mostMissing bounds the ids that the registry is asked for and does not have: bytes that are no frame.
	mostMissing = 3
)

// group is the records of one type.
type group struct {
	// typ is the value of the type header, typed that there is one. name is the full name of a schema, of records that
	// have none; message is that of the first record's.
	typ     string
	typed   bool
	name    string
	message string
	records int
	kinds   map[string]int
	ids     []int
	schema  *registry.Schema // of the newest id
	// subjects are those of all ids.
	subjects []string
	tree     *infer.Tree
	// container is the schema of an Avro container file.
	container string
}

// groupKey is what makes records of one type; records without a header are distinguished by their schemas.
type groupKey struct {
	typ, name string
	typed     bool
}

// grouping sorts records by type.
type grouping struct {
	in       *Draft
	header   string
	together bool
	client   *registry.Client
	byID     map[uint32]*registry.Schema // nil is one that there is not
	subjects map[uint32][]string
	missing  int
	types    map[int]confluent.TypeOf // by schema id
	groups   map[groupKey]*group
}

func newGrouping(in *Draft, o Options, client *registry.Client) *grouping {
	return &grouping{
		in: in, header: o.TypeHeader, together: o.OneTable, client: client, byID: map[uint32]*registry.Schema{},
		subjects: map[uint32][]string{}, types: map[int]confluent.TypeOf{}, groups: map[groupKey]*group{},
	}
}

// all sorts the records. The error is that of ctx: the registry was waited for.
func (g *grouping) all(ctx context.Context, records []*record.Record) ([]*group, error) {
	if g.header == "" {
		g.header = headerOf(records)
	}
	unnamed := 0
	for _, r := range records {
		if r.Value == nil {
			g.in.Tombstones++
			continue
		}
		typ, typed := lastHeader(r, g.header)
		if typed && (typ == "" || !utf8.ValidString(typ)) {
			unnamed++
			continue
		}
		if typed {
			g.in.TypeHeader = g.header
		}
		if err := g.take(ctx, r, typ, typed); err != nil {
			return nil, err
		}
	}
	if unnamed > 0 {
		g.in.note("%s with an empty type, or one that is not UTF-8: no contract takes them", plural(unnamed, "record"))
	}
	if n := g.unknownIDs(); n > 0 && g.client == nil {
		g.in.note("payloads begin with a zero byte and what may be the id of a schema: say registry.urls and try again")
	} else if n > 0 {
		g.in.note("payloads begin with a zero byte, and the schema registry does not have the ids behind it")
	}
	return slices.Collect(maps.Values(g.groups)), nil
}

// headerOf is the first of the known headers that a record has.
func headerOf(records []*record.Record) string {
	for _, name := range typeHeaders {
		for _, r := range records {
			if v, ok := lastHeader(r, name); ok && v != "" {
				return name
			}
		}
	}
	return typeHeaders[0]
}

// lastHeader is the value of the last header of a name; ok is false without one, and for a null value.
func lastHeader(r *record.Record, name string) (value string, ok bool) {
	for _, h := range slices.Backward(r.Headers) {
		if string(h.Key) == name {
			return string(h.Value), h.Value != nil
		}
	}
	return "", false
}

// take adds a record to its group.
func (g *grouping) take(ctx context.Context, r *record.Record, typ string, typed bool) error {
	key := groupKey{typ: typ, typed: typed}
	id, rest, framed := confluent.ID(r.Value)
	var schema *registry.Schema
	if framed {
		var err error
		if schema, err = g.schemaOf(ctx, id); err != nil {
			return err
		}
	}
	var kind, name string
	if schema != nil {
		var null bool
		if name, null = g.typeOf(schema, rest); null {
			g.in.Tombstones++
			return nil
		}
		kind = schema.Format + ", framed"
		if !typed {
			key.name = name
		}
	} else {
		kind = payloadKind(r.Value)
		if g.together && kind == isObject {
			key = groupKey{}
		}
	}
	n := g.groups[key]
	if n == nil {
		n = &group{
			typ: key.typ, typed: key.typed, name: key.name, message: name, kinds: map[string]int{}, tree: &infer.Tree{},
		}
		g.groups[key] = n
	}
	n.records++
	n.kinds[kind]++
	switch {
	case schema != nil:
		if !slices.Contains(n.ids, int(id)) {
			n.ids = append(n.ids, int(id))
			n.subjects = both(n.subjects, g.subjects[id], len(n.ids) == 1)
		}
		if n.schema == nil || n.schema.ID < int(id) {
			n.schema = schema
		}
	case kind == isObject:
		return n.tree.Observe(r.Value)
	case kind == isContainer && n.container == "":
		n.container = containerSchema(r.Value)
	}
	return nil
}

// both are the subjects that the ids so far and one more have in common.
func both(had, more []string, first bool) []string {
	if first {
		return more
	}
	return slices.DeleteFunc(slices.Clone(had), func(s string) bool { return !slices.Contains(more, s) })
}

// schemaOf asks the registry for the schema of an id; nil if there is none.
func (g *grouping) schemaOf(ctx context.Context, id uint32) (*registry.Schema, error) {
	if s, ok := g.byID[id]; ok || g.client == nil || g.missing >= mostMissing {
		if !ok {
			g.byID[id] = nil
		}
		return s, nil
	}
	s, err := g.client.ByID(ctx, int(id))
	if ctx.Err() != nil {
		return nil, fmt.Errorf("the schema registry has not said what schema id %d is in time: %w", id,
			context.Cause(ctx))
	}
	if err != nil {
		if _, ok := errors.AsType[*registry.MissingError](err); ok {
			g.missing++
		} else {
			g.in.note("schema id %d: %v", id, err)
		}
		g.byID[id] = nil
		return nil, nil
	}
	g.byID[id] = s
	g.subjects[id], err = g.client.Subjects(ctx, int(id))
	return s, err
}

// unknownIDs counts the ids of payloads that looked framed.
func (g *grouping) unknownIDs() (n int) {
	for _, s := range g.byID {
		if s == nil {
			n++
		}
	}
	return n
}

// typeOf is what a payload's schema calls it, empty when it does not; null is a payload that is null by its schema.
func (g *grouping) typeOf(s *registry.Schema, payload []byte) (name string, null bool) {
	of, ok := g.types[s.ID]
	if !ok {
		of, _ = contract.TypesOf(s) // what is wrong with a schema the contract will say
		g.types[s.ID] = of
	}
	if of == nil {
		return "", false
	}
	text, null := of(payload)
	return string(text), null
}

// avroName is the full name of a schema that is a record.
func avroName(text string) string {
	var s struct{ Name, Namespace string }
	if json.Unmarshal([]byte(text), &s) != nil || s.Name == "" {
		return ""
	}
	if s.Namespace == "" {
		return s.Name
	}
	return s.Namespace + "." + s.Name
}

// containerSchema is the schema in the header of an Avro object container file (Avro specification, "Object Container
// Files"): a map of metadata behind four bytes, in blocks.
func containerSchema(file []byte) string {
	src := file[4:]
	text := func() (string, bool) {
		n, size := zigzag(src)
		if size == 0 || n < 0 || n > int64(len(src)-size) {
			return "", false
		}
		s := string(src[size : size+int(n)])
		src = src[size+int(n):]
		return s, true
	}
	for {
		n, size := zigzag(src)
		if size == 0 || n == 0 {
			return ""
		}
		src = src[size:]
		if n < 0 { // the block's size in bytes follows
			n = -n
			if _, size = zigzag(src); size == 0 {
				return ""
			}
			src = src[size:]
		}
		for range n {
			key, ok := text()
			if !ok {
				return ""
			}
			value, ok := text()
			if !ok {
				return ""
			}
			if key == "avro.schema" {
				return value
			}
		}
	}
}
