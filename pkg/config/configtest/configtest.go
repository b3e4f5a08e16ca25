// Package configtest finds the YAML examples of pages, for tests that load them.
package configtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/pkg/tlsfiles/tlstest"
)

// Pages are those of docs. The files below /etc/waybill that their examples name are in a folder of the test.
type Pages struct {
	// Dir is that folder. Files of a test's own may lie in it.
	Dir    string
	places *strings.Replacer
}

// New writes the files that examples name.
func New(t *testing.T) *Pages {
	t.Helper()
	p := &Pages{Dir: t.TempDir()}
	authority, secured := tlstest.NewAuthority(t), tlstest.Files(t)
	tlstest.Renew(t, secured, authority, authority)
	p.places = strings.NewReplacer(
		"/etc/waybill/secrets/tokens/file", p.Write(t, "tokens",
			"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae somebody viewer\n"),
		// RFC 7517, appendix A.1
		"/etc/waybill/jwks.json", p.Write(t, "jwks.json",
			`{"keys": [{"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
				"y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`),
		"/etc/waybill/registry-password", p.Write(t, "registry-password", "secret"),
		"/etc/waybill/tls/tls.crt", secured.Cert, "/etc/waybill/tls/tls.key", secured.Key,
		"/etc/waybill/tls/ca.crt", secured.CA, "/etc/waybill/ca.pem", secured.CA,
	)
	return p
}

// Write writes a file in Dir, and returns its path.
func (p *Pages) Write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(p.Dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var block = regexp.MustCompile("(?ms)^( *)```yaml\n(.*?)\n *```")

// Examples are the YAML examples of a page, in their order, without the indentation of what they stand in.
func (p *Pages) Examples(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range block.FindAllStringSubmatch(string(text), -1) {
		lines := strings.TrimPrefix(strings.ReplaceAll("\n"+m[2]+"\n", "\n"+m[1], "\n"), "\n")
		out = append(out, p.places.Replace(lines))
	}
	return out
}
