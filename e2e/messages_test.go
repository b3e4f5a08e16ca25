package e2e

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// headings are the lines of docs/messages.md that have an anchor, each with what is said below it.
func headings(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../docs/messages.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	parts := strings.Split("\n"+string(text), "\n### ")
	for _, part := range parts[1:] {
		heading, said, _ := strings.Cut(part, "\n")
		said, _, _ = strings.Cut(said, "\n## ")
		if _, twice := found[heading]; twice {
			t.Errorf("docs/messages.md has two headings %q: one of them has no anchor of its own", heading)
		}
		found[heading] = strings.Join(strings.Fields(said), " ")
	}
	return found
}

// logged are the messages that the services log at level warn and error.
func logged(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, root := range []string{"../services", "../pkg"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) == 0 {
					return true
				}
				method, ok := call.Fun.(*ast.SelectorExpr)
				if ok && (method.Sel.Name == "Warn" || method.Sel.Name == "Error") {
					if text := literal(call.Args[0]); text != "" {
						found[text] = path
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// literal is a constant text, also one in several parts.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == gotoken.STRING {
			return text
		}
	case *ast.BinaryExpr:
		if left, right := literal(e.X), literal(e.Y); e.Op == gotoken.ADD && left != "" && right != "" {
			return left + right
		}
	}
	return ""
}

// names are what a pattern finds in a file.
func names(t *testing.T, path, pattern string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
		found[match[1]] = true
	}
	if len(found) < 3 {
		t.Fatalf("%s: %d names by %s", path, len(found), pattern)
	}
	return found
}

// Each cause, reason, alert and message of the log at level warn and error has a heading in docs/messages.md that says
// what comes next, and nothing else has one.
func TestMessagesHaveAnAnchor(t *testing.T) {
	t.Parallel()
	wanted := map[string]string{}
	for text, path := range logged(t) {
		wanted["`"+text+"`"] = path
	}
	if len(wanted) < 40 {
		t.Fatalf("%d messages are logged", len(wanted))
	}
	for cause := range names(t, "../services/ingest/internal/causes/cause.go", `"([a-z]+)"[,}]?`) {
		if cause != "unknown" {
			wanted["Cause `"+cause+"`"] = "causes"
		}
	}
	for reason := range names(t, "../services/ingest/internal/lane/builder.go", `reason\w+ += "([a-z_]+)"`) {
		wanted["Reason `"+reason+"`"] = "the lane"
	}
	for alert := range names(t, "../deploy/prometheus/rules.yaml", `alert: (\w+)`) {
		wanted[alert] = "deploy/prometheus/rules.yaml"
	}
	found := headings(t)
	for heading, where := range wanted {
		said, ok := found[heading]
		switch {
		case !ok:
			t.Errorf("%s says it, and docs/messages.md has no heading `### %s` with what it means and what comes next",
				where, heading)
		case !strings.Contains(said, "Next: ") && !strings.Contains(said, "Look at: "):
			t.Errorf("docs/messages.md, %s: it says no `Next: `", heading)
		}
	}
	for heading := range found {
		if _, ok := wanted[heading]; !ok && !strings.HasPrefix(heading, "Refusal ") {
			t.Errorf("docs/messages.md has a heading %s, and nobody says so", heading)
		}
	}
}
