package query

import (
	"fmt"
	"slices"
	"strings"
)

// queryNode is a query: SELECTs joined by set operators, ordered and cut.
type queryNode struct {
	with    []cte
	selects []*selectNode
	sets    []string // between the selects: UNION ALL, UNION DISTINCT, …
	order   []orderItem
	limit   *expr
	offset  *expr
	at      int
}

type cte struct {
	name string
	q    *queryNode
}

type selectNode struct {
	distinct bool
	items    []selectItem
	from     []*source
	where    *expr
	group    []*expr
	having   *expr
}

type selectItem struct {
	e      *expr
	alias  string
	star   bool
	of     []string // alias.*
	except []string
	at     int
}

type source struct {
	join   string // "", "JOIN", "LEFT JOIN", "CROSS JOIN"
	path   []string
	sub    *queryNode
	unnest *expr
	alias  string
	offset string // WITH OFFSET AS
	on     *expr
	using  []string
	at     int
}

type orderItem struct {
	e     *expr
	desc  bool
	nulls string
}

// expr is an expression. op says which kind; the others are used as it needs.
type expr struct {
	op       string
	text     string
	path     []string
	args     []*expr
	sub      *queryNode
	distinct bool
	order    []orderItem
	over     *window
	at       int
}

type window struct {
	partition []*expr
	order     []orderItem
}

type parser struct {
	tokens []token
	i      int
	depth  int
	params int // positional parameters seen
}

func parse(sql string) (q *queryNode, err error) {
	tokens, err := lex(sql)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	defer p.refused(&err)
	if t := p.peek(); !t.is("SELECT") && !t.is("WITH") && !t.is("(") {
		return nil, refuse(t.at, "The sandbox runs SELECT queries only; it does not support %s",
			strings.ToUpper(t.text))
	}
	read := p.query()
	p.end()
	return read, nil
}

// end is the end of a statement.
func (p *parser) end() {
	p.accept(";")
	if t := p.peek(); t.kind != tokenEnd {
		p.fail("Syntax error: unexpected %q", t.text)
	}
}

// refused turns a panic with *Error into a parser's error; the parser leaves a wrong query by one.
func (p *parser) refused(err *error) {
	r := recover()
	if e, ok := r.(*Error); ok {
		*err = e
	} else if r != nil {
		panic(r)
	}
}

func (p *parser) fail(format string, args ...any) {
	panic(&Error{Offset: p.peek().at, Message: fmt.Sprintf(format, args...)})
}

func (p *parser) peek() token { return p.tokens[p.i] }

func (p *parser) ahead(n int) token { return p.tokens[min(p.i+n, len(p.tokens)-1)] }

func (p *parser) next() token {
	t := p.tokens[p.i]
	if t.kind != tokenEnd {
		p.i++
	}
	return t
}

func (p *parser) accept(words ...string) bool {
	for n, w := range words {
		if !p.ahead(n).is(w) {
			return false
		}
	}
	p.i += len(words)
	return true
}

func (p *parser) expect(s string) {
	if !p.accept(s) {
		p.fail("Syntax error: expected %q but got %q", s, p.peek().text)
	}
}

// reserved words cannot be names or aliases without backticks.
var reserved = strings.Fields(
	"ALL AND ANY ARRAY AS ASC BETWEEN BY CASE CAST CROSS DESC DISTINCT ELSE END EXCEPT EXISTS FALSE " +
		"FROM FULL GROUP HAVING IF IN INNER INTERSECT INTERVAL INTO IS JOIN LATERAL LEFT LIKE LIMIT " +
		"NATURAL NOT NULL ON OR ORDER " +
		"OUTER OVER PARTITION QUALIFY RIGHT SELECT SET SOME STRUCT TABLESAMPLE THEN TRUE UNION UNNEST USING " +
		"WHEN WHERE WINDOW WITH OFFSET")

func isReserved(t token) bool {
	return t.kind == tokenWord && slices.Contains(reserved, strings.ToUpper(t.text))
}

func (p *parser) name() string {
	t := p.peek()
	if t.kind != tokenQuoted && (t.kind != tokenWord || isReserved(t) && !t.is("OFFSET")) {
		p.fail("Syntax error: expected a name but got %q", t.text)
	}
	p.next()
	return t.text
}

func (p *parser) alias() string {
	if p.accept("AS") {
		return p.name()
	}
	if t := p.peek(); t.kind == tokenQuoted || t.kind == tokenWord && !isReserved(t) {
		return p.next().text
	}
	return ""
}

func (p *parser) deeper() func() {
	if p.depth++; p.depth > 100 {
		p.fail("The query is nested too deeply")
	}
	return func() { p.depth-- }
}

