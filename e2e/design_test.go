package e2e

import (
	"go/ast"
	"go/parser"
	source "go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// section is what stands below a heading of docs/design.md, up to the next one of its level or above.
func section(t *testing.T, heading string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "docs", "design.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "\n"+heading+"\n")
	if !found {
		t.Fatalf("docs/design.md has no heading %q", heading)
	}
	level := len(heading) - len(strings.TrimLeft(heading, "#"))
	if end := regexp.MustCompile(`(?m)^#{1,` + string(rune('0'+level)) + `} `).FindStringIndex(text); end != nil {
		text = text[:end[0]]
	}
	return text
}

// quoted finds what stands in backquotes.
var quoted = regexp.MustCompile("`([^`]+)`")

// The file map names every folder that has Go files, and none that is not there.
func TestDesignMapIsComplete(t *testing.T) {
	named := map[string]bool{}
	for line := range strings.Lines(section(t, "## Where to look")) {
		if !strings.HasPrefix(line, "| `") || strings.Contains(line, ".go`") {
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
			named[m[1]] = true
			if info, err := os.Stat(filepath.Join("..", m[1])); err != nil || !info.IsDir() {
				t.Errorf("the map names %s: there is no such folder", m[1])
			}
		}
	}
	folders := map[string]bool{}
	for path := range goFiles(t, "..", "pkg", "proto", "sandbox", "services", "e2e") {
		folders[filepath.ToSlash(filepath.Dir(path))] = true
	}
	for folder := range folders {
		if !named[folder] {
			t.Errorf("the map does not name %s", folder)
		}
	}
	if len(folders) < 50 {
		t.Errorf("%d folders: this test looks in the wrong place", len(folders))
	}
}

// goFiles are the files of Go below some folders of root, tests left out, by their paths from root.
func goFiles(t *testing.T, root string, folders ...string) map[string]*ast.File {
	t.Helper()
	return parsed(t, root, func(path string) bool { return !strings.HasSuffix(path, "_test.go") }, folders...)
}

// parsed are the files of Go below some folders of root that are taken, by their paths from root.
func parsed(t *testing.T, root string, takes func(path string) bool, folders ...string) map[string]*ast.File {
	t.Helper()
	found := map[string]*ast.File{}
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || !takes(path) {
				return err
			}
			file, err := parser.ParseFile(source.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			at, err := filepath.Rel(root, path)
			found[filepath.ToSlash(at)] = file
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// functions are those that a file declares, as function or type.method, those of its interfaces included.
func functions(file *ast.File) (names []string) {
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				name = receiver(d.Recv.List[0].Type) + "." + name
			}
			names = append(names, name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				of, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				if methods, ok := of.Type.(*ast.InterfaceType); ok {
					for _, method := range methods.Methods.List {
						for _, name := range method.Names {
							names = append(names, of.Name.Name+"."+name.Name)
						}
					}
				}
			}
		}
	}
	return names
}

func receiver(of ast.Expr) string {
	switch e := of.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// The map of ingest's own files names each of them once.
func TestDesignNamesTheFilesOfIngest(t *testing.T) {
	named := map[string]int{}
	for line := range strings.Lines(section(t, "## Where to look")) {
		if !strings.HasPrefix(line, "| `") || !strings.Contains(line, ".go`") {
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
			found, err := filepath.Glob(filepath.Join("..", "services", "ingest", m[1]))
			if err != nil || len(found) == 0 {
				t.Errorf("the map names %s: ingest has no such file (%v)", m[1], err)
			}
			for _, path := range found {
				if !strings.HasSuffix(path, "_test.go") {
					named[filepath.Base(path)]++
				}
			}
		}
	}
	for path := range goFiles(t, filepath.Join("..", "services"), "ingest") {
		if name := filepath.Base(path); filepath.ToSlash(filepath.Dir(path)) == "ingest" && named[name] != 1 {
			t.Errorf("the map names services/ingest/%s %d times", name, named[name])
		}
	}
}

// Every function and file that the ways of docs/design.md name is there, and no way is longer than it may be.
func TestDesignWaysNameWhatThereIs(t *testing.T) {
	declared, everywhere := map[string][]string{}, []string{}
	for path, file := range goFiles(t, filepath.Join("..", "services"), "ingest", "writer") {
		declared[path] = functions(file)
		everywhere = append(everywhere, declared[path]...)
	}
	hop := regexp.MustCompile("^\\| (\\d+) \\| `([^`]+)` \\| `([^`]+)` \\| .+ \\|$")
	for way, most := range map[string]int{
		"### The way of a record": 20, "### The way of a settlement": 8,
		"### The way of a dead letter": 9, "### The way of a schema": 9,
		"### The way of a lane to another writer": 9, "### The ways of acts": 16,
	} {
		hops := 0
		for line := range strings.Lines(section(t, way)) {
			m := hop.FindStringSubmatch(strings.TrimSpace(line))
			if m == nil {
				continue
			}
			hops++
			switch names, ok := declared[m[3]]; {
			case !ok:
				t.Errorf("%s, hop %s: there is no services/%s", way, m[1], m[3])
			case !slices.Contains(names, m[2]):
				t.Errorf("%s, hop %s: services/%s has no %s", way, m[1], m[3], m[2])
			}
		}
		if hops < 5 || hops > most {
			t.Errorf("%s has %d hops, want 5 to %d", way, hops, most)
		}
	}
	method := regexp.MustCompile(`^[A-Za-z]+\.[A-Za-z]+$`)
	for _, m := range quoted.FindAllStringSubmatch(section(t, "## The ways, function by function"), -1) {
		if method.MatchString(m[1]) && !slices.Contains(everywhere, m[1]) {
			t.Errorf("the ways name %s, which no file of the services has", m[1])
		}
	}
}
