package query

import (
	"slices"
	"strconv"
	"strings"
)

func (p *parser) expr() *expr { return p.or() }

func (p *parser) binary(at int, op string, a, b *expr) *expr {
	return &expr{op: "binary", text: op, args: []*expr{a, b}, at: at}
}

func (p *parser) or() *expr {
	defer p.deeper()()
	e := p.and()
	for at := p.peek().at; p.accept("OR"); at = p.peek().at {
		e = p.binary(at, "OR", e, p.and())
	}
	return e
}

func (p *parser) and() *expr {
	e := p.not()
	for at := p.peek().at; p.accept("AND"); at = p.peek().at {
		e = p.binary(at, "AND", e, p.not())
	}
	return e
}

func (p *parser) not() *expr {
	if at := p.peek().at; p.accept("NOT") {
		return &expr{op: "unary", text: "NOT", args: []*expr{p.not()}, at: at}
	}
	return p.comparison()
}

func (p *parser) comparison() *expr {
	e := p.bitwise()
	for {
		t := p.peek()
		switch {
		case t.is("=") || t.is("<") || t.is(">") || t.is("<=") || t.is(">=") || t.is("!=") || t.is("<>"):
			p.next()
			e = p.binary(t.at, t.text, e, p.bitwise())
		case t.is("IS"):
			p.next()
			not := p.accept("NOT")
			w := p.next()
			if !w.is("NULL") && !w.is("TRUE") && !w.is("FALSE") {
				p.fail("Syntax error: expected NULL, TRUE or FALSE but got %q", w.text)
			}
			e = &expr{op: "is", text: strings.ToUpper(w.text), distinct: not, args: []*expr{e}, at: t.at}
		case t.is("IN") || t.is("NOT") && p.ahead(1).is("IN"):
			not := p.accept("NOT")
			p.expect("IN")
			e = p.in(e, not, t.at)
		case t.is("BETWEEN") || t.is("NOT") && p.ahead(1).is("BETWEEN"):
			not := p.accept("NOT")
			p.expect("BETWEEN")
			low := p.bitwise()
			p.expect("AND")
			e = &expr{op: "between", distinct: not, args: []*expr{e, low, p.bitwise()}, at: t.at}
		case t.is("LIKE") || t.is("NOT") && p.ahead(1).is("LIKE"):
			not := p.accept("NOT")
			p.expect("LIKE")
			e = &expr{op: "like", distinct: not, args: []*expr{e, p.bitwise()}, at: t.at}
		default:
			return e
		}
	}
}

func (p *parser) in(left *expr, not bool, at int) *expr {
	out := &expr{op: "in", distinct: not, args: []*expr{left}, at: at}
	if p.accept("UNNEST") {
		p.expect("(")
		out.op = "inunnest"
		out.args = append(out.args, p.expr())
		p.expect(")")
		return out
	}
	p.expect("(")
	if p.peek().is("SELECT") || p.peek().is("WITH") {
		out.sub = p.query()
	} else {
		out.args = append(out.args, p.list(")")...)
	}
	p.expect(")")
	return out
}

func (p *parser) list(end string) []*expr {
	if p.peek().is(end) {
		return nil
	}
	return p.exprs()
}

// exprs reads expressions with commas between them.
func (p *parser) exprs() (out []*expr) {
	for {
		out = append(out, p.expr())
		if !p.accept(",") {
			return out
		}
	}
}

func (p *parser) operators(next func() *expr, signs ...string) *expr {
	e := next()
	for slices.ContainsFunc(signs, p.peek().is) {
		t := p.next()
		e = p.binary(t.at, t.text, e, next())
	}
	return e
}

func (p *parser) bitwise() *expr { return p.operators(p.shift, "&", "|") }
func (p *parser) shift() *expr   { return p.operators(p.sum, "<<", ">>") }
func (p *parser) sum() *expr     { return p.operators(p.product, "+", "-") }
func (p *parser) product() *expr { return p.operators(p.unary, "*", "/", "||") }

