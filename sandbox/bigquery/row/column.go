// Package row knows what one row is: the columns of a table, the protobuf descriptor a writer encodes its rows with,
// and how the two fit. A [Shape] is their compiled meeting point: it checks a row's wire bytes, reads chosen columns
// out of them and decodes them whole, and never builds a dynamic message.
package row

import (
	"fmt"
	"strings"

	bq "google.golang.org/api/bigquery/v2"
)

// Type is a BigQuery column type, by the name the REST API has for it.
type Type string

// The column types of BigQuery.
const (
	String     Type = "STRING"
	Bytes      Type = "BYTES"
	Integer    Type = "INTEGER"
	Float      Type = "FLOAT"
	Numeric    Type = "NUMERIC"
	BigNumeric Type = "BIGNUMERIC"
	Boolean    Type = "BOOLEAN"
	Timestamp  Type = "TIMESTAMP"
	Date       Type = "DATE"
	Time       Type = "TIME"
	DateTime   Type = "DATETIME"
	Geography  Type = "GEOGRAPHY"
	JSON       Type = "JSON"
	Interval   Type = "INTERVAL"
	Range      Type = "RANGE"
	Struct     Type = "RECORD"
)

var typeNames = map[string]Type{
	"STRING": String, "BYTES": Bytes, "INTEGER": Integer, "INT64": Integer, "FLOAT": Float, "FLOAT64": Float,
	"NUMERIC": Numeric, "DECIMAL": Numeric, "BIGNUMERIC": BigNumeric, "BIGDECIMAL": BigNumeric,
	"BOOLEAN": Boolean, "BOOL": Boolean, "TIMESTAMP": Timestamp, "DATE": Date, "TIME": Time, "DATETIME": DateTime,
	"GEOGRAPHY": Geography, "JSON": JSON, "INTERVAL": Interval, "RANGE": Range, "RECORD": Struct, "STRUCT": Struct,
}

// Column is one column of a table, or one field of a RECORD.
type Column struct {
	Name string
	Type Type
	// Repeated and Required are the column's mode; neither means NULLABLE.
	Repeated, Required bool
	// Fields are the fields of a RECORD, in order.
	Fields []*Column
	// Element is what a RANGE is of: DATE, DATETIME or TIMESTAMP.
	Element Type
	// MaxLength bounds a STRING (characters) or BYTES (bytes); 0 is no bound.
	MaxLength int64
	// Precision and Scale bound NUMERIC and BIGNUMERIC; Precision 0 leaves the type's own bounds.
	Precision, Scale int64
	// Default is the SQL of the value that takes the place of a missing one; empty is NULL.
	Default string
}

// Field finds a field by name; BigQuery's column names do not tell upper from lower case.
func Field(columns []*Column, name string) (index int, c *Column) {
	for i, c := range columns {
		if strings.EqualFold(c.Name, name) {
			return i, c
		}
	}
	return -1, nil
}

// Columns reads a REST schema. Its error says which column is wrong, and how.
func Columns(schema *bq.TableSchema) ([]*Column, error) {
	if schema == nil {
		return nil, nil
	}
	left := maxColumns
	return columns(schema.Fields, "", 0, &left)
}

