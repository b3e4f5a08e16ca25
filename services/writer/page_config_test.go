package writer

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/pkg/config/configtest"
)

// Every YAML example of the pages that is of the writer's configuration, or of both services', loads, completed with
// what it leaves out.
func TestConfigurationOfThePages(t *testing.T) {
	pages := configtest.New(t)
	ours := regexp.MustCompile(`(?m)^(bigquery|access|tracing):`)
	examples := 0
	for _, page := range []string{"README.md", "docs/security.md", "docs/operations.md"} {
		for _, config := range pages.Examples(t, filepath.Join("..", "..", filepath.FromSlash(page))) {
			if !ours.MatchString(config) {
				continue
			}
			examples++
			config = strings.ReplaceAll(config, ", one_in: 100000", "")
			if !strings.Contains(config, "bigquery:") {
				config += "bigquery: {project: my-project, dataset: d}\n"
			}
			if _, err := Load(pages.Write(t, "writer.yaml", config)); err != nil {
				t.Errorf("%s: %v\n%s", page, err, config)
			}
		}
	}
	if examples < 3 {
		t.Errorf("%d examples on the pages", examples)
	}
}
