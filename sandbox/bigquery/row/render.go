package row

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
)

// Style chooses among the JSON forms of a value.
type Style int

const (
	// People is for reading: RECORDs as objects, TIMESTAMP as RFC 3339, absent as null.
	People Style = iota
	// Query is for SQL: as People, but TIMESTAMP as microseconds since the epoch, so that it compares and computes.
	Query
)

// AppendObject appends a record as a JSON object.
func AppendObject(dst []byte, columns []*Column, r Record, style Style) []byte {
	dst = append(dst, '{')
	for i, c := range columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, c.Name), ':')
		var v any
		if i < len(r) {
			v = r[i]
		}
		dst = AppendValue(dst, c, v, style)
	}
	return append(dst, '}')
}

// AppendValue appends a column's value as JSON; a REPEATED column is an array, empty when it has no elements.
func AppendValue(dst []byte, c *Column, v any, style Style) []byte {
	if !c.Repeated {
		return appendOne(dst, c, v, style)
	}
	list, _ := v.(List)
	dst = append(dst, '[')
	for i, one := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendOne(dst, c, one, style)
	}
	return append(dst, ']')
}

func appendOne(dst []byte, c *Column, v any, style Style) []byte {
	switch v := v.(type) {
	case bool:
		return strconv.AppendBool(dst, v)
	case int64:
		if c.Type == Timestamp && style == People {
			return appendString(dst, FormatTimestamp(v))
		}
		return strconv.AppendInt(dst, v, 10)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return appendString(dst, formatFloat(v))
		}
		return strconv.AppendFloat(dst, v, 'g', -1, 64)
	case string:
		return appendString(dst, v)
	case []byte:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, v)
		return append(dst, '"')
	case Record:
		return AppendObject(dst, c.Fields, v, style)
	}
	return append(dst, "null"...)
}

func formatFloat(v float64) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// AppendCells appends a record in the REST form of a row, {"f":[{"v":…},…]}, in which every scalar is a string. micros
// chooses the form of a TIMESTAMP: integer microseconds, or seconds with a fraction (formatOptions.useInt64Timestamp).
func AppendCells(dst []byte, columns []*Column, r Record, micros bool) []byte {
	dst = append(dst, `{"f":[`...)
	for i, c := range columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		var v any
		if i < len(r) {
			v = r[i]
		}
		dst = appendCell(dst, c, v, micros)
	}
	return append(dst, "]}"...)
}

func appendCell(dst []byte, c *Column, v any, micros bool) []byte {
	dst = append(dst, `{"v":`...)
	if !c.Repeated {
		return append(appendCellValue(dst, c, v, micros), '}')
	}
	list, _ := v.(List)
	dst = append(dst, '[')
	for i, one := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendCellValue(append(dst, `{"v":`...), c, one, micros), '}')
	}
	return append(dst, "]}"...)
}

func appendCellValue(dst []byte, c *Column, v any, micros bool) []byte {
	switch v := v.(type) {
	case bool:
		return appendString(dst, strconv.FormatBool(v))
	case int64:
		if c.Type == Timestamp {
			return appendString(dst, timestampCell(v, micros))
		}
		return appendString(dst, strconv.FormatInt(v, 10))
	case float64:
		return appendString(dst, formatFloat(v))
	case string:
		if c.Type == Range {
			return appendString(dst, rangeCell(c, v, micros))
		}
	case Record:
		return AppendCells(dst, c.Fields, v, micros)
	}
	return appendOne(dst, c, v, People)
}

// appendString appends s as a JSON string. Most strings need no escape; the rest go the slow way.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return appendEscaped(dst, s)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

func appendEscaped(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), `\ufffd`...)
				start = i + 1
			}
			i += size
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s[i : i+1])
			dst = append(append(dst, s[start:i]...), quoted[1:len(quoted)-1]...)
			start = i + 1
		}
		i++
	}
	return append(append(dst, s[start:]...), '"')
}
