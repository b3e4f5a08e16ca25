package row

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Descriptor gives the DescriptorProto bytes of the rows that [Encode] makes for columns: field i+1 for column i.
func Descriptor(columns []*Column) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(descriptor("Row", columns))
}

func descriptor(name string, columns []*Column) *descriptorpb.DescriptorProto {
	d := &descriptorpb.DescriptorProto{Name: proto.String(name)}
	for i, c := range columns {
		addField(d, "c"+strconv.Itoa(i), protowire.Number(i+1), c)
	}
	return d
}

// addField gives a message the field that [AppendField] encodes a column's value as.
func addField(d *descriptorpb.DescriptorProto, name string, number protowire.Number, c *Column) {
	f := &descriptorpb.FieldDescriptorProto{
		Name:    proto.String(name),
		Number:  proto.Int32(int32(number)),
		Label:   descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		Options: &descriptorpb.FieldOptions{},
	}
	proto.SetExtension(f.Options, storagepb.E_ColumnName, c.Name)
	if c.Repeated {
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	}
	switch c.Type {
	case Integer, Timestamp:
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_INT64.Enum()
	case Float:
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_DOUBLE.Enum()
	case Boolean:
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_BOOL.Enum()
	case Bytes:
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum()
	case Struct, Range:
		fields := c.Fields
		if c.Type == Range {
			fields = rangeColumns(c)
		}
		sub := "M_" + name
		d.NestedType = append(d.NestedType, descriptor(sub, fields))
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
		f.TypeName = proto.String(sub)
	default:
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum()
	}
	d.Field = append(d.Field, f)
}

// FieldError says which field of a JSON row is wrong.
type FieldError struct {
	Path    string
	Message string
}

func (e *FieldError) Error() string { return fmt.Sprintf("%s: %s", e.Path, e.Message) }

// Encode turns a JSON object (decoded with UseNumber) into a row, taking the forms that tabledata.insertAll takes.
// Unless ignore is set a field without a column is an error. Its errors are *FieldError; ranges are left to
// [Shape.Check].
func Encode(columns []*Column, object map[string]any, ignore bool) ([]byte, error) {
	return encode(nil, columns, object, ignore, "")
}

func encode(dst []byte, columns []*Column, object map[string]any, ignore bool, under string) ([]byte, error) {
	values := make([]any, len(columns))
	for name, v := range object {
		i, c := Field(columns, name)
		if c == nil {
			if ignore {
				continue
			}
			return dst, &FieldError{under + name, "no such field: " + under + name + "."}
		}
		values[i] = v
	}
	for i, c := range columns {
		var err error
		if dst, err = encodeField(dst, protowire.Number(i+1), c, values[i], ignore, under+c.Name); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func encodeField(dst []byte, n protowire.Number, c *Column, v any, ignore bool, path string) ([]byte, error) {
	if v == nil {
		return dst, nil
	}
	list := []any{v}
	if many, ok := v.([]any); ok != c.Repeated && c.Type != JSON {
		return dst, &FieldError{path, fmt.Sprintf("Field is %s, but the value is %s", c.mode(), kindOf(v))}
	} else if c.Repeated {
		list = many
	}
	for _, one := range list {
		var err error
		if dst, err = encodeOne(dst, n, c, one, ignore, path); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func encodeOne(dst []byte, n protowire.Number, c *Column, v any, ignore bool, path string) ([]byte, error) {
	bad := func(why string) ([]byte, error) { return dst, &FieldError{path, why} }
	switch c.Type {
	case Struct, Range:
		object, ok := v.(map[string]any)
		if !ok {
			return bad("Field is of type " + string(c.Type) + ", but the value is " + kindOf(v))
		}
		fields := c.Fields
		if c.Type == Range {
			fields = rangeColumns(c)
		}
		sub, err := encode(nil, fields, object, ignore, path+".")
		if err != nil {
			return dst, err
		}
		return protowire.AppendBytes(protowire.AppendTag(dst, n, protowire.BytesType), sub), nil
	case JSON:
		if _, isText := v.(string); !isText {
			b, err := json.Marshal(v)
			if err != nil {
				return bad(err.Error())
			}
			v = string(b)
		}
	}
	s, isText := textOf(v)
	if !isText {
		return bad("value is " + kindOf(v))
	}
	switch c.Type {
	case Integer:
		i, err := parseInteger(s)
		if err != nil {
			return bad("Cannot convert value to integer (bad value): " + s)
		}
		return protowire.AppendVarint(protowire.AppendTag(dst, n, protowire.VarintType), uint64(i)), nil
	case Timestamp:
		us, err := parseMoment(s)
		if err != nil {
			return bad(err.Error())
		}
		return protowire.AppendVarint(protowire.AppendTag(dst, n, protowire.VarintType), uint64(us)), nil
	case Float:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return bad("Cannot convert value to double (bad value): " + s)
		}
		return protowire.AppendFixed64(protowire.AppendTag(dst, n, protowire.Fixed64Type), math.Float64bits(f)), nil
	case Boolean:
		b, err := strconv.ParseBool(strings.ToLower(s))
		if err != nil {
			return bad("Cannot convert value to boolean (bad value): " + s)
		}
		return protowire.AppendVarint(protowire.AppendTag(dst, n, protowire.VarintType), protowire.EncodeBool(b)), nil
	case Bytes:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return bad("Could not decode base64 string to bytes")
		}
		return protowire.AppendBytes(protowire.AppendTag(dst, n, protowire.BytesType), b), nil
	}
	return protowire.AppendString(protowire.AppendTag(dst, n, protowire.BytesType), s), nil
}

func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

func parseInteger(s string) (int64, error) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i, nil
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok || len(s) > 40 || !r.IsInt() || !r.Num().IsInt64() {
		return 0, strconv.ErrSyntax
	}
	return r.Num().Int64(), nil
}

// parseMoment takes a TIMESTAMP as text, or as seconds since the epoch with a fraction.
func parseMoment(s string) (int64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return ParseTimestamp(s)
	}
	if math.IsNaN(f) || math.Abs(f) > 1e12 {
		return 0, fmt.Errorf("invalid timestamp: %q", s)
	}
	return int64(math.Round(f * 1e6)), nil
}

func kindOf(v any) string {
	switch v.(type) {
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	case nil:
		return "null"
	}
	return "a single value"
}
