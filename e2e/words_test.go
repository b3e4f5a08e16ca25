package e2e

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// part is a word in a name: FetchResponse has two.
var part = regexp.MustCompile(`[A-Z]?[a-z]+|[A-Z]+`)

// No name in the code, of tests too, is a word of our own where the field has one: what comes back is a response, what is
// wanted is requested, what is noticed is reported, what is given back is released, and what has no result is in doubt.
func TestDesignNamesAreTheFieldsWords(t *testing.T) {
	ours := regexp.MustCompile(`^(?i:answer(s|ed|ing)?|asked|asking|told|heard|caught|lent|stretch(es)?|portions?|misfits?|` +
		`greet(s|ed|ing)?|adrift)$`)
	theirs := map[string]bool{
		"StartAnswers": true,                   // golang.org/x/net/dns/dnsmessage
		"CaughtUp":     true, "caughtUp": true, // a consumer has caught up when it lags behind nothing
	}
	names := 0
	for path, file := range parsed(t, "..", func(string) bool { return true }, "pkg", "sandbox", "services", "e2e", "tools") {
		if strings.HasSuffix(path, ".pb.go") {
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok || theirs[id.Name] {
				return true
			}
			names++
			for _, word := range part.FindAllString(id.Name, -1) {
				if ours.MatchString(word) {
					t.Errorf("%s: %s: use the field's word in place of %q", path, id.Name, word)
				}
			}
			return true
		})
	}
	if names < 100_000 {
		t.Errorf("%d names below %s: this test looks in the wrong place", names, filepath.Join("..", "services"))
	}
}

// The pages fit a terminal: no line of prose, and no row of a table, is wider than 120 columns.
func TestDesignPagesFitATerminal(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join("..", "docs", "*.md"))
	if err != nil || len(pages) < 20 {
		t.Fatalf("%d pages, %v: this test looks in the wrong place", len(pages), err)
	}
	records, err := filepath.Glob(filepath.Join("..", "docs", "adr", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Concat(pages, records, []string{filepath.Join("..", "README.md")}) {
		page, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code, number := false, 0
		for line := range strings.Lines(string(page)) {
			number++
			line = strings.TrimRight(line, "\n")
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				code = !code
			}
			// Headings are one line by definition; in code a line is what is typed.
			if !code && !strings.HasPrefix(line, "#") && utf8.RuneCountInString(line) > 120 {
				t.Errorf("%s:%d: %d columns: %s", name, number, utf8.RuneCountInString(line), line)
			}
		}
	}
}
