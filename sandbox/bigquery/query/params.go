package query

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

// Parameter is a query parameter as the REST API carries it.
type Parameter struct {
	Name  string                 `json:"name"`
	Type  *bq.QueryParameterType `json:"parameterType"`
	Value *ParameterValue        `json:"parameterValue"`
}

// ParameterValue is a bq.QueryParameterValue that tells null from an empty text.
type ParameterValue struct {
	Value        *string                    `json:"value"`
	ArrayValues  []*ParameterValue          `json:"arrayValues"`
	StructValues map[string]*ParameterValue `json:"structValues"`
}

// parameters translates the parameters of a query; positional ones are named ?1, ?2, ….
func parameters(given []Parameter) (map[string]value, error) {
	out := map[string]value{}
	for i, p := range given {
		name := strings.ToLower(p.Name)
		if name == "" {
			name = "?" + strconv.Itoa(i+1)
		}
		if p.Type == nil {
			return nil, refuse(-1, "Query parameter %s has no type", name)
		}
		c, err := parameterColumn(p.Type)
		if err != nil {
			return nil, err
		}
		v, err := parameterValue(c, p.Value)
		if err != nil {
			return nil, err
		}
		out[name] = value{sql: parameterSQL(c, v), col: *c}
	}
	return out, nil
}

// parameterColumn is a parameter's type.
func parameterColumn(t *bq.QueryParameterType) (*row.Column, error) {
	kind := strings.ToUpper(t.Type)
	switch {
	case t.ArrayType != nil:
		c, err := parameterColumn(t.ArrayType)
		if err == nil && c.Repeated {
			err = refuse(-1, "An ARRAY cannot contain ARRAYs")
		}
		if err != nil {
			return nil, err
		}
		c.Repeated = true
		return c, nil
	case kind == "STRUCT":
		c := &row.Column{Type: row.Struct}
		for i, f := range t.StructTypes {
			field, err := parameterColumn(f.Type)
			if err != nil {
				return nil, err
			}
			if field.Name = f.Name; f.Name == "" {
				field.Name = "_field_" + strconv.Itoa(i+1)
			}
			c.Fields = append(c.Fields, field)
		}
		return c, nil
	}
	to, known := castTypes[kind]
	if kind == "JSON" || kind == "GEOGRAPHY" {
		to, known = row.Type(kind), true
	}
	if !known {
		return nil, refuse(-1, "The sandbox does not support query parameters of type %s", t.Type)
	}
	return &row.Column{Type: to}, nil
}

// parameterValue is a parameter's value in the form of [row.Record].
func parameterValue(c *row.Column, v *ParameterValue) (any, error) {
	if c.Repeated {
		list, element := row.List{}, *c
		element.Repeated = false
		if v == nil {
			return list, nil
		}
		for _, one := range v.ArrayValues {
			got, err := parameterValue(&element, one)
			if err != nil {
				return nil, err
			}
			list = append(list, got)
		}
		return list, nil
	}
	if v == nil {
		return nil, nil
	}
	if c.Type == row.Struct {
		if v.StructValues == nil {
			return nil, nil
		}
		record := make(row.Record, len(c.Fields))
		for i, f := range c.Fields {
			field, given := v.StructValues[f.Name]
			if !given {
				field, given = v.StructValues[""], len(c.Fields) == 1
			}
			if !given {
				continue
			}
			var err error
			if record[i], err = parameterValue(f, field); err != nil {
				return nil, err
			}
		}
		return record, nil
	}
	if v.Value == nil {
		return nil, nil
	}
	return scalarParameter(c.Type, *v.Value)
}

func scalarParameter(t row.Type, text string) (any, error) {
	switch t {
	case row.String, row.JSON, row.Geography:
		return text, nil
	case row.Bytes:
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, refuse(-1, "Invalid BYTES parameter: not base64")
		}
		return b, nil
	}
	v, err := convertTo(text, row.String, t)
	if err != nil {
		return nil, refuse(-1, "Invalid value of a query parameter: %v", err)
	}
	if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return nil, refuse(-1, "The sandbox does not compute with %s: it takes finite parameters only", text)
	}
	return v, nil
}

// parameterSQL is a parameter's value as SQLite has it.
func parameterSQL(c *row.Column, v any) string {
	switch {
	case v == nil:
		return "NULL"
	case c.Repeated, c.Type == row.Struct:
		return literal(string(row.AppendValue(nil, c, v, row.Query)))
	}
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return "CAST(" + literal(strconv.FormatFloat(v, 'g', -1, 64)) + " AS REAL)"
	case bool:
		return strconv.FormatBool(v)
	case []byte:
		return "bq_unbase64('" + base64.StdEncoding.EncodeToString(v) + "')"
	}
	s, _ := v.(string)
	return literal(s)
}
