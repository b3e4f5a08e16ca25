package row

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// unbounded is how BigQuery writes the end of a RANGE that has none.
const unbounded = "UNBOUNDED"

// rangeColumns are the columns that the fields start and end of a RANGE's message feed.
func rangeColumns(c *Column) []*Column {
	return []*Column{{Name: "start", Type: c.Element}, {Name: "end", Type: c.Element}}
}

// rangeField compiles the message of a RANGE column: the fields start and end, either of which may be left out of a row
// (https://cloud.google.com/bigquery/docs/supported-data-types, "RANGE<T>").
func (c *compiler) rangeField(f *field, fd protoreflect.FieldDescriptor, depth int) (err error) {
	inner := compiler{}
	if f.span, err = inner.message(fd.Message(), rangeColumns(f.column), f.path+".", depth+1); err != nil {
		return err
	}
	if len(inner.extra) > 0 {
		return fmt.Errorf("The field %s could not be converted: a RANGE has the fields start and end, not %s",
			f.path, strings.Join(inner.extra, ", "))
	}
	return nil
}

var errRange = errors.New("Range start element must be smaller than range end element")

// rangeText checks a RANGE and gives its text, [start, end).
func (f *field) rangeText(b []byte) (string, error) {
	r, err := f.span.decode(b, nil)
	if err != nil {
		return "", err
	}
	switch start := r[0].(type) {
	case string: // DATE and DATETIME, whose canonical texts compare as they do
		if end, ok := r[1].(string); ok && start >= end {
			return "", fmt.Errorf("%w: [%s, %s)", errRange, start, end)
		}
	case int64:
		if end, ok := r[1].(int64); ok && start >= end {
			return "", fmt.Errorf("%w: [%s, %s)", errRange, rangeBound(start), rangeBound(end))
		}
	}
	return "[" + rangeBound(r[0]) + ", " + rangeBound(r[1]) + ")", nil
}

func rangeBound(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return FormatTimestamp(v)
	}
	return unbounded
}

// rangeCell is a RANGE in the REST form: of TIMESTAMPs in the form that these have there.
func rangeCell(c *Column, text string, micros bool) string {
	if c.Element != Timestamp {
		return text
	}
	start, end, _ := strings.Cut(strings.Trim(text, "[)"), ", ")
	out := [2]string{start, end}
	for i, bound := range out {
		if us, err := ParseTimestamp(bound); err == nil {
			out[i] = timestampCell(us, micros)
		}
	}
	return "[" + out[0] + ", " + out[1] + ")"
}

// timestampCell is a TIMESTAMP in the REST form.
func timestampCell(us int64, micros bool) string {
	if micros {
		return strconv.FormatInt(us, 10)
	}
	return strconv.FormatFloat(float64(us)/1e6, 'E', -1, 64)
}
