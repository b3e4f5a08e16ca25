package e2e

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// verb is a verb of a format.
var verb = regexp.MustCompile(`%[+#0-9.]*[a-zA-Z]`)

// refusals are the formats that refuse a lane, by file, and all the texts that the same packages have: a refusal may be
// put together elsewhere. Verbs are `…`.
func refusals(t *testing.T) (formats map[string]string, texts []string) {
	t.Helper()
	formats = map[string]string{}
	for _, dir := range []string{
		"../services/ingest/internal/lane", "../services/ingest/internal/source", "../services/writer/internal/lane",
	} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok {
					if text := literal(e); text != "" {
						texts = append(texts, verb.ReplaceAllString(text, "…"))
					}
				}
				if text, ok := refuses(n); ok {
					formats[verb.ReplaceAllString(text, "…")] = path
				}
				return true
			})
		}
	}
	return formats, texts
}

// refuses says with which format a call refuses a lane.
func refuses(n ast.Node) (format string, ok bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return "", false
	}
	name := ""
	switch f := call.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	if name != "fatal" && name != "fatalf" && name != "sinkFault" {
		return "", false
	}
	first := call.Args[0]
	if made, ok := first.(*ast.CallExpr); ok && len(made.Args) > 0 { // fmt.Sprintf
		first = made.Args[0]
	}
	if sum, ok := first.(*ast.BinaryExpr); ok && literal(sum) == "" { // text and a name
		first = sum.X
	}
	format = literal(first)
	return format, strings.Trim(verb.ReplaceAllString(format, ""), "() ") != "" // else the text is from elsewhere
}

// Each refusal of a lane has a heading in docs/messages.md that it begins with, which says what comes next; and each
// heading is how a refusal begins.
func TestRefusalsHaveAnAnchor(t *testing.T) {
	t.Parallel()
	formats, texts := refusals(t)
	if len(formats) < 20 {
		t.Fatalf("lanes are refused with %d texts", len(formats))
	}
	var begins []string
	for heading, said := range headings(t) {
		begin, ok := strings.CutPrefix(heading, "Refusal `")
		if !ok {
			continue
		}
		begin = strings.TrimSuffix(strings.TrimSuffix(begin, "`"), "…")
		begins = append(begins, begin)
		if !strings.Contains(said, "Next: ") {
			t.Errorf("docs/messages.md, %s: it says no `Next: `", heading)
		}
		used := false
		for _, text := range texts {
			used = used || strings.HasPrefix(text, begin)
		}
		if !used {
			t.Errorf("docs/messages.md has a heading %s, and no refusal begins so", heading)
		}
	}
	for format, path := range formats {
		has := false
		for _, begin := range begins {
			has = has || strings.HasPrefix(format, begin)
		}
		if !has {
			t.Errorf("%s refuses a lane, and docs/messages.md has no heading that begins as %q", path, format)
		}
	}
}
