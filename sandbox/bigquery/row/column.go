// Package row knows what one row is: the columns of a table, the protobuf descriptor a writer encodes its rows with, and
// how the two fit. A [Shape] is their compiled meeting point: it checks a row's wire bytes, reads chosen columns out of
// them and decodes them whole, and never builds a dynamic message.
package row

import (
	"fmt"
	"regexp"
	"strings"

	bq "google.golang.org/api/bigquery/v2"
)

// Type is a BigQuery column type, by the name the REST API answers with.
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

// maxDepth is BigQuery's bound on nested RECORDs.
const maxDepth = 15

var columnName = regexp.MustCompile(`^[\p{L}\p{M}\p{N}\p{Pc}\p{Pd}&%=+:'<>#| ]{1,300}$`)

// Columns reads a REST schema. Its error says which column is wrong, and how.
func Columns(schema *bq.TableSchema) ([]*Column, error) {
	if schema == nil {
		return nil, nil
	}
	return columns(schema.Fields, "", 1)
}

func columns(fields []*bq.TableFieldSchema, under string, depth int) ([]*Column, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("field %s is nested deeper than %d levels", strings.TrimSuffix(under, "."), maxDepth)
	}
	var out []*Column
	for _, f := range fields {
		path := under + f.Name
		if !columnName.MatchString(f.Name) {
			return nil, fmt.Errorf("invalid field name %q", path)
		}
		if _, twin := Field(out, f.Name); twin != nil {
			return nil, fmt.Errorf("field %s already exists in schema", path)
		}
		t, known := typeNames[strings.ToUpper(f.Type)]
		if !known {
			return nil, fmt.Errorf("field %s has type %q, which the sandbox does not keep", path, f.Type)
		}
		c := &Column{Name: f.Name, Type: t, MaxLength: f.MaxLength, Precision: f.Precision, Scale: f.Scale}
		switch strings.ToUpper(f.Mode) {
		case "", "NULLABLE":
		case "REPEATED":
			c.Repeated = true
		case "REQUIRED":
			c.Required = true
		default:
			return nil, fmt.Errorf("field %s has unknown mode %q", path, f.Mode)
		}
		if (t == Struct) != (len(f.Fields) > 0) {
			return nil, fmt.Errorf("field %s is of type %s and has %d fields", path, t, len(f.Fields))
		}
		if t == Range {
			if f.RangeElementType != nil {
				c.Element = typeNames[strings.ToUpper(f.RangeElementType.Type)]
			}
			if c.Element != Date && c.Element != DateTime && c.Element != Timestamp {
				return nil, fmt.Errorf("field %s is of type RANGE, whose rangeElementType must be DATE, DATETIME or TIMESTAMP", path)
			}
		}
		var err error
		if c.Fields, err = columns(f.Fields, path+".", depth+1); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// Schema is the REST form of columns: what queries and tabledata answer with. It has no descriptions: those stay with the
// table's own definition.
func Schema(columns []*Column) *bq.TableSchema {
	return &bq.TableSchema{Fields: schemaFields(columns)}
}

func schemaFields(columns []*Column) []*bq.TableFieldSchema {
	out := make([]*bq.TableFieldSchema, 0, len(columns))
	for _, c := range columns {
		f := &bq.TableFieldSchema{Name: c.Name, Type: string(c.Type), Mode: "NULLABLE", MaxLength: c.MaxLength, Precision: c.Precision, Scale: c.Scale}
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

// Evolves says whether a table may change from one schema to another through the REST API: new columns that are not REQUIRED, REQUIRED
// relaxed to NULLABLE, and wider bounds, as https://cloud.google.com/bigquery/docs/managing-table-schemas has it. A type changes only by SQL,
// which the emulator does not have. The error is what BigQuery says of anything else.
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
		case narrower(old.MaxLength, c.MaxLength) || narrower(old.Precision, c.Precision) || c.Scale < old.Scale && c.Precision > 0:
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
