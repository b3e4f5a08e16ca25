package query

import (
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

// View is a CREATE VIEW statement.
type View struct {
	// Name is the view's path, one part or several with dots.
	Name string
	// Replace is CREATE OR REPLACE; IfMissing is IF NOT EXISTS.
	Replace, IfMissing bool
	// Query is the view's own.
	Query string
}

// ParseView reads CREATE [OR REPLACE] VIEW [IF NOT EXISTS] NAME AS QUERY; it is nil for any other statement.
func ParseView(sql string) (view *View, err error) {
	tokens, err := lex(sql)
	if err != nil {
		return nil, err
	}
	if !tokens[0].is("CREATE") {
		return nil, nil
	}
	p := &parser{tokens: tokens}
	defer p.refused(&err)
	p.next()
	v := &View{Replace: p.accept("OR", "REPLACE")}
	if !p.accept("VIEW") {
		p.fail("The sandbox creates views and row access policies only; it does not support CREATE %s",
			strings.ToUpper(p.peek().text))
	}
	v.IfMissing = p.accept("IF", "NOT", "EXISTS")
	v.Name = strings.Join(p.tablePath(), ".")
	if !p.peek().is("AS") {
		p.fail("The sandbox supports CREATE VIEW without columns and options: expected AS but got %q", p.peek().text)
	}
	p.next()
	end := len(sql)
	if last := tokens[len(tokens)-2]; last.is(";") {
		end = last.at
	}
	v.Query = strings.TrimSpace(sql[p.peek().at:end])
	return v, nil
}

// view translates a source that is a view, as a subquery in a scope of its own.
func (t *translator) view(table *store.Table, definition string, at int) (string, []*row.Column, error) {
	name := table.Name()
	if slices.Contains(t.views, name) {
		return "", nil, refuse(at, "View %s reads itself", table.ID())
	}
	q, err := parse(definition)
	if err != nil {
		return "", nil, fmt.Errorf("view %s: %w", table.ID(), err)
	}
	ref := table.Definition().TableReference
	project, dataset, ctes, inside := t.project, t.dataset, t.ctes, t.inside
	t.project, t.dataset, t.ctes, t.inside = ref.ProjectId, ref.DatasetId, nil, nil
	t.views = append(t.views, name)
	defer func() {
		t.project, t.dataset, t.ctes, t.inside = project, dataset, ctes, inside
		t.views = t.views[:len(t.views)-1]
	}()
	return t.query(q, nil)
}
