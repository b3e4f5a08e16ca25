package protobuf

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// misplaced is the error of a column that cannot be had.
func misplaced(path, format string, args ...any) error {
	return decode.Misfit(path, "columns: "+fmt.Sprintf(format, args...))
}

// overrides are the columns that a contract asks for, by place: a message may stand in several, and the others stay as they are.
type overrides struct {
	columns decode.Columns
	payload string
}

func overridesOf(o *decode.Options) overrides { return overrides{o.Columns, o.Payload} }

// below is a full path as the contract says it.
func (o overrides) below(path string) string {
	return decode.WithoutMarks(strings.TrimPrefix(path, o.payload+"."))
}

// at is what is asked of the column at a path, nil if nothing is.
func (o overrides) at(path string) *decode.Column { return o.columns.Find(o.below(path)) }

// within reports whether anything is asked of a column below a path.
func (o overrides) within(path string) bool {
	if path == o.payload {
		return len(o.columns) > 0
	}
	for asked := range o.columns {
		if strings.HasPrefix(asked, o.below(path)+".") {
			return true
		}
	}
	return false
}

// check reports the paths that lead to no field.
func (o overrides) check(met map[string]bool) (faults []error) {
	for _, path := range o.columns.Paths() {
		if !met[path] {
			faults = append(faults, misplaced(o.payload+"."+path, "the message has no field there"))
		}
	}
	return faults
}

// sourceOf is what the values of a field are to a column that is asked for; ok is false for those that are their column already.
func sourceOf(f protoreflect.FieldDescriptor) (_ decode.Source, ok bool) {
	switch k := f.Kind(); {
	case cellOf(f) == cellMessage:
		return decode.FromRecord, !f.IsMap()
	case cellOf(f) != cellScalar || optionOf(f).GetType() != columnv1.ColumnType_COLUMN_TYPE_UNSPECIFIED:
		return 0, false
	case k == protoreflect.StringKind || k == protoreflect.BytesKind:
		return decode.FromText, true
	default:
		return decode.FromNumber, isWhole(k)
	}
}

// asked describes a column that the contract asks for.
func (d *description) asked(c *descriptorpb.FieldDescriptorProto, f protoreflect.FieldDescriptor, column *decode.Column, path string, depth int) error {
	from, ok := sourceOf(f)
	switch {
	case !ok && optionOf(f).GetType() != columnv1.ColumnType_COLUMN_TYPE_UNSPECIFIED:
		return misplaced(path, "the schema's option makes it what it is")
	case !ok && f.IsMap():
		return misplaced(path, "a map: name its keys or values, with .key or .value behind it")
	case !ok:
		return misplaced(path, "of type %s, which becomes nothing but what the type map says", spell(f))
	}
	if reason := column.Check(from); reason != "" {
		return misplaced(path, "%s", reason)
	}
	if column.Type != decode.Range {
		column.Describe(c)
	} else {
		if err := d.record(f.Message(), path, depth+1); err != nil {
			return err
		}
		start, end := f.Message().Fields().ByName("start"), f.Message().Fields().ByName("end")
		if start == nil || end == nil || f.Message().Fields().Len() != 2 || d.moment(start, path) == decode.NoTarget || d.moment(start, path) != d.moment(end, path) {
			return misplaced(path, "a RANGE is a message of start and end alone, both DATE, both DATETIME or both TIMESTAMP")
		}
		c.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
		c.TypeName = proto.String(d.key(f.Message(), path))
		c.Options = decode.ColumnOptions(&columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_RANGE})
	}
	doc := optionOf(f).GetDescription()
	if doc == "" {
		doc = comment(f)
	}
	if doc != "" {
		decode.DescribeColumn(c, doc)
	}
	return nil
}

// moments are the column types of options that a RANGE may be made of.
var moments = map[columnv1.ColumnType]decode.Target{
	columnv1.ColumnType_COLUMN_TYPE_DATE: decode.Date, columnv1.ColumnType_COLUMN_TYPE_DATETIME: decode.DateTime,
	columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP: decode.Timestamp,
}

// moment is the type of a bound's column; NoTarget if it can be none.
func (d *description) moment(f protoreflect.FieldDescriptor, path string) decode.Target {
	if f.Cardinality() == protoreflect.Repeated {
		return decode.NoTarget
	}
	if asked := d.overrides.at(path + "." + string(f.Name())); asked != nil {
		if asked.Type == decode.Date || asked.Type == decode.DateTime || asked.Type == decode.Timestamp {
			return asked.Type
		}
		return decode.NoTarget
	}
	if cellOf(f) == cellTimestamp {
		return decode.Timestamp
	}
	return moments[optionOf(f).GetType()]
}
