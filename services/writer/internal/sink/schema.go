package sink

import (
	"fmt"

	"cloud.google.com/go/bigquery"
	"cloud.google.com/go/bigquery/storage/managedwriter/adapt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/pkg/lanewire"
	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
)

// rowType is what a row message means to BigQuery.
type rowType struct {
	// columns of the table.
	columns bigquery.Schema
	// descriptor of the rows for the Storage Write API: proto2, self-contained, no options that it does not know.
	descriptor *descriptorpb.DescriptorProto
}

// newRowType reads a self-contained row descriptor. The error says what is wrong with it: that BigQuery would refuse it
// is found here, before anything unfolds what it describes.
func newRowType(d *descriptorpb.DescriptorProto) (*rowType, error) {
	if err := checkSize(d); err != nil {
		return nil, err
	}
	message, err := lanewire.Message(d)
	if err != nil {
		return nil, fmt.Errorf("row descriptor: %w", err)
	}
	if err := checkColumns(message); err != nil {
		return nil, err
	}
	descriptor, err := adapt.NormalizeDescriptor(message)
	if err != nil {
		return nil, fmt.Errorf("row descriptor %s: %w", d.GetName(), err)
	}
	stripOptions(descriptor)
	columns, err := columnsOf(message)
	if err != nil {
		return nil, err
	}
	return &rowType{columns: columns, descriptor: descriptor}, nil
}

// stripOptions leaves nothing but `packed`: BigQuery does not know ours.
func stripOptions(d *descriptorpb.DescriptorProto) {
	d.Options = nil
	for _, f := range d.GetField() {
		packed := f.GetOptions().GetPacked()
		f.Options, f.JsonName = nil, nil
		if packed {
			f.Options = &descriptorpb.FieldOptions{Packed: proto.Bool(true)}
		}
	}
	for _, e := range d.GetEnumType() {
		e.Options = nil
		for _, v := range e.GetValue() {
			v.Options = nil
		}
	}
	for _, nested := range d.GetNestedType() {
		stripOptions(nested)
	}
}

func columnsOf(message protoreflect.MessageDescriptor) (bigquery.Schema, error) {
	var columns bigquery.Schema
	for i := range message.Fields().Len() {
		column, err := columnOf(message.Fields().Get(i))
		if err != nil {
			return nil, err
		}
		columns = append(columns, column)
	}
	return columns, nil
}

func columnOf(field protoreflect.FieldDescriptor) (*bigquery.FieldSchema, error) {
	option, _ := proto.GetExtension(field.Options(), columnv1.E_Column).(*columnv1.Column)
	column := &bigquery.FieldSchema{
		Name: string(field.Name()), Description: option.GetDescription(),
		Repeated:  field.Cardinality() == protoreflect.Repeated,
		Precision: int64(option.GetPrecision()), Scale: int64(option.GetScale()),
	}
	var err error
	if column.Type, err = columnType(field, option.GetType()); err != nil {
		return nil, err
	}
	switch column.Type {
	case bigquery.RecordFieldType:
		column.Schema, err = columnsOf(field.Message())
	case bigquery.RangeFieldType:
		column.RangeElementType, err = rangeElement(field)
	}
	return column, err
}

// optionTypes are the column types that an option may name, each with the protobuf kind that carries it.
var optionTypes = map[columnv1.ColumnType]struct {
	column bigquery.FieldType
	kind   protoreflect.Kind
}{
	columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP:  {bigquery.TimestampFieldType, protoreflect.Int64Kind},
	columnv1.ColumnType_COLUMN_TYPE_DATE:       {bigquery.DateFieldType, protoreflect.Int32Kind},
	columnv1.ColumnType_COLUMN_TYPE_TIME:       {bigquery.TimeFieldType, protoreflect.StringKind},
	columnv1.ColumnType_COLUMN_TYPE_DATETIME:   {bigquery.DateTimeFieldType, protoreflect.StringKind},
	columnv1.ColumnType_COLUMN_TYPE_NUMERIC:    {bigquery.NumericFieldType, protoreflect.StringKind},
	columnv1.ColumnType_COLUMN_TYPE_BIGNUMERIC: {bigquery.BigNumericFieldType, protoreflect.StringKind},
	columnv1.ColumnType_COLUMN_TYPE_JSON:       {bigquery.JSONFieldType, protoreflect.StringKind},
	columnv1.ColumnType_COLUMN_TYPE_GEOGRAPHY:  {bigquery.GeographyFieldType, protoreflect.StringKind},
	columnv1.ColumnType_COLUMN_TYPE_INTERVAL:   {bigquery.IntervalFieldType, protoreflect.StringKind},
	columnv1.ColumnType_COLUMN_TYPE_RANGE:      {bigquery.RangeFieldType, protoreflect.MessageKind},
}

