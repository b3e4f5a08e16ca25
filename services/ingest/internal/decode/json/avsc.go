package json

import (
	"cmp"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/twmb/avro"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// avsc reads an Avro schema. The JSON is the natural one, not Avro's JSON encoding: a union's value stands by itself, bytes are base64.
type avsc struct {
	named map[string]*typ
	// faults are those of fields; the reading goes on behind them.
	faults decode.Misfits
}

func readAvro(schema []byte, payload string, _ []Reference) (*typ, error) {
	parsed, err := avro.Parse(string(schema))
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	root := parsed.Root()
	a := avsc{named: map[string]*typ{}}
	t, _, err := a.build(root, "", payload)
	if err := cmp.Or(a.faults.Add(err), a.faults.Err()); err != nil {
		return nil, err
	}
	if t.kind != kindRecord {
		return nil, decode.Misfit(payload, "the schema is of type "+t.kind.String()+", a payload is a record")
	}
	return t, nil
}

var avroKinds = map[string]kind{
	"null": kindNull, "boolean": kindBool, "int": kindInt32, "long": kindInt64, "float": kindFloat, "double": kindDouble,
	"bytes": kindBytes, "string": kindString, "fixed": kindBytes, "enum": kindEnum, "record": kindRecord, "error": kindRecord,
	"array": kindArray, "map": kindMap, "union": kindUnion,
}

// avroLogical are the logical types that change a column, with the types each may annotate. Others are none, as the specification asks.
var avroLogical = map[string]struct {
	kind kind
	unit decode.Unit
	on   []string
}{
	"decimal":                {kindDecimal, 0, []string{"bytes", "fixed"}},
	"date":                   {kindDate, 0, []string{"int"}},
	"time-millis":            {kindTime, decode.Millis, []string{"int"}},
	"time-micros":            {kindTime, decode.Micros, []string{"long"}},
	"timestamp-millis":       {kindTimestamp, decode.Millis, []string{"long"}},
	"timestamp-micros":       {kindTimestamp, decode.Micros, []string{"long"}},
	"timestamp-nanos":        {kindTimestamp, decode.Nanos, []string{"long"}},
	"local-timestamp-millis": {kindDateTime, decode.Millis, []string{"long"}},
	"local-timestamp-micros": {kindDateTime, decode.Micros, []string{"long"}},
	"local-timestamp-nanos":  {kindDateTime, decode.Nanos, []string{"long"}},
}

// build returns the type of a node, and whether it takes null.
func (a *avsc) build(n *avro.SchemaNode, namespace, path string) (t *typ, nullable bool, err error) {
	k, ok := avroKinds[n.Type]
	if !ok {
		if t := a.named[namespace+"."+n.Type]; t != nil {
			return t, false, nil
		}
		if t := a.named[n.Type]; t != nil {
			return t, false, nil
		}
		return nil, false, decode.Misfit(path, fmt.Sprintf("type %q is not defined", n.Type))
	}
	if k == kindUnion {
		return a.union(n, namespace, path)
	}
	t = &typ{kind: k, doc: n.Doc, size: n.Size, symbols: n.Symbols, fallback: n.EnumDefault, precision: n.Precision, scale: n.Scale}
	if l, ok := avroLogical[n.LogicalType]; ok && slices.Contains(l.on, n.Type) {
		t.kind, t.unit, t.numbers = l.kind, l.unit, true
	}
	if n.Type == "fixed" && (t.kind == kindDecimal || n.LogicalType == "uuid" && n.Size == 16) {
		t.size = 0
		if t.kind == kindBytes {
			t.kind = kindString // a uuid in JSON is its text
		}
	}
	if n.Name != "" {
		t.name = n.Name
		if !strings.Contains(n.Name, ".") && n.Namespace != "" {
			t.name = n.Namespace + "." + n.Name
		}
		namespace = ""
		if i := strings.LastIndexByte(t.name, '.'); i >= 0 {
			namespace = t.name[:i]
		}
		a.named[t.name] = t
	}
	switch k {
	case kindRecord:
		err = a.fields(t, n, namespace, path)
	case kindArray:
		var items *typ
		if items, nullable, err = a.build(n.Items, namespace, path+"[]"); err == nil {
			return arrayOf(items, nullable), false, nil
		}
	case kindMap:
		t.items, t.nullItems, err = a.build(n.Values, namespace, path+"[].value")
	}
	return t, k == kindNull, err
}

func (a *avsc) fields(t *typ, n *avro.SchemaNode, namespace, path string) error {
	for i := range n.Fields {
		nf := &n.Fields[i]
		at := path + "." + nf.Name
		ft, nullable, err := a.build(&nf.Type, namespace, at)
		if err != nil {
			if err := a.faults.Add(err); err != nil {
				return err
			}
			continue
		}
		f := field{name: nf.Name, doc: nf.Doc, typ: ft, number: int32(i + 1)}
		f.notNull = !nullable
		f.required = f.notNull && !nf.HasDefault
		if nf.HasDefault && nf.Default != nil {
			if f.fallback, err = fallback(ft, nf.Default); err != nil {
				if err := a.faults.Add(decode.Misfit(at, "default: "+err.Error())); err != nil {
					return err
				}
			}
		}
		t.fields = append(t.fields, f)
	}
	return nil
}

// union is that of several types: a RECORD with a column for each. [null, T] and [T] are T.
func (a *avsc) union(n *avro.SchemaNode, namespace, path string) (_ *typ, nullable bool, err error) {
	u := &typ{kind: kindUnion}
	var kinds takes
	for i := range n.Branches {
		b, _, err := a.build(&n.Branches[i], namespace, path)
		if err != nil {
			return nil, false, err
		}
		if b.kind == kindNull {
			nullable = true
			continue
		}
		u.branches = append(u.branches, branch{number: int32(i + 1), typ: b})
		if b.takes()&kinds != 0 && len(n.Branches) > 1 {
			return nil, false, decode.Misfit(path, "JSON does not tell the types of the union apart: two of them are written alike; keep one of the two")
		}
		kinds |= b.takes()
	}
	switch len(u.branches) {
	case 0:
		return &typ{kind: kindNull}, true, nil
	case 1:
		return u.branches[0].typ, nullable, nil
	}
	for i := range u.branches {
		u.branches[i].name = branchName(n, int(u.branches[i].number)-1, u.branches[i].typ.name)
	}
	return u, nullable, nil
}

// branchName names the column of a branch as format avro does: after its type, or its name for a named one.
func branchName(union *avro.SchemaNode, at int, name string) string {
	if name == "" {
		return union.Branches[at].Type + "_value"
	}
	short := func(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
	for i := range union.Branches {
		other := union.Branches[i].Name
		if other == "" {
			other = union.Branches[i].Type
		}
		if i != at && strings.EqualFold(short(other), short(name)) {
			return strings.ReplaceAll(name, ".", "_") + "_value"
		}
	}
	return short(name) + "_value"
}

// fallback is the natural JSON of a field's default: bytes become base64, and the bytes of a decimal its text.
func fallback(t *typ, value any) ([]byte, error) {
	natural, err := natural(t, value)
	if err != nil {
		return nil, err
	}
	return stdjson.Marshal(natural)
}

func natural(t *typ, value any) (any, error) {
	switch v := value.(type) {
	case []byte:
		switch t = t.as(kindBytes, kindDecimal); t.kind {
		case kindBytes:
			return v, nil
		case kindDecimal:
			n := new(big.Int).SetBytes(v)
			if len(v) > 0 && v[0] >= 0x80 {
				n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(v))))
			}
			return new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.scale)), nil)).FloatString(t.scale), nil
		}
		return nil, errors.New("bytes are no default of a " + t.kind.String())
	case []any:
		if t = t.as(kindArray).items; t.kind == kindItem {
			t = t.items
		}
		items := make([]any, len(v))
		for i := range v {
			var err error
			if items[i], err = natural(t, v[i]); err != nil {
				return nil, err
			}
		}
		return items, nil
	case map[string]any:
		t = t.as(kindRecord, kindMap)
		fields := make(map[string]any, len(v))
		for name, inner := range v {
			it := t.items
			if t.kind == kindRecord {
				at := slices.IndexFunc(t.fields, func(f field) bool { return f.name == name })
				if at < 0 {
					return nil, errors.New("the record has no field " + name)
				}
				it = t.fields[at].typ
			}
			var err error
			if fields[name], err = natural(it, inner); err != nil {
				return nil, err
			}
		}
		return fields, nil
	}
	return value, nil
}

// as is the branch of a union that is of one of the kinds, or the type itself.
func (t *typ) as(kinds ...kind) *typ {
	for _, b := range t.branches {
		if slices.Contains(kinds, b.typ.kind) {
			return b.typ
		}
	}
	return t
}