func (p *parser) unary() *expr {
	defer p.deeper()()
	t := p.peek()
	if p.accept("-") || p.accept("~") {
		return &expr{op: "unary", text: t.text, args: []*expr{p.unary()}, at: t.at}
	}
	if p.accept("+") {
		return p.unary()
	}
	e := p.primary()
	for {
		t := p.peek()
		switch {
		case p.accept("["):
			e = p.element(e, t.at)
		case t.is(".") && p.ahead(1).is("*") && e.op == "path":
			p.next()
			p.next()
			return &expr{op: "star", path: e.path, at: e.at}
		case p.accept("."):
			f := p.next()
			if f.kind != tokenWord && f.kind != tokenQuoted {
				p.fail("Syntax error: expected a field name after \".\"")
			}
			if e.op == "path" {
				e.path = append(e.path, f.text)
			} else {
				e = &expr{op: "field", text: f.text, args: []*expr{e}, at: t.at}
			}
		default:
			return e
		}
	}
}

// element is array[OFFSET(i)] and its like.
func (p *parser) element(array *expr, at int) *expr {
	out := &expr{op: "element", text: "OFFSET", args: []*expr{array}, at: at}
	if t := p.peek(); p.ahead(1).is("(") &&
		slices.ContainsFunc([]string{"OFFSET", "ORDINAL", "SAFE_OFFSET", "SAFE_ORDINAL"}, t.is) {
		out.text = strings.ToUpper(p.next().text)
		p.expect("(")
		out.args = append(out.args, p.expr())
		p.expect(")")
	} else {
		out.args = append(out.args, p.expr())
	}
	p.expect("]")
	return out
}

func (p *parser) primary() *expr {
	t := p.next()
	leaf := &expr{text: t.text, at: t.at}
	switch t.kind {
	case tokenString:
		leaf.op = "string"
		return leaf
	case tokenBytes:
		leaf.op = "bytes"
		return leaf
	case tokenNumber:
		leaf.op = "number"
		return leaf
	case tokenParam:
		leaf.op = "param"
		if t.text == "" {
			p.params++
			leaf.text = "?" + strconv.Itoa(p.params)
		}
		return leaf
	case tokenQuoted:
		return p.pathOrCall(leaf)
	}
	switch {
	case t.is("("):
		if p.peek().is("SELECT") || p.peek().is("WITH") {
			leaf.op, leaf.sub = "subquery", p.query()
		} else {
			leaf = p.expr()
			if p.peek().is(",") {
				p.fail("The sandbox does not support tuples")
			}
		}
		p.expect(")")
		return leaf
	case t.is("["):
		leaf.op, leaf.args = "array", p.list("]")
		p.expect("]")
		return leaf
	case t.is("NULL"), t.is("TRUE"), t.is("FALSE"):
		leaf.op = "word"
		leaf.text = strings.ToUpper(t.text)
		return leaf
	case t.kind == tokenEnd:
		p.fail("Syntax error: the query ends too early")
	case t.kind != tokenWord:
		p.i--
		p.fail("Syntax error: unexpected %q", t.text)
	}
	return p.word(t, leaf)
}