// rangeElement is what a RANGE is of: its message has the fields start and end, and nothing else, of one of three types
// (https://cloud.google.com/bigquery/docs/supported-data-types, "RANGE<T>").
func rangeElement(field protoreflect.FieldDescriptor) (*bigquery.RangeElementType, error) {
	bounds := field.Message().Fields()
	start, end := bounds.ByName("start"), bounds.ByName("end")
	if start == nil || end == nil || bounds.Len() != 2 {
		return nil, fmt.Errorf("field %s: the message of a RANGE column has the fields start and end, and no other",
			field.FullName())
	}
	var types [2]bigquery.FieldType
	for i, bound := range []protoreflect.FieldDescriptor{start, end} {
		column, err := columnOf(bound)
		if err != nil {
			return nil, err
		}
		switch column.Type {
		case bigquery.DateFieldType, bigquery.DateTimeFieldType, bigquery.TimestampFieldType:
			types[i] = column.Type
		}
		if types[i] == "" || column.Repeated {
			return nil, fmt.Errorf("field %s: a bound of a RANGE column is a single DATE, DATETIME or TIMESTAMP, "+
				"not %s",
				bound.FullName(), spell(column))
		}
	}
	if types[0] != types[1] {
		return nil, fmt.Errorf("field %s: a RANGE column starts with a %s and ends with a %s", field.FullName(),
			types[0], types[1])
	}
	return &bigquery.RangeElementType{Type: types[0]}, nil
}

func columnType(field protoreflect.FieldDescriptor, option columnv1.ColumnType) (bigquery.FieldType, error) {
	if option != columnv1.ColumnType_COLUMN_TYPE_UNSPECIFIED {
		t, ok := optionTypes[option]
		if !ok || field.Kind() != t.kind {
			return "", fmt.Errorf("field %s: an %s column cannot be carried by a field of type %s", field.FullName(),
				option, field.Kind())
		}
		return t.column, nil
	}
	switch field.Kind() {
	case protoreflect.BoolKind:
		return bigquery.BooleanFieldType, nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind, protoreflect.Uint32Kind,
		protoreflect.Fixed32Kind,
		protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return bigquery.IntegerFieldType, nil
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return bigquery.FloatFieldType, nil
	case protoreflect.StringKind, protoreflect.EnumKind:
		return bigquery.StringFieldType, nil
	case protoreflect.BytesKind:
		return bigquery.BytesFieldType, nil
	case protoreflect.MessageKind:
		return bigquery.RecordFieldType, nil
	default:
		return "", fmt.Errorf("field %s: BigQuery has no column for a field of type %s", field.FullName(), field.Kind())
	}
}

// canonical folds the two spellings that BigQuery has of some types.
func canonical(t bigquery.FieldType) bigquery.FieldType {
	switch t {
	case "INT64":
		return bigquery.IntegerFieldType
	case "FLOAT64":
		return bigquery.FloatFieldType
	case "BOOL":
		return bigquery.BooleanFieldType
	case "STRUCT":
		return bigquery.RecordFieldType
	case "DECIMAL":
		return bigquery.NumericFieldType
	case "BIGDECIMAL":
		return bigquery.BigNumericFieldType
	default:
		return t
	}
}
