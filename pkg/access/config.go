package access

import (
	"fmt"
	"slices"
	"strings"
)

// Config is the `access:` section: who may do what at the ports of a service.
type Config struct {
	// Open names what needs no right: health, reflection, metrics.
	Open []string `yaml:"open"`
	// Identities are those who come with a certificate, or with a JWT.
	Identities []Identity `yaml:"identities"`
	// Tokens is the path of a file of hashed bearer tokens; see readTokens. It is read again when it changes.
	Tokens string `yaml:"tokens"`
	JWT    JWT    `yaml:"jwt"`
}

// Identity gives rights to a name.
type Identity struct {
	// Name is a URI (spiffe://cluster.local/ns/waybill/sa/ingest) or a DNS name as the certificate has it, or jwt: and
	// the subject of a JWT.
	Name   string  `yaml:"name"`
	Rights []Right `yaml:"rights"`
	// Only limits the right lane to some lanes.
	Only Scope `yaml:"only"`
}

// JWT says which tokens of an issuer are taken; none without JWKS.
type JWT struct {
	// JWKS is the path of a file with the issuer's public keys. It is read again when it changes.
	JWKS string `yaml:"jwks"`
	// Issuer and Audience are what a token must be of and for. Both are required.
	Issuer   string `yaml:"issuer"`
	Audience string `yaml:"audience"`
}

// Defaults leaves health open: probes have no names.
func Defaults() Config { return Config{Open: []string{"health"}, Identities: []Identity{}} }

// Enabled tells whether anybody is told apart.
func (c *Config) Enabled() bool { return len(c.Identities) > 0 || c.Tokens != "" || c.JWT.JWKS != "" }

// ByToken tells whether anybody comes with a token.
func (c *Config) ByToken() bool { return c.Tokens != "" || c.JWT.JWKS != "" }

// ByCertificate tells whether any identity is that of a certificate.
func (c *Config) ByCertificate() bool {
	return slices.ContainsFunc(c.Identities, func(i Identity) bool { return !strings.HasPrefix(i.Name, jwtPrefix) })
}

// jwtPrefix tells subjects of JWTs from names in certificates: an issuer cannot make up the name of a certificate.
const jwtPrefix = "jwt:"

// Check implements config.Checker.
func (c *Config) Check(report func(key, message, remedy string)) {
	for i, name := range c.Open {
		if !slices.Contains(openNames, name) {
			report(fmt.Sprintf("open[%d]", i), fmt.Sprintf("%q cannot be left open", name),
				"choose among "+strings.Join(openNames, ", "))
		}
	}
	named := map[string]bool{}
	for i, id := range c.Identities {
		key := fmt.Sprintf("identities[%d]", i)
		if id.Name == "" || named[id.Name] {
			report(key+".name", "is empty, or that of another identity",
				"write the URI or DNS name in the certificate, or jwt: and the subject of the token")
		}
		named[id.Name] = true
		if strings.HasPrefix(id.Name, jwtPrefix) && c.JWT.JWKS == "" {
			report(key+".name", "is that of a JWT, and there is no issuer", "set access.jwt")
		}
		if err := checkRights(id.Rights); err != nil {
			report(key+".rights", err.Error(), "list one or more of lane, viewer, payload, operator")
		}
		if of, message := id.Only.check(); of != "" {
			report(key+".only."+of, message, "write a name, or the beginning of names and *")
		} else if !id.Only.empty() && !slices.Contains(id.Rights, Lane) {
			report(key+".only", "limits the right lane, which the identity has not", "add the right, or take only away")
		}
	}
	if c.Tokens != "" {
		if _, err := readTokens(c.Tokens); err != nil {
			report("tokens", err.Error(), "write a line for each token: its SHA-256 in hex, a name, rights with commas")
		}
	}
	c.JWT.check(report)
}

func (j *JWT) check(report func(key, message, remedy string)) {
	switch {
	case j.JWKS == "" && *j != (JWT{}):
		report("jwt.jwks", "is empty while other keys of jwt are set", "name the file with the issuer's public keys")
	case j.JWKS == "":
	case j.Issuer == "" || j.Audience == "":
		report("jwt.issuer", "issuer and audience are both required: other tokens of the issuer would do as well",
			"write the iss and aud of the tokens")
	default:
		if _, err := readKeys(j.JWKS); err != nil {
			report("jwt.jwks", err.Error(), "name a JSON Web Key Set of public keys")
		}
	}
}

func checkRights(rights []Right) error {
	if len(rights) == 0 {
		return fmt.Errorf("there are none")
	}
	for _, r := range rights {
		if !slices.Contains(Rights, r) {
			return fmt.Errorf("%q is no right", r)
		}
	}
	return nil
}
