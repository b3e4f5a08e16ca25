package ingest

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
)

// exampleContracts are the contracts that the example shows behind comment marks.
func exampleContracts(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("ingest.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	for _, block := range regexp.MustCompile(`(?m)^  # - topic: .*\n(  # .+\n)+`).FindAllString(string(text), -1) {
		shown.WriteString(regexp.MustCompile(`(?m)^  # `).ReplaceAllString(block, "  "))
	}
	return shown.String()
}

// What the example shows behind comment marks is right as well, and has every key of a contract.
func TestExampleContracts(t *testing.T) {
	shown := exampleContracts(t)
	for f := range reflect.TypeFor[contract.Config]().Fields() {
		if key := f.Tag.Get("yaml"); key != "" && !regexp.MustCompile(`\b`+key+`\b`).MatchString(shown) {
			t.Errorf("the example does not show %s", key)
		}
	}
	path := write(t,
		"kafka: {brokers: [127.0.0.1:1], group: g}\nwriter: {target: 'dns:///w:7070'}\n"+
			"registry: {urls: [http://127.0.0.1:1]}\ncontracts:\n"+shown)
	schema := `{"type": "record", "name": "Order", "fields": [
		{"name": "created_at", "type": "long"}, {"name": "op", "type": "string"},
		{"name": "order", "type": {"type": "record", "name": "Head", "fields": [
			{"name": "id", "type": "string"}, {"name": "total", "type": "string"}, {"name": "attributes", "type": "string"}
		]}}
	]}`
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "order.avsc"), []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Contracts) != 4 {
		t.Fatalf("%d contracts, want 4", len(c.Contracts))
	}
	c.Contracts = append(c.Contracts[:1], c.Contracts[2:]...) // the second one needs a registry
	if _, err := c.contracts(t.Context(), contract.Env{}); err != nil {
		t.Error(err)
	}
}

// The configurations that the project runs with load.
func TestConfigurationsInUse(t *testing.T) {
	paths, err := filepath.Glob("../../examples/*/ingest.yaml")
	if err != nil || len(paths) < 3 {
		t.Fatalf("%q, %v", paths, err)
	}
	for _, path := range append(paths, "../../deploy/compose/ingest.yaml") {
		if _, err := Load(path); err != nil {
			t.Error(err)
		}
	}
}
