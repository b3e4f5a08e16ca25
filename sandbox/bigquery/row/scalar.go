package row

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// scalar is a field's value on the wire: n for varints and fixed widths, b for the rest.
type scalar struct {
	n uint64
	b []byte
}

// fit is how a protobuf kind feeds a column type. check is nil when every value is good; read gives the value in the
// form that [Record] describes.
type fit struct {
	check func(*field, scalar) error
	read  func(*field, scalar) any
}

// fits is the table of https://cloud.google.com/bigquery/docs/supported-data-types ("Supported protocol buffer types").
var fits = map[Type]map[protoreflect.Kind]fit{
	Boolean: each(fit{nil, readBool}, protoreflect.BoolKind, protoreflect.Int32Kind, protoreflect.Int64Kind,
		protoreflect.Uint32Kind, protoreflect.Uint64Kind),
	Integer: each(fit{checkEnum, readInteger}, protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind,
		protoreflect.Sint32Kind, protoreflect.Sint64Kind, protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind,
		protoreflect.Sfixed64Kind, protoreflect.EnumKind),
	Float: each(fit{nil, readFloat}, protoreflect.DoubleKind, protoreflect.FloatKind, protoreflect.Int32Kind,
		protoreflect.Int64Kind, protoreflect.Uint32Kind),
	String: merge(each(fit{checkString, readText}, protoreflect.StringKind, protoreflect.BytesKind),
		each(fit{checkEnum, readEnum}, protoreflect.EnumKind)),
	Bytes: merge(each(fit{checkBytes, readBytes}, protoreflect.BytesKind),
		each(fit{checkString, readBytes}, protoreflect.StringKind)),
	Date: merge(each(fit{checkDays, readDays}, protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Sint32Kind,
		protoreflect.Sfixed32Kind), text(parseDate)),
	Time: merge(each(fit{checkCivil(civilTime), readCivil(civilTime)}, protoreflect.Int64Kind), text(parseTime)),
	DateTime: merge(each(fit{checkCivil(civilDateTime), readCivil(civilDateTime)}, protoreflect.Int64Kind),
		text(parseDateTime)),
	Timestamp: merge(each(fit{checkMicros, readInteger}, protoreflect.Int64Kind, protoreflect.Int32Kind,
		protoreflect.Uint32Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind),
		each(fit{checkTimestampText, readTimestampText}, protoreflect.StringKind)),
	Numeric:    decimals(numericBounds),
	BigNumeric: decimals(bigNumericBounds),
	JSON:       each(fit{checkJSON, readText}, protoreflect.StringKind),
	Geography:  each(fit{checkGeography, readText}, protoreflect.StringKind),
	Interval:   each(fit{checkInterval, readText}, protoreflect.StringKind),
}

func each(f fit, kinds ...protoreflect.Kind) map[protoreflect.Kind]fit {
	m := map[protoreflect.Kind]fit{}
	for _, k := range kinds {
		m[k] = f
	}
	return m
}

func merge(ms ...map[protoreflect.Kind]fit) map[protoreflect.Kind]fit {
	out := map[protoreflect.Kind]fit{}
	for _, m := range ms {
		maps.Copy(out, m)
	}
	return out
}

// text is the fit of a string that parse brings into canonical form.
func text(parse func(string) (string, error)) map[protoreflect.Kind]fit {
	check := func(_ *field, s scalar) error { _, err := parse(string(s.b)); return err }
	read := func(_ *field, s scalar) any { v, _ := parse(string(s.b)); return v }
	return each(fit{check, read}, protoreflect.StringKind)
}

