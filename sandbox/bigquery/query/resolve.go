package query

import (
	"fmt"
	"strings"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

// path resolves a dotted name: an alias and what is under it, or a column and what is under it.
func (t *translator) path(path []string, at int, sc *scope) (value, error) {
	for ; sc != nil; sc = sc.outer {
		for _, b := range sc.sources {
			if b.alias == "" || !strings.EqualFold(b.alias, path[0]) {
				continue
			}
			switch {
			case b.element != nil:
				return b.elementPath(path[1:], at)
			case len(path) > 1:
				return b.column(path[1:], at)
			}
		}
		for _, b := range sc.sources {
			if b.offset != "" && len(path) == 1 && strings.EqualFold(b.offset, path[0]) {
				return value{sql: b.sql + ".key", col: row.Column{Type: row.Integer}, name: b.offset}, nil
			}
			if b.element != nil && b.element.Type == row.Struct {
				if _, c := row.Field(b.element.Fields, path[0]); c != nil {
					return b.elementPath(path, at)
				}
			}
			if _, c := row.Field(b.columns, path[0]); c != nil || b.table != nil &&
				pseudo(b.table.table, path[0]) != nil {
				return b.column(path, at)
			}
		}
	}
	// These functions need no parentheses.
	if len(path) == 1 && strings.HasPrefix(strings.ToUpper(path[0]), "CURRENT_") {
		return t.call(&expr{op: "call", text: strings.ToUpper(path[0]), at: at}, nil, nil)
	}
	return value{}, refuse(at, "Unrecognized name: %s", strings.Join(path, "."))
}

func (b *bound) elementPath(path []string, at int) (value, error) {
	whole := value{sql: b.sql + ".value", col: *b.element, name: b.alias}
	if len(path) == 0 {
		if b.element.Type == row.Bytes {
			whole.sql = "bq_unbase64(" + whole.sql + ")"
		}
		return whole, nil
	}
	return under(whole, path, at)
}

// column reads a column, or what lies under one that is a RECORD.
func (b *bound) column(path []string, at int) (value, error) {
	_, c := row.Field(b.columns, path[0])
	if c == nil && b.table != nil {
		c = pseudo(b.table.table, path[0])
	}
	if c == nil {
		return value{}, refuse(at, "Name %s not found inside %s", path[0], b.alias)
	}
	if b.table == nil {
		sql := quote(c.Name)
		if b.sql != "" {
			sql = b.sql + "." + sql
		}
		return under(value{sql: sql, col: *c, name: c.Name}, path[1:], at)
	}
	// A path through RECORDs becomes a column of the scan, so that only it is decoded.
	depth := 1
	for depth < len(path) && c.Type == row.Struct && !c.Repeated {
		_, field := row.Field(c.Fields, path[depth])
		if field == nil {
			return value{}, refuse(at, "Field name %s does not exist in %s", path[depth],
				strings.Join(path[:depth], "."))
		}
		c = field
		depth++
	}
	v := value{sql: b.sql + "." + b.table.need(path[:depth]), col: *c, name: c.Name}
	return under(v, path[depth:], at)
}

// under reads fields out of a RECORD that is JSON text.
func under(v value, path []string, at int) (value, error) {
	if len(path) == 0 {
		return v, nil
	}
	c := v.col
	var where strings.Builder
	where.WriteString("$")
	for _, name := range path {
		if c.Repeated {
			return v, refuse(at, "Cannot access field %s on a value with type ARRAY; the way in is UNNEST", name)
		}
		_, field := row.Field(c.Fields, name)
		if c.Type != row.Struct || field == nil {
			return v, refuse(at, "Field name %s does not exist in %s", name, c.Type)
		}
		c = *field
		where.WriteString(`."` + field.Name + `"`)
	}
	sql := fmt.Sprintf("json_extract(%s, %s)", v.sql, literal(where.String()))
	if c.Type == row.Bytes && !c.Repeated {
		sql = "bq_unbase64(" + sql + ")"
	}
	return value{sql: sql, col: c, name: c.Name}, nil
}

func quote(name string) string     { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
func literal(s string) string      { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
func isDecimal(c *row.Column) bool { return c.Type == row.Numeric || c.Type == row.BigNumeric }

// asReal is a value to compute and compare with: decimals lie in SQLite as text.
func asReal(v value) string {
	if isDecimal(&v.col) && !v.col.Repeated {
		return "CAST(" + v.sql + " AS REAL)"
	}
	return v.sql
}
