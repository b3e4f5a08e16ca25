package e2e

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// part is a word in a name: FetchResponse has two.
var part = regexp.MustCompile(`[A-Z]?[a-z]+|[A-Z]+`)

// No name in the code, of tests too, is a word of our own where the field has one: what comes back is a response, what
// is wanted is requested, what is noticed is reported, and what has no result is in doubt.
func TestDesignNamesAreTheFieldsWords(t *testing.T) {
	ours := regexp.MustCompile(`^(?i:answer(s|ed|ing)?|asked|asking|told|heard|caught|lent|stretch(es)?|portions?|misfits?|` +
		`greet(s|ed|ing)?|adrift)$`)
	theirs := map[string]bool{
		"StartAnswers": true,                   // golang.org/x/net/dns/dnsmessage
		"CaughtUp":     true, "caughtUp": true, // a consumer has caught up when it lags behind nothing
	}
	names := 0
	all := func(string) bool { return true }
	for path, file := range parsed(t, "..", all, "pkg", "sandbox", "services", "e2e", "tools") {
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

// pages are those of docs, and the README.
func pages(t *testing.T) []string {
	t.Helper()
	found := []string{filepath.Join("..", "README.md")}
	for _, folder := range []string{"docs", filepath.Join("docs", "adr")} {
		names, err := filepath.Glob(filepath.Join("..", folder, "*.md"))
		if err != nil || len(names) < 20 {
			t.Fatalf("%d pages in %s, %v: this test looks in the wrong place", len(names), folder, err)
		}
		found = append(found, names...)
	}
	return found
}

// The pages fit a terminal: no line of prose, and no row of a table, is wider than 120 columns.
func TestDesignPagesFitATerminal(t *testing.T) {
	for _, name := range pages(t) {
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

// Every test that a page names is there.
func TestDesignPagesNameTestsThatThereAre(t *testing.T) {
	there := map[string]bool{}
	isTest := func(path string) bool { return strings.HasSuffix(path, "_test.go") }
	for _, file := range parsed(t, "..", isTest, "pkg", "sandbox", "services", "e2e", "tools") {
		for _, name := range functions(file) {
			there[name] = true
		}
	}
	named := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*)")
	found := 0
	for _, name := range pages(t) {
		page, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(page), -1) {
			if found++; !there[m[1]] {
				t.Errorf("%s names %s: there is no such test", name, m[1])
			}
		}
	}
	if found < 200 {
		t.Errorf("the pages name %d tests: this test looks in the wrong place", found)
	}
}
