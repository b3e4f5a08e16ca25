package row

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
)

// Parse reads back a column's value that [AppendValue] wrote in the Query style.
func Parse(c *Column, b []byte) (any, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("column %s: %w", c.Name, err)
	}
	return parsed(c, v)
}

// ParseRecord reads back a record that [AppendObject] wrote in the Query style.
func ParseRecord(columns []*Column, b []byte) (Record, error) {
	v, err := Parse(&Column{Type: Struct, Fields: columns}, b)
	r, _ := v.(Record)
	return r, err
}

func parsed(c *Column, v any) (any, error) {
	if !c.Repeated {
		return parsedOne(c, v)
	}
	values, _ := v.([]any)
	list := make(List, len(values))
	for i, one := range values {
		var err error
		if list[i], err = parsedOne(c, one); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func parsedOne(c *Column, v any) (any, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case map[string]any:
		r := make(Record, len(c.Fields))
		for i, f := range c.Fields {
			var err error
			if r[i], err = parsed(f, v[f.Name]); err != nil {
				return nil, err
			}
		}
		return r, nil
	case json.Number:
		switch c.Type {
		case Integer, Timestamp:
			return v.Int64()
		case Float:
			return v.Float64()
		case Boolean: // SQLite has no other form of one
			return v != "0", nil
		}
		return v.String(), nil
	case string:
		switch c.Type {
		case Bytes:
			return base64.StdEncoding.DecodeString(v)
		case Float: // NaN and infinities
			return strconv.ParseFloat(v, 64)
		}
		return v, nil
	}
	return nil, nil
}
