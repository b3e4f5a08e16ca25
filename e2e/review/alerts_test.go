package review

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// page is the text of a file, from the root.
func page(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Each alert has a runbook of its own, which is there and says something, and no runbook is of an alert that is gone.
func TestEachAlertHasItsRunbook(t *testing.T) {
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal([]byte(page(t, "deploy/prometheus/rules.yaml")), &rules); err != nil {
		t.Fatal(err)
	}
	runbooks := map[string]string{}
	for _, part := range regexp.MustCompile(`(?m)^## `).Split(page(t, "docs/runbooks.md"), -1)[1:] {
		name, text, _ := strings.Cut(part, "\n")
		runbooks[name] = text
	}
	var alerts []string
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			alerts = append(alerts, r.Alert)
			if want := "docs/runbooks.md#" + strings.ToLower(r.Alert); r.Annotations["runbook"] != want {
				t.Errorf("%s: runbook %s, want %s", r.Alert, r.Annotations["runbook"], want)
			}
			if len(strings.Fields(runbooks[r.Alert])) < 20 {
				t.Errorf("docs/runbooks.md has nothing to do for %s", r.Alert)
			}
		}
	}
	if len(alerts) < 10 {
		t.Errorf("%d alerts: this test looks in the wrong place", len(alerts))
	}
	for name := range runbooks {
		if !slices.Contains(alerts, name) {
			t.Errorf("docs/runbooks.md has a part %s, which is no alert", name)
		}
	}
}