func decimals(b bounds) map[protoreflect.Kind]fit {
	return merge(
		each(fit{
			func(f *field, s scalar) error {
				_, err := parseDecimal(string(s.b), b.of(f.column))
				return err
			},
			func(_ *field, s scalar) any { v, _ := parseDecimal(string(s.b), b); return v },
		}, protoreflect.StringKind),
		each(fit{
			func(f *field, s scalar) error { _, err := decimalBytes(s.b, b, b.of(f.column)); return err },
			func(_ *field, s scalar) any { v, _ := decimalBytes(s.b, b, b); return v },
		}, protoreflect.BytesKind),
		each(fit{
			func(f *field, s scalar) error { _, err := parseDecimal(integerText(f, s), b.of(f.column)); return err },
			func(f *field, s scalar) any { v, _ := parseDecimal(integerText(f, s), b); return v },
		}, protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.Uint64Kind),
		each(fit{
			func(f *field, s scalar) error { _, err := parseDecimal(floatText(f, s), b.of(f.column)); return err },
			func(f *field, s scalar) any { v, _ := parseDecimal(floatText(f, s), b); return v },
		}, protoreflect.FloatKind, protoreflect.DoubleKind),
	)
}

func integer(k protoreflect.Kind, n uint64) int64 {
	switch k {
	case protoreflect.Int32Kind, protoreflect.Sfixed32Kind, protoreflect.EnumKind:
		return int64(int32(n))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return int64(uint32(n))
	case protoreflect.Sint32Kind:
		return int64(int32(protowire.DecodeZigZag(n & math.MaxUint32)))
	case protoreflect.Sint64Kind:
		return protowire.DecodeZigZag(n)
	}
	return int64(n)
}

func float(k protoreflect.Kind, n uint64) float64 {
	switch k {
	case protoreflect.DoubleKind:
		return math.Float64frombits(n)
	case protoreflect.FloatKind:
		return float64(math.Float32frombits(uint32(n)))
	}
	return float64(integer(k, n))
}

func readBool(_ *field, s scalar) any    { return s.n != 0 }
func readInteger(f *field, s scalar) any { return integer(f.kind, s.n) }
func readFloat(f *field, s scalar) any   { return float(f.kind, s.n) }
func readText(_ *field, s scalar) any    { return string(s.b) }
func readBytes(_ *field, s scalar) any   { return append([]byte{}, s.b...) }
func readDays(f *field, s scalar) any    { return formatDate(integer(f.kind, s.n)) }

func readEnum(f *field, s scalar) any {
	if name, ok := f.enum[int32(s.n)]; ok {
		return name
	}
	return strconv.FormatInt(integer(f.kind, s.n), 10)
}

func integerText(f *field, s scalar) string {
	if f.kind == protoreflect.Uint64Kind {
		return strconv.FormatUint(s.n, 10)
	}
	return strconv.FormatInt(integer(f.kind, s.n), 10)
}

func floatText(f *field, s scalar) string {
	return strconv.FormatFloat(float(f.kind, s.n), 'f', -1, 64)
}

func readTimestampText(_ *field, s scalar) any { v, _ := ParseTimestamp(string(s.b)); return v }

func checkEnum(f *field, s scalar) error {
	if f.enum == nil {
		return nil
	}
	if _, known := f.enum[int32(s.n)]; !known {
		return fmt.Errorf("unknown enum value %d", int32(s.n))
	}
	return nil
}

func checkString(f *field, s scalar) error {
	if !utf8.Valid(s.b) {
		return fmt.Errorf("string is not valid UTF-8")
	}
	if m := f.column.MaxLength; m > 0 && int64(len(s.b)) > m && int64(utf8.RuneCount(s.b)) > m {
		return fmt.Errorf("string is longer than %d characters", m)
	}
	return nil
}

func checkBytes(f *field, s scalar) error {
	if m := f.column.MaxLength; m > 0 && int64(len(s.b)) > m {
		return fmt.Errorf("value is longer than %d bytes", m)
	}
	return nil
}

func checkDays(f *field, s scalar) error {
	if d := integer(f.kind, s.n); d < minDay || d > maxDay {
		return fmt.Errorf("DATE %d days since the epoch is out of the range 0001-01-01 to 9999-12-31", d)
	}
	return nil
}

func checkMicros(f *field, s scalar) error { return timestampRange(integer(f.kind, s.n)) }

func checkTimestampText(_ *field, s scalar) error {
	_, err := ParseTimestamp(string(s.b))
	return err
}

func checkJSON(_ *field, s scalar) error {
	if !utf8.Valid(s.b) || !json.Valid(s.b) {
		return fmt.Errorf("value is not valid JSON")
	}
	return nil
}