func (p *parser) query() *queryNode {
	defer p.deeper()()
	q := &queryNode{at: p.peek().at}
	if p.accept("WITH") {
		if p.peek().is("RECURSIVE") {
			p.fail("The sandbox does not support WITH RECURSIVE")
		}
		for {
			name := p.name()
			p.expect("AS")
			p.expect("(")
			q.with = append(q.with, cte{name, p.query()})
			p.expect(")")
			if !p.accept(",") {
				break
			}
		}
	}
	for {
		q.selects = append(q.selects, p.selectOrParen())
		switch {
		case p.accept("UNION", "ALL"):
			q.sets = append(q.sets, "UNION ALL")
		case p.accept("UNION", "DISTINCT"):
			q.sets = append(q.sets, "UNION")
		case p.accept("INTERSECT", "DISTINCT"):
			q.sets = append(q.sets, "INTERSECT")
		case p.accept("EXCEPT", "DISTINCT"):
			q.sets = append(q.sets, "EXCEPT")
		default:
			p.tail(q)
			return q
		}
	}
}

func (p *parser) selectOrParen() *selectNode {
	if p.accept("(") {
		at := p.peek().at
		sub := p.query()
		p.expect(")")
		return &selectNode{items: []selectItem{{star: true, at: at}}, from: []*source{{sub: sub, at: at}}}
	}
	return p.selectNode()
}

func (p *parser) tail(q *queryNode) {
	if p.accept("ORDER", "BY") {
		q.order = p.orderItems()
	}
	if p.accept("LIMIT") {
		q.limit = p.primary()
		if p.accept("OFFSET") {
			q.offset = p.primary()
		}
	}
}

func (p *parser) orderItems() (out []orderItem) {
	for {
		o := orderItem{e: p.expr()}
		if p.accept("DESC") {
			o.desc = true
		} else {
			p.accept("ASC")
		}
		switch {
		case p.accept("NULLS", "FIRST"):
			o.nulls = " NULLS FIRST"
		case p.accept("NULLS", "LAST"):
			o.nulls = " NULLS LAST"
		}
		out = append(out, o)
		if !p.accept(",") {
			return out
		}
	}
}

func (p *parser) selectNode() *selectNode {
	p.expect("SELECT")
	s := &selectNode{}
	if p.accept("DISTINCT") {
		s.distinct = true
	} else {
		p.accept("ALL")
	}
	if p.peek().is("AS") && (p.ahead(1).is("STRUCT") || p.ahead(1).is("VALUE")) {
		p.fail("The sandbox does not support SELECT AS %s", strings.ToUpper(p.ahead(1).text))
	}
	for {
		s.items = append(s.items, p.selectItem())
		if !p.accept(",") || p.peek().is("FROM") {
			break
		}
	}
	if p.accept("FROM") {
		s.from = p.from()
	}
	if p.accept("WHERE") {
		s.where = p.expr()
	}
	if p.accept("GROUP", "BY") {
		if t := p.peek(); t.is("ALL") || t.is("ROLLUP") || t.is("CUBE") || t.is("GROUPING") {
			p.fail("The sandbox does not support GROUP BY %s", strings.ToUpper(t.text))
		}
		s.group = p.exprs()
	}
	if p.accept("HAVING") {
		s.having = p.expr()
	}
	if t := p.peek(); t.is("QUALIFY") || t.is("WINDOW") {
		p.fail("The sandbox does not support %s", strings.ToUpper(t.text))
	}
	return s
}

func (p *parser) selectItem() selectItem {
	item := selectItem{at: p.peek().at}
	if p.accept("*") {
		item.star = true
	} else {
		item.e = p.expr()
		if item.e.op == "star" {
			item.star, item.of = true, item.e.path
		}
	}
	if !item.star {
		item.alias = p.alias()
		return item
	}
	if p.accept("EXCEPT") {
		item.except = p.names()
	}
	if p.peek().is("REPLACE") {
		p.fail("The sandbox does not support SELECT * REPLACE")
	}
	return item
}

// names is a list of names in parentheses.
func (p *parser) names() (out []string) {
	p.expect("(")
	for {
		out = append(out, p.name())
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	return out
}

func (p *parser) from() []*source {
	out := []*source{p.source("")}
	for {
		var join string
		switch {
		case p.accept(","), p.accept("CROSS", "JOIN"):
			join = "CROSS JOIN"
		case p.accept("JOIN"), p.accept("INNER", "JOIN"):
			join = "JOIN"
		case p.accept("LEFT", "JOIN"), p.accept("LEFT", "OUTER", "JOIN"):
			join = "LEFT JOIN"
		case p.accept("RIGHT", "JOIN"), p.accept("RIGHT", "OUTER", "JOIN"):
			join = "RIGHT JOIN"
		case p.accept("FULL", "JOIN"), p.accept("FULL", "OUTER", "JOIN"):
			join = "FULL JOIN"
		default:
			return out
		}
		s := p.source(join)
		if p.accept("ON") {
			s.on = p.expr()
		} else if p.accept("USING") {
			s.using = p.names()
		}
		out = append(out, s)
	}
}

func (p *parser) source(join string) *source {
	s := &source{join: join, at: p.peek().at}
	switch {
	case p.accept("("):
		s.sub = p.query()
		p.expect(")")
	case p.accept("UNNEST"):
		p.expect("(")
		s.unnest = p.expr()
		p.expect(")")
	default:
		s.path = p.tablePath()
	}
	p.plain()
	s.alias = p.alias()
	p.plain()
	if p.accept("WITH", "OFFSET") {
		s.offset = "offset"
		if a := p.alias(); a != "" {
			s.offset = a
		}
	}
	return s
}
