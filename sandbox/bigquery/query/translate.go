package query

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

// value is a translated expression: SQLite's SQL for it, and what BigQuery would say its type is. Inside SQLite a
// TIMESTAMP is an integer of microseconds; DATE, TIME, DATETIME and NUMERIC are text; RECORD and REPEATED are JSON
// text.
type value struct {
	sql string
	col row.Column // type, repeated and fields; Type "" is an untyped NULL
	// text is the value of a string literal, which takes the type it is compared with.
	text *string
	name string // the name a column of this expression would get
}

func typed(t row.Type, format string, args ...any) value {
	return value{sql: fmt.Sprintf(format, args...), col: row.Column{Type: t}}
}

// bound is a source in scope.
type bound struct {
	alias   string
	table   *tableScan
	sql     string // alias inside SQLite
	columns []*row.Column
	// element is set for UNNEST: the source is a value, not a row.
	element *row.Column
	offset  string
}

// tableScan is a table a statement reads, with the columns it needs.
type tableScan struct {
	table   *store.Table
	columns []*row.Column
	paths   [][]string
	number  map[string]int
}

func (t *tableScan) need(path []string) string {
	key := strings.ToLower(strings.Join(path, "\x00"))
	n, known := t.number[key]
	if !known {
		n = len(t.paths)
		t.number[key] = n
		t.paths = append(t.paths, path)
	}
	return "c" + strconv.Itoa(n)
}

// scope is the names an expression can use.
type scope struct {
	outer   *scope
	sources []*bound
}

type translator struct {
	store   *store.Store
	project string
	dataset string
	params  map[string]value
	scans   []*tableScan
	ctes    map[string]*queryNode
	inside  []string // CTEs being expanded
	views   []string // views being expanded
	aliases int
}

func (t *translator) alias() string {
	t.aliases++
	return "s" + strconv.Itoa(t.aliases)
}

// query translates a query and gives the columns of its result.
func (t *translator) query(q *queryNode, outer *scope) (string, []*row.Column, error) {
	if len(q.with) > 0 {
		saved := t.ctes
		t.ctes = maps.Clone(saved)
		if t.ctes == nil {
			t.ctes = map[string]*queryNode{}
		}
		defer func() { t.ctes = saved }()
		for _, c := range q.with {
			t.ctes[strings.ToLower(c.name)] = c.q
		}
	}
	var sql strings.Builder
	var columns []*row.Column
	var inner *scope
	for i, s := range q.selects {
		one, cols, sc, err := t.selectNode(s, outer)
		if err != nil {
			return "", nil, err
		}
		if i == 0 {
			columns, inner = cols, sc
		} else {
			if len(cols) != len(columns) {
				return "", nil, refuse(q.at, "Queries in %s have mismatched column count", q.sets[i-1])
			}
			sql.WriteString(" " + q.sets[i-1] + " ")
		}
		sql.WriteString(one)
	}
	if len(q.selects) > 1 {
		inner = nil
	}
	order, err := t.orderBy(q.order, columns, inner)
	if err != nil {
		return "", nil, err
	}
	sql.WriteString(order)
	for _, cut := range []struct {
		word string
		e    *expr
	}{{"LIMIT", q.limit}, {"OFFSET", q.offset}} {
		if cut.e == nil {
			continue
		}
		v, err := t.expr(cut.e, &scope{})
		if err != nil {
			return "", nil, err
		}
		fmt.Fprintf(&sql, " %s %s", cut.word, v.sql)
	}
	return sql.String(), columns, nil
}

// orderBy translates ORDER BY: a name or number of an output column, or any expression over the sources.
func (t *translator) orderBy(items []orderItem, columns []*row.Column, sc *scope) (string, error) {
	var out []string
	for _, o := range items {
		sql, err := t.outputOr(o.e, columns, sc, true)
		if err != nil {
			return "", err
		}
		if o.desc {
			sql += " DESC"
		}
		out = append(out, sql+o.nulls)
	}
	if out == nil {
		return "", nil
	}
	return " ORDER BY " + strings.Join(out, ", "), nil
}

