package avro

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/avro"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// withColumns returns the schema with what the contract asks of its columns. Named types may stand in several places: what leads to the
// column is copied, so that the others stay as they are.
func withColumns(schema *typ, o *decode.Options, faults *decode.Misfits) (*typ, error) {
	for _, path := range o.Columns.Paths() {
		column := o.Columns[path]
		changed, err := place(schema, strings.Split(path, "."), &column, o.Path(path))
		if err == nil {
			schema = changed
		} else if err := faults.Add(err); err != nil {
			return nil, err
		}
	}
	return schema, checkRanges(schema, o.Payload, map[*typ]bool{}, faults)
}

// misplaced is the error of a column that cannot be had.
func misplaced(path, format string, args ...any) error {
	return decode.Misfit(path, "columns: "+fmt.Sprintf(format, args...))
}

// place returns t with the column at the end of names.
func place(t *typ, names []string, column *decode.Column, path string) (*typ, error) {
	changed := *t
	var err error
	switch {
	case t.kind == kindUnion:
		at := -1
		inner, _ := t.column()
		for i, b := range t.branches {
			switch {
			case b.kind == kindNull:
			case inner.kind != kindUnion:
				at = i // the only one
			case len(names) > 0 && branchName(t, i) == names[0]:
				at, names = i, names[1:]
			}
			if at >= 0 {
				break
			}
		}
		if at < 0 {
			return nil, misplaced(path, "the union has no branch of this name")
		}
		changed.branches = slices.Clone(t.branches)
		changed.branches[at], err = place(t.branches[at], names, column, path)
	case t.kind == kindArray:
		if wrap := wrapper(t.items); wrap != "" && len(names) > 0 && names[0] == wrap {
			names = names[1:]
		}
		changed.items, err = place(t.items, names, column, path)
	case t.kind == kindMap && len(names) > 0 && names[0] == "value":
		changed.items, err = place(t.items, names[1:], column, path)
	case t.kind == kindMap:
		return nil, misplaced(path, "a map: name its values, with .value behind it")
	case t.kind == kindRecord && len(names) > 0:
		at := slices.IndexFunc(t.fields, func(f field) bool { return f.name == names[0] })
		if at < 0 {
			return nil, misplaced(path, "the schema has no field %s there", names[0])
		}
		changed.fields = slices.Clone(t.fields)
		changed.variant = "@" + path[:len(path)-len(strings.Join(names, "."))]
		changed.fields[at].typ, err = place(t.fields[at].typ, names[1:], column, path)
	case len(names) > 0:
		return nil, misplaced(path, "there is no %s in a %s", names[0], t.kind)
	default:
		from, ok := source(t)
		if !ok {
			return nil, misplaced(path, "of type %s, which becomes nothing but what the type map says", describeType(t))
		}
		if reason := column.Check(from); reason != "" {
			return nil, misplaced(path, "%s", reason)
		}
		changed.asked = column
	}
	return &changed, err
}

// source says what values of a type are to a column that is asked for; ok is false for those that are their column already.
func source(t *typ) (_ decode.Source, ok bool) {
	switch t.kind {
	case kindString, kindBytes:
		return decode.FromText, t.logical == logicalNone
	case kindInt, kindLong:
		return decode.FromNumber, t.logical == logicalNone
	case kindRecord:
		return decode.FromRecord, true
	}
	return 0, false
}

func describeType(t *typ) string {
	for name, l := range logicals {
		if l.logical == t.logical {
			return name
		}
	}
	return t.kind.String()
}

// exported is the column that a schema written by BigQuery's export asks for, in the property sqlType (BigQuery, "Avro export details"); nil if
// none, or one that the type map gives anyway.
func exported(t *typ, n *avro.SchemaNode) *decode.Column {
	name, _ := n.Props["sqlType"].(string)
	column := &decode.Column{Type: decode.TargetOf(name)}
	from, ok := source(t)
	if column.Type == decode.NoTarget || column.Type == decode.String || !ok || column.Check(from) != "" {
		return nil
	}
	return column
}

// checkRanges checks that the records which are to be RANGEs can be.
func checkRanges(t *typ, path string, seen map[*typ]bool, faults *decode.Misfits) error {
	if seen[t] {
		return nil
	}
	seen[t] = true
	if t.kind == kindRecord && t.asked != nil {
		if err := faults.Add(checkRange(t, path)); err != nil {
			return err
		}
	}
	for i := range t.fields {
		if err := checkRanges(t.fields[i].typ, path+"."+t.fields[i].name, seen, faults); err != nil {
			return err
		}
	}
	for _, b := range t.branches {
		if err := checkRanges(b, path, seen, faults); err != nil {
			return err
		}
	}
	if t.items != nil {
		return checkRanges(t.items, path+"[]", seen, faults)
	}
	return nil
}

func checkRange(t *typ, path string) error {
	var kinds []decode.Target
	for i := range t.fields {
		f := &t.fields[i]
		inner, _ := f.typ.column()
		if f.name == "start" || f.name == "end" {
			kinds = append(kinds, moment(inner))
		}
	}
	if len(t.fields) != 2 || len(kinds) != 2 || kinds[0] != kinds[1] || kinds[0] == decode.NoTarget {
		return misplaced(path, "a RANGE is a record of start and end alone, both DATE, both DATETIME or both TIMESTAMP")
	}
	return nil
}

// moment is the type of a bound's column; NoTarget if it can be none.
func moment(t *typ) decode.Target {
	switch {
	case t.asked != nil:
		if c := t.asked.Type; c == decode.Date || c == decode.DateTime || c == decode.Timestamp {
			return c
		}
	case t.logical == logicalDate:
		return decode.Date
	case t.logical.isTimestamp():
		return decode.Timestamp
	case t.logical.isLocal():
		return decode.DateTime
	}
	return decode.NoTarget
}