// columns reads the fields of a RECORD that lies in so many others, and counts them down from left.
func columns(fields []*bq.TableFieldSchema, under string, depth int, left *int) ([]*Column, error) {
	if depth > maxDepth && len(fields) > 0 {
		return nil, fmt.Errorf("Field %s is nested too deeply: a table has at most %d levels of RECORDs",
			strings.TrimSuffix(under, "."), maxDepth)
	}
	if *left -= len(fields); *left < 0 {
		return nil, fmt.Errorf("Too many total leaf fields: a table has at most %d columns, those of RECORDs counted",
			maxColumns)
	}
	var out []*Column
	names := map[string]bool{}
	for _, f := range fields {
		path := under + f.Name
		if err := nameable(f.Name, path); err != nil {
			return nil, err
		}
		folded := strings.ToLower(f.Name)
		if names[folded] {
			return nil, fmt.Errorf("Field %s already exists in schema", path)
		}
		names[folded] = true
		c, err := column(f, path)
		if err != nil {
			return nil, err
		}
		if c.Fields, err = columns(f.Fields, path+".", depth+1, left); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// column reads one field, but for those in it.
func column(f *bq.TableFieldSchema, path string) (*Column, error) {
	t, known := typeNames[strings.ToUpper(f.Type)]
	if !known {
		return nil, fmt.Errorf("Field %s has type %q, which the sandbox does not keep", path, f.Type)
	}
	c := &Column{
		Name: f.Name, Type: t, MaxLength: f.MaxLength, Precision: f.Precision, Scale: f.Scale,
		Default: f.DefaultValueExpression,
	}
	switch strings.ToUpper(f.Mode) {
	case "", "NULLABLE":
	case "REPEATED":
		c.Repeated = true
	case "REQUIRED":
		c.Required = true
	default:
		return nil, fmt.Errorf("Field %s has unknown mode %q", path, f.Mode)
	}
	if (t == Struct) != (len(f.Fields) > 0) {
		return nil, fmt.Errorf("Field %s is of type %s and has %d fields", path, t, len(f.Fields))
	}
	if t == Range {
		if f.RangeElementType != nil {
			c.Element = typeNames[strings.ToUpper(f.RangeElementType.Type)]
		}
		if c.Element != Date && c.Element != DateTime && c.Element != Timestamp {
			return nil, fmt.Errorf("Field %s is of type RANGE, whose rangeElementType must be DATE, DATETIME or "+
				"TIMESTAMP", path)
		}
	}
	if c.Default != "" && (t == Struct || path != f.Name) {
		return nil, fmt.Errorf("Field %s: the sandbox applies default values to top-level columns that are no "+
			"RECORDs only",
			path)
	}
	if err := c.bounded(path); err != nil {
		return nil, err
	}
	return c, nil
}

// Schema is the REST form of columns: what queries and tabledata return. It has no descriptions: those stay with
// the table's own definition.
func Schema(columns []*Column) *bq.TableSchema {
	return &bq.TableSchema{Fields: schemaFields(columns)}
}

func schemaFields(columns []*Column) []*bq.TableFieldSchema {
	out := make([]*bq.TableFieldSchema, 0, len(columns))
	for _, c := range columns {
		f := &bq.TableFieldSchema{
			Name: c.Name, Type: string(c.Type), Mode: "NULLABLE", MaxLength: c.MaxLength, Precision: c.Precision,
			Scale: c.Scale,
		}
		switch {
		case c.Repeated:
			f.Mode = "REPEATED"
		case c.Required:
			f.Mode = "REQUIRED"
		}
		switch c.Type {
		case Struct:
			f.Fields = schemaFields(c.Fields)
		case Range:
			f.RangeElementType = &bq.TableFieldSchemaRangeElementType{Type: string(c.Element)}
		}
		out = append(out, f)
	}
	return out
}

// Evolves says whether a table may change from one schema to another through the REST API: new columns that are not
// REQUIRED, REQUIRED relaxed to NULLABLE, and wider bounds, as
// https://cloud.google.com/bigquery/docs/managing-table-schemas has it. A type changes only by SQL, which the
// emulator does not have. The error is what BigQuery says of anything else.
func Evolves(from, to []*Column) error { return evolves(from, to, "") }

func evolves(from, to []*Column, under string) error {
	for _, old := range from {
		path := under + old.Name
		_, c := Field(to, old.Name)
		switch {
		case c == nil:
			return fmt.Errorf("Field %s is missing in new schema", path)
		case c.Type != old.Type || c.Element != old.Element:
			return fmt.Errorf("Field %s has changed type from %s to %s", path, old.spelled(), c.spelled())
		case c.Repeated != old.Repeated || c.Required && !old.Required:
			return fmt.Errorf("Field %s has changed mode from %s to %s", path, old.mode(), c.mode())
		case narrower(old.MaxLength, c.MaxLength) || narrower(old.Precision, c.Precision) ||
			c.Scale < old.Scale && c.Precision > 0:
			return fmt.Errorf("Field %s has become narrower", path)
		}
		if err := evolves(old.Fields, c.Fields, path+"."); err != nil {
			return err
		}
	}
	for _, c := range to {
		if _, old := Field(from, c.Name); old == nil && c.Required {
			return fmt.Errorf("Cannot add required fields to an existing schema. (field: %s%s)", under, c.Name)
		}
	}
	return nil
}

func narrower(old, now int64) bool { return now != 0 && (old == 0 || now < old) }

// spelled is the column's type as people write it.
func (c *Column) spelled() string {
	if c.Type == Range {
		return "RANGE<" + string(c.Element) + ">"
	}
	return string(c.Type)
}

func (c *Column) mode() string {
	switch {
	case c.Repeated:
		return "REPEATED"
	case c.Required:
		return "REQUIRED"
	}
	return "NULLABLE"
}

// SQL is the column's type in GoogleSQL.
func (c *Column) SQL() string {
	name := map[Type]string{Integer: "INT64", Float: "FLOAT64", Boolean: "BOOL"}[c.Type]
	switch {
	case name != "":
	case c.Type == Struct:
		var fields []string
		for _, f := range c.Fields {
			fields = append(fields, f.Name+" "+f.SQL())
		}
		name = "STRUCT<" + strings.Join(fields, ", ") + ">"
	case c.Type == Range:
		name = "RANGE<" + string(c.Element) + ">"
	case c.MaxLength > 0:
		name = fmt.Sprintf("%s(%d)", c.Type, c.MaxLength)
	case c.Precision > 0 && c.Scale > 0:
		name = fmt.Sprintf("%s(%d, %d)", c.Type, c.Precision, c.Scale)
	case c.Precision > 0:
		name = fmt.Sprintf("%s(%d)", c.Type, c.Precision)
	default:
		name = string(c.Type)
	}
	if c.Repeated {
		return "ARRAY<" + name + ">"
	}
	return name
}