func (t *translator) outputOr(e *expr, columns []*row.Column, sc *scope, aliasFirst bool) (string, error) {
	if e.op == "number" {
		if n, err := strconv.Atoi(e.text); err != nil || n < 1 || n > len(columns) {
			return "", refuse(e.at, "Column number %s is out of range", e.text)
		}
		return e.text, nil
	}
	n := -1
	if e.op == "path" && len(e.path) == 1 {
		n, _ = row.Field(columns, e.path[0])
	}
	if n >= 0 && aliasFirst {
		if columns[n].Type == row.Numeric || columns[n].Type == row.BigNumeric {
			return fmt.Sprintf("CAST(%s AS REAL)", quote(columns[n].Name)), nil
		}
		return strconv.Itoa(n + 1), nil
	}
	if sc == nil {
		return "", refuse(e.at, "The sandbox orders a UNION by its output columns only")
	}
	v, err := t.expr(e, sc)
	if err != nil && n >= 0 {
		return strconv.Itoa(n + 1), nil
	}
	return asReal(v), err
}

func (t *translator) selectNode(s *selectNode, outer *scope) (string, []*row.Column, *scope, error) {
	fail := func(err error) (string, []*row.Column, *scope, error) { return "", nil, nil, err }
	sc := &scope{outer: outer}
	from, err := t.from(s.from, sc)
	if err != nil {
		return fail(err)
	}
	var items []string
	var columns []*row.Column
	add := func(v value, name string) {
		c := v.col
		c.Name = name
		if c.Type == "" {
			c.Type = row.Integer
		}
		columns = append(columns, &c)
		items = append(items, v.sql+" AS "+quote(name))
	}
	for _, item := range s.items {
		if item.star {
			values, err := t.star(item, sc)
			if err != nil {
				return fail(err)
			}
			for _, v := range values {
				add(v, v.name)
			}
			continue
		}
		v, err := t.expr(item.e, sc)
		if err != nil {
			return fail(err)
		}
		name := item.alias
		if name == "" {
			name = v.name
		}
		if name == "" {
			name = fmt.Sprintf("f%d_", len(columns))
		}
		add(v, name)
	}
	sql := "SELECT "
	if s.distinct {
		sql += "DISTINCT "
	}
	sql += strings.Join(items, ", ") + from
	if s.where != nil {
		v, err := t.expr(s.where, sc)
		if err != nil {
			return fail(err)
		}
		sql += " WHERE " + v.sql
	}
	if len(s.group) > 0 {
		var group []string
		for _, e := range s.group {
			g, err := t.outputOr(e, columns, sc, false)
			if err != nil {
				return fail(err)
			}
			group = append(group, g)
		}
		sql += " GROUP BY " + strings.Join(group, ", ")
	}
	if s.having != nil {
		v, err := t.expr(s.having, t.withOutputs(sc, columns, s.items))
		if err != nil {
			return fail(err)
		}
		sql += " HAVING " + v.sql
	}
	return sql, columns, sc, nil
}

// withOutputs lets HAVING use the names of output columns, after those of the sources.
func (t *translator) withOutputs(sc *scope, columns []*row.Column, items []selectItem) *scope {
	outputs := &bound{}
	for i, item := range items {
		if item.alias != "" && i < len(columns) {
			outputs.columns = append(outputs.columns, columns[i])
		}
	}
	return &scope{outer: sc.outer, sources: append(slices.Clone(sc.sources), outputs)}
}

func (t *translator) star(item selectItem, sc *scope) (out []value, err error) {
	for _, b := range sc.sources {
		if len(item.of) > 0 && !strings.EqualFold(b.alias, item.of[0]) {
			continue
		}
		if len(item.of) > 1 {
			return nil, refuse(item.at, "The sandbox does not support %s.*", strings.Join(item.of, "."))
		}
		columns := b.columns
		if b.element != nil && b.element.Type == row.Struct {
			columns = b.element.Fields
		} else if b.element != nil {
			out = append(out, value{sql: b.sql + ".value", col: *b.element, name: b.alias})
			continue
		}
		for _, c := range columns {
			if slices.ContainsFunc(item.except, func(s string) bool { return strings.EqualFold(s, c.Name) }) {
				continue
			}
			v, err := b.column([]string{c.Name}, item.at)
			if err != nil {
				return nil, err
			}
			v.name = c.Name
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		return nil, refuse(item.at, "SELECT * expands to no columns")
	}
	return out, nil
}
