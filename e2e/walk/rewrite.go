package walk

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// Mutant is one condition made wrong in one way.
type Mutant struct {
	// ID is its number in the package; the process variable names it.
	ID int
	// File is the base name, Line is where the condition stands, Func is the function around it.
	File string
	Line int
	Func string
	// Condition is the text of the condition, in one line, and Change is what it became: true, false, or the operator
	// at the moved boundary.
	Condition, Change string
	// Nth tells equal conditions of a function apart; the first is 1.
	Nth int
}

// Key names the mutant whatever line it moves to.
func (m Mutant) Key() string {
	nth := ""
	if m.Nth > 1 {
		nth = fmt.Sprintf(" (%d)", m.Nth)
	}
	return m.File + " " + m.Func + " " + m.Condition + nth + " => " + m.Change
}

// edit inserts text before the byte at offset. Edits of one offset keep their order.
type edit struct {
	offset int
	text   string
}

// rewriter wraps the conditions of one file.
type rewriter struct {
	name    string
	source  []byte
	files   *token.FileSet
	next    int
	mutants []Mutant
	edits   []edit
	wrapped map[ast.Expr]bool
	scope   string
	// seen counts the conditions of the scope by their text.
	seen map[string]int
}

// rewrite returns the source with each condition wrapped, and the mutants that this makes, numbered from next.
func rewrite(name string, source []byte, next int) ([]byte, []Mutant, error) {
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, nil, fmt.Errorf("parse %s: %w", name, err)
	}
	r := &rewriter{name: name, source: source, files: files, next: next, wrapped: map[ast.Expr]bool{}}
	for _, d := range tree.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue // conditions of constants and package variables are no decisions of the running lane
		}
		r.scope, r.seen = scopeOf(f), map[string]int{}
		ast.Inspect(f.Body, r.visit)
	}
	return r.apply(), r.mutants, nil
}

// scopeOf is the function's name with that of its receiver's type.
func scopeOf(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	if name, ok := t.(*ast.Ident); ok {
		return name.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

func (r *rewriter) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GenDecl:
		return n.Tok != token.CONST
	case *ast.IfStmt:
		if isProtection(n.Cond) { // the compiler drops what is behind it
			if n.Else != nil {
				ast.Inspect(n.Else, r.visit)
			}
			return false
		}
		r.condition(n.Cond)
	case *ast.ForStmt:
		if n.Cond != nil {
			r.condition(n.Cond)
		}
	case *ast.SwitchStmt:
		if n.Tag != nil {
			break
		}
		for _, c := range n.Body.List {
			for _, e := range c.(*ast.CaseClause).List {
				r.condition(e)
			}
		}
	case *ast.BinaryExpr:
		if isLogical(n.Op) || isComparison(n.Op) {
			r.condition(n)
		}
	}
	return true
}

// condition wraps the operands of a boolean expression.
func (r *rewriter) condition(e ast.Expr) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		r.condition(e.X)
		return
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			r.condition(e.X)
			return
		}
	case *ast.BinaryExpr:
		if isLogical(e.Op) {
			r.condition(e.X)
			r.condition(e.Y)
			return
		}
	}
	if r.wrapped[e] || r.exempt(e) {
		return
	}
	r.wrapped[e] = true
	r.wrap(e)
}

// exempt says that an expression is no condition of the code as it is released: the protections that the seven mutants
// remove are constants there, and so are true and false.
func (r *rewriter) exempt(e ast.Expr) bool {
	if e, ok := e.(*ast.Ident); ok {
		return e.Name == "true" || e.Name == "false"
	}
	return isProtection(e)
}

// isProtection says that an expression is one of the constants of package mutant.
func isProtection(e ast.Expr) bool {
	selector, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := selector.X.(*ast.Ident)
	return ok && x.Name == "mutant"
}

func (r *rewriter) wrap(e ast.Expr) {
	start, end := r.files.Position(e.Pos()), r.files.Position(e.End())
	text := strings.Join(strings.Fields(string(r.source[start.Offset:end.Offset])), " ")
	id := r.next
	r.seen[text]++
	add := func(change string) {
		r.mutants = append(r.mutants, Mutant{
			ID: r.next, File: r.name, Line: start.Line, Func: r.scope, Condition: text, Change: change,
			Nth: r.seen[text],
		})
		r.next++
	}
	add("true")
	add("false")
	other := "false"
	if b, ok := e.(*ast.BinaryExpr); ok {
		if moved := boundary(b.Op); moved != token.ILLEGAL && pure(b.X) && pure(b.Y) {
			x := r.source[start.Offset:r.files.Position(b.X.End()).Offset]
			y := r.source[r.files.Position(b.Y.Pos()).Offset:end.Offset]
			add(moved.String())
			// Written in one line, so that lines stay what they are.
			other = strings.Join(strings.Fields(fmt.Sprintf("(%s) %s (%s)", x, moved, y)), " ")
		}
	}
	r.edits = append(r.edits,
		edit{start.Offset, fmt.Sprintf("walkAt(%d, %d, ", id, r.next-id)},
		edit{end.Offset, fmt.Sprintf(", %s)", other)})
}

// boundary is the ordering that differs where both sides are equal.
func boundary(op token.Token) token.Token {
	switch op {
	case token.LSS:
		return token.LEQ
	case token.LEQ:
		return token.LSS
	case token.GTR:
		return token.GEQ
	case token.GEQ:
		return token.GTR
	default:
		return token.ILLEGAL
	}
}

// pure says that an expression may be evaluated twice: it calls nothing but len and cap, converts, and receives
// nothing.
func pure(e ast.Expr) bool {
	safe := true
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			name, ok := n.Fun.(*ast.Ident)
			safe = safe && ok && slices.Contains([]string{
				"len", "cap", "int", "int32", "int64", "uint64", "min",
				"max",
			}, name.Name)
		case *ast.UnaryExpr:
			safe = safe && n.Op != token.ARROW
		case *ast.FuncLit:
			safe = false
		}
		return safe
	})
	return safe
}

func isLogical(op token.Token) bool { return op == token.LAND || op == token.LOR }

func isComparison(op token.Token) bool {
	return op == token.EQL || op == token.NEQ || boundary(op) != token.ILLEGAL
}

// apply inserts the edits. Where a wrapper ends and another begins at one byte, the closing one is first.
func (r *rewriter) apply() []byte {
	slices.SortStableFunc(r.edits, func(a, b edit) int { return a.offset - b.offset })
	var out []byte
	at := 0
	for _, e := range r.edits {
		out = append(out, r.source[at:e.offset]...)
		out = append(out, e.text...)
		at = e.offset
	}
	return append(out, r.source[at:]...)
}
