package query

import "strings"

// Policy is a statement about row access policies: CREATE ROW ACCESS POLICY, DROP ROW ACCESS POLICY, or DROP ALL ROW
// ACCESS POLICIES.
type Policy struct {
	// Name is the policy's; empty for all of a table's. Table is the table's path, one part or several with dots.
	Name, Table string
	// Drop is DROP; IfThere is its IF EXISTS.
	Drop, IfThere bool
	// Replace is CREATE OR REPLACE; IfMissing is IF NOT EXISTS.
	Replace, IfMissing bool
	Grantees           []string
	// Filter is the condition, without the brackets around it.
	Filter string
}

// ParsePolicy reads a statement about row access policies; it is nil for any other statement.
func ParsePolicy(sql string) (policy *Policy, err error) {
	tokens, err := lex(sql)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	defer p.refused(&err)
	out := &Policy{}
	switch {
	case p.accept("DROP", "ALL", "ROW", "ACCESS", "POLICIES"):
		out.Drop = true
	case p.accept("DROP", "ROW", "ACCESS", "POLICY"):
		out.Drop = true
		out.IfThere = p.accept("IF", "EXISTS")
		out.Name = p.name()
	case p.accept("CREATE", "ROW", "ACCESS", "POLICY"), p.accept("CREATE", "OR", "REPLACE", "ROW", "ACCESS", "POLICY"):
		out.Replace = tokens[1].is("OR")
		out.IfMissing = p.accept("IF", "NOT", "EXISTS")
		out.Name = p.name()
	default:
		return nil, nil
	}
	p.expect("ON")
	out.Table = strings.Join(p.tablePath(), ".")
	if !out.Drop {
		p.granted(sql, out)
	}
	p.end()
	return out, nil
}

// granted reads GRANT TO and FILTER USING.
func (p *parser) granted(sql string, out *Policy) {
	if p.accept("GRANT", "TO", "(") {
		for more := true; more; more = p.accept(",") {
			if p.peek().kind != tokenString {
				p.fail("Syntax error: a grantee is a string, not %q", p.peek().text)
			}
			out.Grantees = append(out.Grantees, p.next().text)
		}
		p.expect(")")
	}
	p.expect("FILTER")
	p.expect("USING")
	p.expect("(")
	from := p.peek().at
	for depth := 1; depth > 0; {
		switch t := p.next(); {
		case t.kind == tokenEnd:
			p.fail("Syntax error: the filter has no end")
		case t.is("("):
			depth++
		case t.is(")"):
			if depth--; depth == 0 {
				out.Filter = strings.TrimSpace(sql[from:t.at])
			}
		}
	}
}
