package row

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// fillName starts the name of a field that [Gaps] adds to a descriptor. Such a field feeds the column of another one,
// in rows that lack that.
const fillName = "waybill_default_"

func fills(fd protoreflect.FieldDescriptor) bool {
	return strings.HasPrefix(string(fd.Name()), fillName)
}

// Gap is a column with a default value that rows of one descriptor may lack.
type Gap struct {
	Column *Column
	// Known says that the writer's descriptor has a field for the column, and only the row may be without a value.
	Known  bool
	index  int
	number protowire.Number
}

// Gaps lists the columns with default values, and extends a writer's descriptor so that [Shape.Fill] can write their
// values into rows. Without such columns the descriptor comes back as it is.
func Gaps(descriptor []byte, columns []*Column) (extended []byte, gaps []Gap, err error) {
	if !slices.ContainsFunc(columns, func(c *Column) bool { return c.Default != "" }) {
		return descriptor, nil, nil
	}
	md, err := parseDescriptor(descriptor)
	if err != nil {
		return nil, nil, err
	}
	var d descriptorpb.DescriptorProto
	if err := proto.Unmarshal(descriptor, &d); err != nil {
		return nil, nil, fmt.Errorf("invalid proto schema: %w", err)
	}
	known := map[int]bool{}
	for i := range md.Fields().Len() {
		index, _ := Field(columns, fieldName(md.Fields().Get(i)))
		known[index] = true
	}
	number := protowire.MaxValidNumber
	for i, c := range columns {
		if c.Default == "" {
			continue
		}
		for md.Fields().ByNumber(number) != nil {
			number--
		}
		addField(&d, fillName+strconv.Itoa(i), number, c)
		gaps = append(gaps, Gap{Column: c, Known: known[i], index: i, number: number})
		number--
	}
	extended, err = proto.MarshalOptions{Deterministic: true}.Marshal(&d)
	return extended, gaps, err
}

// Fill gives rows the values of the gaps they have. rows is a ProtoRows, of the shape's extended descriptor. value
// says, once for each gap of a row, what fills it, as [Encode] takes it; nil leaves the gap. rows itself is not
// changed.
func (s *Shape) Fill(rows []byte, gaps []Gap, value func(Gap) (any, error)) ([]byte, error) {
	out := make([]byte, 0, len(rows))
	present := make([]bool, s.root.width)
	var filled []byte
	for len(rows) > 0 {
		b, n := protowire.ConsumeBytes(rows[1:])
		if n < 0 {
			return nil, errWire
		}
		rows = rows[1+n:]
		clear(present)
		if err := walkFields(b, s.root.field, func(f *field, _ protowire.Type, _ scalar) error {
			present[f.index] = true
			return nil
		}); err != nil {
			out = protowire.AppendBytes(append(out, 0x0a), b) // Check says what is wrong with the row
			continue
		}
		filled = append(filled[:0], b...)
		for _, gap := range gaps {
			if present[gap.index] {
				continue
			}
			v, err := value(gap)
			if err == nil {
				filled, err = AppendField(filled, gap.number, gap.Column, v)
			}
			if err != nil {
				return nil, fmt.Errorf("default value of %s: %w", gap.Column.Name, err)
			}
		}
		out = protowire.AppendBytes(append(out, 0x0a), filled)
	}
	return out, nil
}

// AppendField appends a column's value, in the forms that [Encode] takes, as the field with a number.
func AppendField(dst []byte, number protowire.Number, c *Column, v any) ([]byte, error) {
	return encodeField(dst, number, c, v, false, c.Name)
}