func (p *parser) word(t token, leaf *expr) *expr {
	switch strings.ToUpper(t.text) {
	case "CASE":
		return p.caseOf(leaf)
	case "CAST", "SAFE_CAST":
		p.expect("(")
		leaf.op, leaf.distinct, leaf.args = "cast", t.is("SAFE_CAST"), []*expr{p.expr()}
		p.expect("AS")
		leaf.text = p.next().text
		p.expect(")")
		return leaf
	case "EXTRACT":
		p.expect("(")
		leaf.op, leaf.text = "extract", strings.ToUpper(p.next().text)
		p.expect("FROM")
		leaf.args = []*expr{p.expr()}
		if p.accept("AT", "TIME", "ZONE") {
			leaf.args = append(leaf.args, p.expr())
		}
		p.expect(")")
		return leaf
	case "EXISTS":
		p.expect("(")
		leaf.op, leaf.sub = "exists", p.query()
		p.expect(")")
		return leaf
	case "INTERVAL":
		leaf.op, leaf.args = "interval", []*expr{p.unary()}
		leaf.text = strings.ToUpper(p.next().text)
		return leaf
	case "TIMESTAMP", "DATE", "DATETIME", "TIME", "NUMERIC", "BIGNUMERIC", "JSON":
		if p.peek().kind == tokenString {
			leaf.op, leaf.text = "literal", strings.ToUpper(t.text)
			leaf.path = []string{p.next().text}
			return leaf
		}
	case "ARRAY", "STRUCT", "RANGE":
		if isReserved(t) || p.peek().is("<") {
			p.i--
			p.fail("The sandbox does not support %s here", strings.ToUpper(t.text))
		}
	}
	if isReserved(t) && !p.peek().is("(") && !t.is("OFFSET") {
		p.i--
		p.fail("Syntax error: unexpected keyword %s", strings.ToUpper(t.text))
	}
	return p.pathOrCall(leaf)
}

func (p *parser) caseOf(e *expr) *expr {
	e.op = "case"
	if !p.peek().is("WHEN") {
		e.text = "of"
		e.args = append(e.args, p.expr())
	} else {
		e.text = ""
	}
	for p.accept("WHEN") {
		e.args = append(e.args, p.expr())
		p.expect("THEN")
		e.args = append(e.args, p.expr())
	}
	if p.accept("ELSE") {
		e.distinct = true // the last argument is the ELSE
		e.args = append(e.args, p.expr())
	}
	p.expect("END")
	return e
}

func (p *parser) pathOrCall(leaf *expr) *expr {
	name := leaf.text
	if strings.EqualFold(name, "SAFE") && p.peek().is(".") && p.ahead(2).is("(") {
		p.fail("The sandbox does not support the SAFE. prefix")
	}
	if !p.accept("(") {
		leaf.op, leaf.path = "path", []string{name}
		return leaf
	}
	leaf.op, leaf.text = "call", strings.ToUpper(name)
	if p.accept("*") {
		leaf.path = []string{"*"}
	} else {
		leaf.distinct = p.accept("DISTINCT")
		leaf.args = p.list(")")
	}
	if p.peek().is("IGNORE") || p.peek().is("RESPECT") {
		p.fail("The sandbox does not support %s NULLS", strings.ToUpper(p.peek().text))
	}
	if p.accept("ORDER", "BY") {
		leaf.order = p.orderItems()
	}
	p.expect(")")
	if p.accept("OVER") {
		leaf.over = p.window()
	}
	return leaf
}

func (p *parser) window() *window {
	w := &window{}
	p.expect("(")
	if p.accept("PARTITION", "BY") {
		w.partition = p.exprs()
	}
	if p.accept("ORDER", "BY") {
		w.order = p.orderItems()
	}
	if t := p.peek(); !t.is(")") {
		p.fail("The sandbox does not support window frames (%s)", strings.ToUpper(t.text))
	}
	p.expect(")")
	return w
}

// plain refuses what can stand behind a source, before its alias or after it.
func (p *parser) plain() {
	if t := p.peek(); t.is("TABLESAMPLE") || t.is("FOR") || (t.is("PIVOT") || t.is("UNPIVOT")) && p.ahead(1).is("(") {
		p.fail("The sandbox does not support %s", strings.ToUpper(t.text))
	}
}

// tablePath reads a table's name: parts may stand in one pair of backticks, and a project may have dashes without any.
func (p *parser) tablePath() []string {
	var out []string
	for {
		var part strings.Builder
		part.WriteString(p.name())
		for p.peek().is("-") && p.ahead(1).at == p.peek().at+1 && p.ahead(1).kind != tokenEnd {
			p.next()
			part.WriteString("-" + p.next().text)
		}
		out = append(out, strings.Split(part.String(), ".")...)
		if !p.accept(".") {
			return out
		}
	}
}
