package json

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// withColumns returns the schema with what the contract asks of its columns. Types may stand in several places: what leads to the column is
// copied, so that the others stay as they are.
func withColumns(schema *typ, o *decode.Options, faults *decode.Misfits) (*typ, error) {
	for _, path := range o.Columns.Paths() {
		column := o.Columns[path]
		changed, err := ask(schema, strings.Split(path, "."), &column, o.Path(path))
		if err == nil {
			schema = changed
		} else if err := faults.Add(err); err != nil {
			return nil, err
		}
	}
	return schema, nil
}

// misplaced is the error of a column that cannot be had.
func misplaced(path, format string, args ...any) error {
	return decode.Misfit(path, "columns: "+fmt.Sprintf(format, args...))
}

// ask returns t with the column at the end of names.
func ask(t *typ, names []string, column *decode.Column, path string) (*typ, error) {
	changed := *t
	var err error
	switch {
	case len(names) == 0 && (column.Type == decode.JSON || t.kind != kindUnion && t.kind != kindArray && t.kind != kindItem):
		err = changed.become(column, path)
	case t.kind == kindItem:
		if len(names) > 0 && names[0] == t.name {
			names = names[1:]
		}
		changed.items, err = ask(t.items, names, column, path)
	case t.kind == kindArray, t.kind == kindMap && names[0] == "value":
		if t.kind == kindMap {
			names = names[1:]
		}
		changed.items, err = ask(t.items, names, column, path)
	case t.kind == kindMap:
		return nil, misplaced(path, "a map: name its values, with .value behind it")
	case t.kind == kindUnion:
		at := slices.IndexFunc(t.branches, func(b branch) bool { return len(names) > 0 && b.name == names[0] })
		if at < 0 {
			return nil, misplaced(path, "the union has no branch of this name")
		}
		changed.branches = slices.Clone(t.branches)
		if changed.branches[at].typ, err = ask(t.branches[at].typ, names[1:], column, path); err == nil && !changed.distinct() {
			return nil, misplaced(path, "JSON does not tell the types of the union apart any more")
		}
	case t.kind == kindRecord:
		at := slices.IndexFunc(t.fields, func(f field) bool { return f.name == names[0] })
		if at < 0 {
			return nil, misplaced(path, "the schema has no field %s there", names[0])
		}
		changed.fields = slices.Clone(t.fields)
		changed.fields[at].typ, err = ask(t.fields[at].typ, names[1:], column, path)
	default:
		return nil, misplaced(path, "there is no %s in a %s", names[0], t.kind)
	}
	return &changed, err
}

// distinct reports whether no two branches take the same kind of JSON.
func (t *typ) distinct() bool {
	var kinds takes
	for i := range t.branches {
		k := t.branches[i].typ.takes()
		if kinds&k != 0 {
			return false
		}
		kinds |= k
	}
	return true
}

var asked = map[decode.Target]kind{
	decode.String: kindString, decode.JSON: kindJSON, decode.Geography: kindGeography, decode.Interval: kindInterval, decode.Numeric: kindDecimal,
	decode.BigNumeric: kindDecimal, decode.Date: kindDate, decode.Time: kindTime, decode.DateTime: kindDateTime, decode.Timestamp: kindTimestamp,
}

// become makes the type that of a column that is asked for.
func (t *typ) become(c *decode.Column, path string) error {
	from := t.takes()
	switch c.Type {
	case decode.Range:
		return t.becomeRange(path)
	case decode.JSON:
		*t = typ{kind: kindJSON, doc: t.doc}
		return nil
	case decode.Geography:
		from &= takesString | takesObject
	case decode.Interval:
		from &= takesString
	case decode.String:
		from &= takesString | takesNumber | takesBool
	default:
		from &= takesString | takesNumber
	}
	if (t.kind == kindDate || t.kind == kindTime) && asked[c.Type] != t.kind && c.Type != decode.String {
		from = 0 // days, or a time of day, are no moment
	}
	counted := from&takesNumber != 0
	switch {
	case from == 0:
		return misplaced(path, "of type %s, which does not become %s", t.kind, c.Type)
	case c.Unit != decode.Auto && !counted:
		return misplaced(path, "only a number has a unit")
	case c.Type == decode.Time && counted && c.Unit == decode.Auto && t.kind != kindTime:
		return misplaced(path, "a TIME of a number needs a unit: s, ms, us or ns")
	}
	if reason := (&decode.Column{Type: c.Type, Precision: c.Precision, Scale: c.Scale}).Check(decode.FromText); reason != "" {
		return misplaced(path, "%s", reason)
	}
	unit := c.Unit
	if unit == decode.Auto {
		unit = t.unit // an Avro schema may say it
	}
	*t = typ{kind: asked[c.Type], doc: t.doc, unit: unit, numbers: counted, written: c.Type == decode.String, precision: c.Precision, scale: c.Scale}
	if t.big = c.Type == decode.BigNumeric; t.kind == kindDecimal && c.Precision == 0 {
		t.precision, t.scale, t.unbounded = decode.NumericWhole+decode.NumericScale, decode.NumericScale, true
		if t.big {
			t.precision, t.scale = decode.BigNumericWhole+decode.BigNumericScale, decode.BigNumericScale
		}
	}
	return nil
}

// becomeRange makes a record of start and end a RANGE.
func (t *typ) becomeRange(path string) error {
	moments := []kind{kindDate, kindDateTime, kindTimestamp}
	if t.kind != kindRecord || len(t.fields) != 2 || t.fields[0].typ.kind != t.fields[1].typ.kind || !slices.Contains(moments, t.fields[0].typ.kind) ||
		!slices.Contains([]string{"start end", "end start"}, t.fields[0].name+" "+t.fields[1].name) {
		return misplaced(path, "a RANGE is a record of start and end alone, both DATE, both DATETIME or both TIMESTAMP")
	}
	t.isRange = true
	return nil
}

// bounds says where the bounds of a RANGE are in its message.
func (t *typ) bounds() *decode.RangeBounds {
	b := &decode.RangeBounds{Start: protowire.Number(t.fields[0].number), End: protowire.Number(t.fields[1].number)}
	if t.fields[0].name == "end" {
		b.Start, b.End = b.End, b.Start
	}
	return b
}
