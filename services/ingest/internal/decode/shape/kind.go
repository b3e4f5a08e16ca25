package shape

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Kind is what a value becomes: the type of its column.
type Kind uint8

// The kinds.
const (
	Null Kind = iota // only null: no column
	Bool
	Int32
	Int64
	Float
	Double
	String
	Enum
	Bytes
	Timestamp
	Date
	Time
	DateTime
	Decimal
	JSON
	Geography
	Interval
	Record
	Map
	Union
	Array
	Item  // the RECORD around an item of an array that is no column by itself
	Range // a record that is a RANGE
)

var kindNames = [...]string{
	"null", "boolean", "int", "long", "float", "double", "string", "enum", "bytes", "timestamp", "date", "time",
	"datetime", "decimal", "json", "geography", "interval", "record", "map", "union", "array", "item", "range",
}

func (k Kind) String() string { return kindNames[k] }

// IsMoment reports whether a RANGE may be of the kind.
func (k Kind) IsMoment() bool { return k == Date || k == DateTime || k == Timestamp }

// IsWhole reports whether values are whole numbers.
func (k Kind) IsWhole() bool { return k == Int32 || k == Int64 }

// Wire is how values of the kind are written in the row.
func (k Kind) Wire() protowire.Type {
	switch k {
	case Bool, Int32, Int64, Timestamp, Date:
		return protowire.VarintType
	case Float:
		return protowire.Fixed32Type
	case Double:
		return protowire.Fixed64Type
	}
	return protowire.BytesType
}

// scalars are the protobuf type of each kind without parts, and what that does not say.
var scalars = map[Kind]struct {
	wire   descriptorpb.FieldDescriptorProto_Type
	column columnv1.ColumnType
}{
	Bool:      {descriptorpb.FieldDescriptorProto_TYPE_BOOL, 0},
	Int32:     {descriptorpb.FieldDescriptorProto_TYPE_INT32, 0},
	Int64:     {descriptorpb.FieldDescriptorProto_TYPE_INT64, 0},
	Float:     {descriptorpb.FieldDescriptorProto_TYPE_FLOAT, 0},
	Double:    {descriptorpb.FieldDescriptorProto_TYPE_DOUBLE, 0},
	String:    {descriptorpb.FieldDescriptorProto_TYPE_STRING, 0},
	Enum:      {descriptorpb.FieldDescriptorProto_TYPE_STRING, 0},
	Bytes:     {descriptorpb.FieldDescriptorProto_TYPE_BYTES, 0},
	Timestamp: {descriptorpb.FieldDescriptorProto_TYPE_INT64, columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP},
	Date:      {descriptorpb.FieldDescriptorProto_TYPE_INT32, columnv1.ColumnType_COLUMN_TYPE_DATE},
	Time:      {descriptorpb.FieldDescriptorProto_TYPE_STRING, columnv1.ColumnType_COLUMN_TYPE_TIME},
	DateTime:  {descriptorpb.FieldDescriptorProto_TYPE_STRING, columnv1.ColumnType_COLUMN_TYPE_DATETIME},
	Decimal:   {descriptorpb.FieldDescriptorProto_TYPE_STRING, columnv1.ColumnType_COLUMN_TYPE_NUMERIC},
	Geography: {descriptorpb.FieldDescriptorProto_TYPE_STRING, columnv1.ColumnType_COLUMN_TYPE_GEOGRAPHY},
	Interval:  {descriptorpb.FieldDescriptorProto_TYPE_STRING, columnv1.ColumnType_COLUMN_TYPE_INTERVAL},
	JSON:      {descriptorpb.FieldDescriptorProto_TYPE_STRING, columnv1.ColumnType_COLUMN_TYPE_JSON},
}

// scalar sets the type of a column without parts. The reason is empty if BigQuery has one.
func (n *Node) scalar(f *descriptorpb.FieldDescriptorProto) (reason string) {
	s, ok := scalars[n.Kind]
	if !ok {
		return "a " + n.Kind.String() + " is no column"
	}
	c := &columnv1.Column{Type: s.column}
	f.Type = s.wire.Enum()
	if n.Wire != 0 && n.Override == nil {
		f.Type = n.Wire.Enum()
	}
	switch {
	case n.Option.GetType() != 0 && n.Override == nil:
		c = proto.CloneOf(n.Option)
	case n.Kind != Decimal:
	case n.Unbounded && n.Big:
		c.Type = columnv1.ColumnType_COLUMN_TYPE_BIGNUMERIC
	case n.Unbounded:
	default:
		whole := n.Precision - n.Scale
		switch {
		case n.Scale > decode.BigNumericScale || whole > decode.BigNumericWhole:
			return fmt.Sprintf("decimal(%d, %d) is beyond BIGNUMERIC: at most %d digits before the point and %d "+
				"behind it; a contract may ask for NUMERIC or BIGNUMERIC, which refuse what does not fit, STRING or "+
				"FLOAT",
				n.Precision, n.Scale, decode.BigNumericWhole, decode.BigNumericScale)
		case n.Big || n.Scale > decode.NumericScale || whole > decode.NumericWhole:
			c.Type = columnv1.ColumnType_COLUMN_TYPE_BIGNUMERIC
		}
		c.Precision, c.Scale = int32(n.Precision), int32(n.Scale)
	}
	f.Options = decode.ColumnOptions(c)
	return ""
}

// targets are the kinds that a contract may ask for.
var targets = map[decode.Target]Kind{
	decode.String: String, decode.JSON: JSON, decode.Geography: Geography, decode.Interval: Interval,
	decode.Numeric: Decimal, decode.BigNumeric: Decimal, decode.Float: Double, decode.Date: Date, decode.Time: Time,
	decode.DateTime:  DateTime,
	decode.Integer:   Int64,
	decode.Timestamp: Timestamp,
}

// texts are the columns that a contract asks for of kinds that are read from text, and moments.
var texts = map[Kind]decode.Target{
	Timestamp: decode.Timestamp, Date: decode.Date, Time: decode.Time, DateTime: decode.DateTime,
	Decimal: decode.Numeric, Geography: decode.Geography, Interval: decode.Interval,
}

// AsOverride is the column of a value that decode.Cell writes, as a contract would ask for it; nil of any other kind.
func (n *Node) AsOverride() *decode.Column {
	target, ok := texts[n.Kind]
	if !ok {
		return nil
	}
	return &decode.Column{Type: target, Unit: n.Unit, Precision: n.Precision, Scale: n.Scale}
}

// Become makes the value the column of an override. A RANGE keeps its parts.
func (n *Node) Become(c *decode.Column) {
	n.Override, n.Fault = c, ""
	if c.Type == decode.Range {
		n.Kind = Range
		return
	}
	n.Kind, n.Parts = targets[c.Type], nil
	if c.Unit != decode.Auto {
		n.Unit = c.Unit
	}
	if n.Kind != Decimal {
		return
	}
	n.Big, n.Precision, n.Scale = c.Type == decode.BigNumeric, c.Precision, c.Scale
	if c.Precision == 0 {
		n.SetUnbounded(n.Big)
	}
}

// SetUnbounded makes the decimal one of as many digits as the column takes.
func (n *Node) SetUnbounded(big bool) {
	n.Unbounded, n.Big = true, big
	n.Precision, n.Scale = decode.NumericWhole+decode.NumericScale, decode.NumericScale
	if big {
		n.Precision, n.Scale = decode.BigNumericWhole+decode.BigNumericScale, decode.BigNumericScale
	}
}
