package review

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// declared are the tests of the repository, by name, and the targets of the Makefile.
func declared(t *testing.T) (tests, targets map[string]bool) {
	t.Helper()
	tests, targets = map[string]bool{}, map[string]bool{}
	for _, folder := range []string{"pkg", "proto", "sandbox", "services", "e2e", "tools"} {
		root := filepath.Join("..", "..", folder)
		err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(`).FindAllSubmatch(text, -1) {
				tests[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z-]*):`).FindAllStringSubmatch(page(t, "Makefile"), -1) {
		targets[m[1]] = true
	}
	return tests, targets
}

// Every test, make target and file that docs/security.md names is there, and each line of its review names one.
func TestReviewNamesWhatThereIs(t *testing.T) {
	tests, targets := declared(t)
	text := page(t, "docs/security.md")
	quoted := regexp.MustCompile("`([^`]+)`")
	// exists says whether the words in backquotes name something that shows what is said.
	exists := func(words string) (evidence, there bool) {
		name, _, _ := strings.Cut(words, "/")
		switch {
		case strings.HasPrefix(words, "Test") && !strings.Contains(words, " "):
			return true, tests[name]
		case strings.HasPrefix(words, "make "):
			return true, targets[strings.Fields(words)[1]]
		case regexp.MustCompile(`^(deploy|docs|tools|pkg|services|e2e)/[\w./-]+$`).MatchString(words):
			_, err := os.Stat(filepath.Join("..", "..", filepath.FromSlash(words)))
			return true, err == nil
		}
		return false, false
	}
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		if evidence, there := exists(m[1]); evidence && !there {
			t.Errorf("docs/security.md names %s, which is not there", m[1])
		}
	}
	_, review, found := strings.Cut(text, "\n## A platform team's review\n")
	if !found {
		t.Fatal("docs/security.md has no review")
	}
	lines := 0
	for line := range strings.Lines(strings.ReplaceAll(review, "\n  ", " ")) {
		what, by, names := strings.Cut(line, "; shown by: ")
		if !strings.HasPrefix(line, "- **") && !names {
			continue
		}
		lines++
		shown := 0
		for _, m := range quoted.FindAllStringSubmatch(by, -1) {
			if evidence, there := exists(m[1]); evidence && there {
				shown++
			}
		}
		if shown == 0 {
			t.Errorf("nothing shows %q", what)
		}
	}
	if lines < 50 {
		t.Errorf("the review has %d lines", lines)
	}
}

// Settings that the review names for pods are in the chart.
func TestReviewNamesSettingsOfTheChart(t *testing.T) {
	const templates = "deploy/helm/waybill/templates/"
	chart := page(t, templates+"_helpers.tpl") + page(t, templates+"deployment.yaml")
	for _, setting := range []string{
		"allowPrivilegeEscalation: false", "drop: [ALL]", "RuntimeDefault", "runAsNonRoot: true",
		"automountServiceAccountToken: false",
	} {
		if !strings.Contains(page(t, "docs/security.md"), "`"+setting+"`") {
			t.Errorf("docs/security.md does not name %s", setting)
		}
		if !strings.Contains(chart, setting) {
			t.Errorf("the chart has no %s", setting)
		}
	}
}

// The scripts of tools parse, and every script that the Makefile calls is there.
func TestScriptsParse(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell")
	}
	for _, m := range regexp.MustCompile(`tools/[a-z-]+\.sh`).FindAllString(page(t, "Makefile"), -1) {
		out, err := exec.CommandContext(t.Context(), shell, "-n", filepath.Join("..", "..", m)).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", m, err, out)
		}
	}
}
