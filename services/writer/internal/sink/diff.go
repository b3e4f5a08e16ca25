package sink

import (
	"fmt"
	"strings"

	"cloud.google.com/go/bigquery"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// difference is one column that is not what the rows have.
type difference struct {
	// path is the column's, for example delivery.items.id.
	path string
	kind lanev1.DifferenceKind
	// have and want are the column of the table and that of the rows; nil where there is none.
	have, want *bigquery.FieldSchema
}

// differences compares columns of a table with those of the rows, in the order of the rows; what only the table has
// comes last. fills says that default values take the place of missing ones in columns that the rows have; in those
// that they do not have, they always do. Only top-level columns have default values
// (https://cloud.google.com/bigquery/docs/default-values).
func differences(want, have bigquery.Schema, prefix string, fills bool) []difference {
	var found []difference
	byName := make(map[string]*bigquery.FieldSchema, len(have))
	for _, column := range have {
		byName[strings.ToLower(column.Name)] = column
	}
	for _, column := range want {
		d := difference{path: prefix + column.Name, want: column, have: byName[strings.ToLower(column.Name)]}
		delete(byName, strings.ToLower(column.Name))
		switch {
		case d.have == nil:
			d.kind = lanev1.DifferenceKind_DIFFERENCE_KIND_MISSING
		case d.have.Repeated != column.Repeated || !sameType(d.have, column):
			d.kind = lanev1.DifferenceKind_DIFFERENCE_KIND_TYPE
		case narrower(d.have, column):
			d.kind = lanev1.DifferenceKind_DIFFERENCE_KIND_NARROWER
		default:
			found = append(found, soft(d, prefix == "", fills)...)
			if column.Type == bigquery.RecordFieldType {
				found = append(found, differences(column.Schema, d.have.Schema, d.path+".", fills)...)
			}
			continue
		}
		found = append(found, d)
	}
	for _, column := range have {
		if _, extra := byName[strings.ToLower(column.Name)]; !extra {
			continue
		}
		d := difference{path: prefix + column.Name, have: column, kind: lanev1.DifferenceKind_DIFFERENCE_KIND_EXTRA}
		if column.Required && !defaulted(column, prefix == "") {
			d.kind = lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED
		}
		found = append(found, d)
	}
	return found
}

// defaulted says that a column has a default value.
func defaulted(column *bigquery.FieldSchema, top bool) bool {
	return top && column.DefaultValueExpression != ""
}

// soft is what is different about a column that takes the rows, or most of them.
func soft(d difference, top, fills bool) (found []difference) {
	switch filled := defaulted(d.have, top); {
	case d.have.Required && !d.want.Required && !(filled && fills):
		d.kind = lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED
		found = append(found, d)
	case filled && !d.want.Required:
		d.kind = lanev1.DifferenceKind_DIFFERENCE_KIND_DEFAULT
		found = append(found, d)
	}
	if most := d.have.MaxLength; most > 0 && (d.want.MaxLength == 0 || d.want.MaxLength > most) {
		d.kind = lanev1.DifferenceKind_DIFFERENCE_KIND_SHORTER
		found = append(found, d)
	}
	return found
}

// hinders reports whether the rows cannot go to the table as it is.
func (d *difference) hinders() bool {
	switch d.kind {
	case lanev1.DifferenceKind_DIFFERENCE_KIND_MISSING, lanev1.DifferenceKind_DIFFERENCE_KIND_TYPE,
		lanev1.DifferenceKind_DIFFERENCE_KIND_NARROWER:
		return true
	case lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED:
		// Where the rows have the column, those without a value are refused one by one.
		return d.want == nil
	default:
		return false
	}
}

// evolves reports whether additive evolution does away with it.
func (d *difference) evolves() bool {
	return d.kind == lanev1.DifferenceKind_DIFFERENCE_KIND_MISSING ||
		d.kind == lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED
}

func (d *difference) String() string {
	switch {
	case d.kind == lanev1.DifferenceKind_DIFFERENCE_KIND_MISSING:
		return fmt.Sprintf("column %s %s is missing", d.path, spell(d.want))
	case d.kind == lanev1.DifferenceKind_DIFFERENCE_KIND_TYPE:
		return fmt.Sprintf("column %s is %s, the rows have %s", d.path, spell(d.have), spell(d.want))
	case d.kind == lanev1.DifferenceKind_DIFFERENCE_KIND_NARROWER:
		has, needs := digitsOf(d.have), digitsOf(d.want)
		return fmt.Sprintf("column %s is %s and holds %d digits before the point and %d behind it, the rows have "+
			"%s, up to %d and %d",
			d.path, spell(d.have), has.whole, has.scale, spell(d.want), needs.whole, needs.scale)
	case d.kind == lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED && d.want == nil:
		return fmt.Sprintf("column %s is REQUIRED, and the rows do not have it", d.path)
	case d.kind == lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED:
		return fmt.Sprintf("column %s is REQUIRED, and the rows may leave it out", d.path)
	default:
		return fmt.Sprintf("column %s %s is not in the rows", d.path, spell(d.have))
	}
}

// proto is the difference in the protocol.
func (d *difference) proto() *lanev1.Difference {
	out := &lanev1.Difference{Column: d.path, Kind: d.kind}
	if d.have != nil {
		out.Have, out.Default = spell(d.have), d.have.DefaultValueExpression
	}
	if d.want != nil {
		out.Want = spell(d.want)
	}
	return out
}

// sameType reports whether two columns, modes apart, hold the same.
func sameType(a, b *bigquery.FieldSchema) bool {
	if canonical(a.Type) != canonical(b.Type) {
		return false
	}
	return canonical(a.Type) != bigquery.RangeFieldType ||
		a.RangeElementType != nil && b.RangeElementType != nil && a.RangeElementType.Type == b.RangeElementType.Type
}

// digits are how many digits of a decimal a column holds, before the point and behind it.
type digits struct{ whole, scale int64 }

// digitsOf is what a column's precision and scale leave of its type's digits; nothing for other types. BIGNUMERIC holds
// only some numbers of 39 digits before the point (GoogleSQL, "Decimal types").
func digitsOf(column *bigquery.FieldSchema) digits {
	switch {
	case column.Precision > 0:
		return digits{column.Precision - column.Scale, column.Scale}
	case canonical(column.Type) == bigquery.NumericFieldType:
		return digits{29, 9}
	case canonical(column.Type) == bigquery.BigNumericFieldType:
		return digits{38, 38}
	}
	return digits{}
}

// narrower reports whether the table's column, of the same type, holds fewer digits than the rows may have. More of
// them before the point are a refused row, more of them behind it are rounded away (BigQuery, REST reference of tables,
// `precision` and `roundingMode`).
func narrower(have, want *bigquery.FieldSchema) bool {
	has, needs := digitsOf(have), digitsOf(want)
	return has.whole < needs.whole || has.scale < needs.scale
}

// spell is a column's mode and type as people write it.
func spell(column *bigquery.FieldSchema) string {
	text := string(column.Type)
	switch {
	case column.RangeElementType != nil:
		text += "<" + string(column.RangeElementType.Type) + ">"
	case column.Precision > 0 && column.Scale > 0:
		text += fmt.Sprintf("(%d, %d)", column.Precision, column.Scale)
	case column.Precision > 0:
		text += fmt.Sprintf("(%d)", column.Precision)
	case column.MaxLength > 0:
		text += fmt.Sprintf("(%d)", column.MaxLength)
	}
	switch {
	case column.Repeated:
		return "REPEATED " + text
	case column.Required:
		return "REQUIRED " + text
	}
	return text
}
