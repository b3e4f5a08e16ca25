package query

import (
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

// from translates FROM and puts its sources in scope, each in sight of those behind it.
func (t *translator) from(sources []*source, sc *scope) (string, error) {
	var sql strings.Builder
	for i, s := range sources {
		if i == 0 {
			sql.WriteString(" FROM ")
		} else {
			fmt.Fprintf(&sql, " %s ", s.join)
		}
		one, b, err := t.source(s, sc)
		if err != nil {
			return "", err
		}
		sql.WriteString(one)
		sc.sources = append(sc.sources, b)
		if s.on != nil {
			v, err := t.expr(s.on, sc)
			if err != nil {
				return "", err
			}
			sql.WriteString(" ON " + v.sql)
		}
		if len(s.using) > 0 {
			on, err := t.using(s, sc, b)
			if err != nil {
				return "", err
			}
			sql.WriteString(" ON " + on)
		}
	}
	return sql.String(), nil
}

// using turns JOIN … USING into its ON. Names in it are then the left side's.
func (t *translator) using(s *source, sc *scope, right *bound) (string, error) {
	left := &scope{sources: sc.sources[:len(sc.sources)-1]}
	var on []string
	for _, name := range s.using {
		l, err := t.path([]string{name}, s.at, left)
		if err != nil {
			return "", err
		}
		r, err := right.column([]string{name}, s.at)
		if err != nil {
			return "", err
		}
		on = append(on, fmt.Sprintf("%s = %s", l.sql, r.sql))
	}
	right.columns = slices.DeleteFunc(slices.Clone(right.columns), func(c *row.Column) bool {
		return slices.ContainsFunc(s.using, func(n string) bool { return strings.EqualFold(n, c.Name) })
	})
	return strings.Join(on, " AND "), nil
}

func (t *translator) source(s *source, sc *scope) (string, *bound, error) {
	b := &bound{alias: s.alias, sql: t.alias()}
	if s.sub != nil {
		sql, columns, err := t.query(s.sub, sc.outer)
		b.columns = columns
		return fmt.Sprintf("(%s) AS %s", sql, b.sql), b, err
	}
	if s.unnest == nil && len(s.path) > 1 && t.correlated(s.path[0], sc) {
		s.unnest = &expr{op: "path", path: s.path, at: s.at}
	}
	if s.unnest != nil {
		return t.unnest(s, b, sc)
	}
	if b.alias == "" {
		b.alias = s.path[len(s.path)-1]
	}
	if len(s.path) == 1 {
		if q := t.ctes[strings.ToLower(s.path[0])]; q != nil && !slices.Contains(t.inside, strings.ToLower(s.path[0])) {
			t.inside = append(t.inside, strings.ToLower(s.path[0]))
			sql, columns, err := t.query(q, nil)
			t.inside = t.inside[:len(t.inside)-1]
			b.columns = columns
			return fmt.Sprintf("(%s) AS %s", sql, b.sql), b, err
		}
	}
	if slices.ContainsFunc(s.path, func(p string) bool { return strings.EqualFold(p, "INFORMATION_SCHEMA") }) {
		return t.information(s, b)
	}
	table, err := t.store.Find(strings.Join(s.path, "."), t.project, t.dataset)
	if err != nil {
		return "", nil, err
	}
	if view := store.ViewQuery(table.Definition()); view != "" {
		sql, columns, err := t.view(table, view, s.at)
		b.columns = columns
		return fmt.Sprintf("(%s) AS %s", sql, b.sql), b, err
	}
	b.table = &tableScan{table: table, columns: table.Columns(), number: map[string]int{}}
	b.columns = b.table.columns
	t.scans = append(t.scans, b.table)
	return fmt.Sprintf("temp.t%d AS %s", len(t.scans)-1, b.sql), b, nil
}

func (t *translator) correlated(name string, sc *scope) bool {
	for ; sc != nil; sc = sc.outer {
		for _, b := range sc.sources {
			if strings.EqualFold(b.alias, name) {
				return true
			}
		}
	}
	return false
}

func (t *translator) unnest(s *source, b *bound, sc *scope) (string, *bound, error) {
	v, err := t.expr(s.unnest, sc)
	if err != nil {
		return "", nil, err
	}
	if !v.col.Repeated {
		return "", nil, refuse(s.at, "Values referenced in UNNEST must be arrays")
	}
	element := v.col
	element.Repeated, element.Name = false, s.alias
	b.element, b.offset = &element, s.offset
	sql := fmt.Sprintf("json_each(%s) AS %s", v.sql, b.sql)
	if s.join == "LEFT JOIN" && s.on == nil {
		sql += " ON TRUE"
	}
	return sql, b, nil
}
