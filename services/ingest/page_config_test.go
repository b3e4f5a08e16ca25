package ingest

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/waybill-data/waybill/pkg/config/configtest"
)

// Every other YAML example of the pages that is of ingest's configuration loads, completed with what it leaves out.
// Those of the writer have TestConfigurationOfThePages there.
func TestConfigurationOfThePages(t *testing.T) {
	all, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages := configtest.New(t)
	pages.Write(t, "order.json", `{"type": "object", "properties": {"id": {"type": "string"},
		"placed": {"type": "string", "format": "date-time"}}}`)
	elsewhere := regexp.MustCompile(`(contracts|json|protobuf|registry)\.md$`) // TestExamplesOfThePages has them
	other := regexp.MustCompile(`(?m)^(bigquery|services):`)                   // the writer's, Compose's
	examples := 0
	for _, page := range append(all, "../../README.md") {
		if elsewhere.MatchString(page) {
			continue
		}
		for _, config := range pages.Examples(t, page) {
			if other.MatchString(config) {
				continue
			}
			examples++
			for key, value := range map[string]string{
				"kafka": "{brokers: [127.0.0.1:1], group: g}", "writer": "{endpoints: 'w:7070'}",
			} {
				if !regexp.MustCompile(`(?m)^` + key + `:`).MatchString(config) {
					config += key + ": " + value + "\n"
				}
			}
			if _, err := Load(pages.Write(t, "ingest.yaml", config)); err != nil {
				t.Errorf("%s: %v\n%s", page, err, config)
			}
		}
	}
	if examples < 5 {
		t.Errorf("%d examples on the pages", examples)
	}
}
