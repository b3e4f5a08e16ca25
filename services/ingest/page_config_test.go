package ingest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/pkg/tlsfiles/tlstest"
)

// Every other YAML example of the pages that is of ingest's configuration loads, completed with what it leaves out.
// Those of the writer have TestConfigurationOfThePages there.
func TestConfigurationOfThePages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := map[string]string{
		"order.json": `{"type": "object", "properties": {"id": {"type": "string"},
			"placed": {"type": "string", "format": "date-time"}}}`,
		"tokens": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae somebody viewer\n",
		// RFC 7517, appendix A.1
		"jwks.json": `{"keys": [{"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
			"y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`,
	}
	authority, secured := tlstest.NewAuthority(t), tlstest.Files(t)
	tlstest.Renew(t, secured, authority, authority)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	places := strings.NewReplacer(
		"/etc/waybill/secrets/tokens/file", filepath.Join(dir, "tokens"),
		"/etc/waybill/jwks.json", filepath.Join(dir, "jwks.json"),
		"/etc/waybill/tls/tls.crt", secured.Cert, "/etc/waybill/tls/tls.key", secured.Key,
		"/etc/waybill/tls/ca.crt", secured.CA,
	)
	block := regexp.MustCompile("(?ms)^( *)```yaml\n(.*?)\n *```")
	elsewhere := regexp.MustCompile(`(contracts|json|protobuf|registry)\.md$`) // TestExamplesOfThePages has them
	other := regexp.MustCompile(`(?m)^(bigquery|services):`)                   // the writer's, Compose's
	examples := 0
	for _, page := range append(pages, "../../README.md") {
		if elsewhere.MatchString(page) {
			continue
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			config := places.Replace(strings.TrimPrefix(strings.ReplaceAll("\n"+m[2]+"\n", "\n"+m[1], "\n"), "\n"))
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
			path := filepath.Join(dir, "ingest.yaml")
			if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(path); err != nil {
				t.Errorf("%s: %v\n%s", page, err, config)
			}
		}
	}
	if examples < 5 {
		t.Errorf("%d examples on the pages", examples)
	}
}
