package write

import (
	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

var storageTypes = map[row.Type]storagepb.TableFieldSchema_Type{
	row.String: storagepb.TableFieldSchema_STRING, row.Bytes: storagepb.TableFieldSchema_BYTES,
	row.Integer: storagepb.TableFieldSchema_INT64, row.Float: storagepb.TableFieldSchema_DOUBLE,
	row.Numeric: storagepb.TableFieldSchema_NUMERIC, row.BigNumeric: storagepb.TableFieldSchema_BIGNUMERIC,
	row.Boolean: storagepb.TableFieldSchema_BOOL, row.Timestamp: storagepb.TableFieldSchema_TIMESTAMP,
	row.Date: storagepb.TableFieldSchema_DATE, row.Time: storagepb.TableFieldSchema_TIME,
	row.DateTime: storagepb.TableFieldSchema_DATETIME, row.Geography: storagepb.TableFieldSchema_GEOGRAPHY,
	row.JSON: storagepb.TableFieldSchema_JSON, row.Interval: storagepb.TableFieldSchema_INTERVAL,
	row.Range: storagepb.TableFieldSchema_RANGE, row.Struct: storagepb.TableFieldSchema_STRUCT,
}

// tableSchema is the Storage API's form of columns.
func tableSchema(columns []*row.Column) *storagepb.TableSchema {
	return &storagepb.TableSchema{Fields: fieldSchemas(columns)}
}

func fieldSchemas(columns []*row.Column) []*storagepb.TableFieldSchema {
	var out []*storagepb.TableFieldSchema
	for _, c := range columns {
		f := &storagepb.TableFieldSchema{
			Name: c.Name, Type: storageTypes[c.Type], Mode: storagepb.TableFieldSchema_NULLABLE,
			MaxLength: c.MaxLength, Precision: c.Precision, Scale: c.Scale, Fields: fieldSchemas(c.Fields),
		}
		if c.Type == row.Range {
			f.RangeElementType = &storagepb.TableFieldSchema_FieldElementType{Type: storageTypes[c.Element]}
		}
		switch {
		case c.Repeated:
			f.Mode = storagepb.TableFieldSchema_REPEATED
		case c.Required:
			f.Mode = storagepb.TableFieldSchema_REQUIRED
		}
		out = append(out, f)
	}
	return out
}
