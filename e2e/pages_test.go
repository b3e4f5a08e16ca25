package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every command of the programs that a page shows is one that they have, with flags that it has.
func TestCommandsOfPages(t *testing.T) {
	if raced {
		t.Skip("a hundred programs that start with the race detector take most of a minute: make test-memory runs this")
	}
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```")
	inline := regexp.MustCompile("`([^`\n]+(?:\n[^`\n]+)?)`")
	command := regexp.MustCompile(`(?:^|[|;&] |^\$ |-- /bin/|^bin/)(ingest|writer|sandbox)((?: +[^ |;&#>]+)*)`)
	helps := map[string]string{}
	shown := 0
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, m := range blocks.FindAllStringSubmatch(string(text), -1) {
			lines = append(lines, strings.Split(strings.ReplaceAll(m[1], "\\\n", " "), "\n")...)
		}
		for _, m := range inline.FindAllStringSubmatch(blocks.ReplaceAllString(string(text), ""), -1) {
			lines = append(lines, strings.Join(strings.Fields(m[1]), " "))
		}
		for _, line := range lines {
			for _, m := range command.FindAllStringSubmatch(strings.TrimSpace(line), -1) {
				path, flags := words(m[2])
				if len(path) == 0 && len(flags) == 0 {
					continue // the name of the program
				}
				key := m[1] + " " + strings.Join(path, " ")
				help, ok := helps[key]
				if !ok {
					out, err := exec.CommandContext(t.Context(), filepath.Join(bin, m[1]),
						append(path, "--help")...).CombinedOutput()
					if err != nil {
						t.Errorf("%s: %q: %v\n%s", page, line, err, out)
					}
					help = string(out)
					helps[key] = help
				}
				shown++
				for _, flag := range flags {
					of := regexp.MustCompile(`(?m)(^|[ ,])` + regexp.QuoteMeta(flag) + `\b|--\[no-\]` +
						regexp.QuoteMeta(strings.TrimPrefix(strings.TrimPrefix(flag, "--no-"), "--")) + `\b`)
					if !of.MatchString(help) {
						t.Errorf("%s: %q: there is no %s", page, line, flag)
					}
				}
			}
		}
	}
	if shown < 50 {
		t.Errorf("the pages show %d commands: this looks in the wrong place", shown)
	}
}

// words are the subcommands that a line begins with, and the flags that it has.
func words(line string) (path, flags []string) {
	plain := regexp.MustCompile(`^[a-z][a-z-]*$`)
	begins := true
	for word := range strings.FieldsSeq(line) {
		switch {
		case strings.HasPrefix(word, "-") && len(strings.Trim(word, "-.…")) > 0:
			begins = false
			name, _, _ := strings.Cut(word, "=")
			flags = append(flags, strings.TrimRight(name, ",.…"))
		case begins && plain.MatchString(word):
			path = append(path, word)
		default:
			begins = false
		}
	}
	return path, flags
}
