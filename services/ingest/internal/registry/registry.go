// Package registry asks a schema registry for schemas, in the REST dialect of Confluent's, which others speak as well.
//
//	c, err := registry.New(config, log, metrics)
//	schema, err := c.ByID(ctx, 7)                 // waits while the registry is away
//	schema, err = c.Version(ctx, "orders-value", registry.Latest)
//
// A registry that is away is waited for, for as long as the context lives: it is a metric, one line of log an outage,
// and never the fault of a record. Only a response ends the waiting: the schema, or that there is none, which is a
// *MissingError. What the registry has returned for an id is kept, because it never changes; calls for one schema share
// one request.
package registry

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/tlsfiles"
	"github.com/waybill-data/waybill/services/ingest/internal/oauth"
)

// Config says where the schema registry is.
type Config struct {
	// URLs are those of the registry's nodes, any of which may get a request. Empty: there is no registry.
	URLs []string `yaml:"urls"`
	// User and Password are for basic authentication, Token for a bearer's.
	User     string        `yaml:"user"`
	Password config.Secret `yaml:"password"`
	Token    config.Secret `yaml:"token"`
	// OAuth gets tokens instead.
	OAuth oauth.Config `yaml:"oauth"`
	// TLS is used for https URLs.
	TLS tlsfiles.Files `yaml:"tls"`
	// Timeout bounds one request.
	Timeout time.Duration `yaml:"-"`
	// Poll is how often the latest version of a subject is looked up.
	Poll config.Duration `yaml:"poll"`
}

// Older says what became of keys.
func (*Config) Older() map[string]string {
	return map[string]string{"timeout": "a request has ten seconds"}
}

// Defaults is the one place of the section's defaults.
func Defaults() Config {
	return Config{Timeout: 10 * time.Second, Poll: config.Duration(30 * time.Second)}
}

// Check reports what is wrong with the section.
func (c *Config) Check(report func(key, message, remedy string)) {
	secure := false
	for i, text := range c.URLs {
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
			report(fmt.Sprintf("urls[%d]", i), fmt.Sprintf("%q is no URL of a registry", text),
				"write http://host:port or https://host:port")
		case u.User != nil:
			report(fmt.Sprintf("urls[%d]", i), "the URL holds a user",
				"write user and password in keys of their own: URLs are logged")
		}
		secure = secure || strings.HasPrefix(text, "https:")
	}
	basic := c.User != "" || c.Password.Reveal() != ""
	if basic && c.Token.Reveal() != "" {
		report("token", "there are a token and a user or password", "keep the one that the registry asks for")
	}
	if c.User == "" && c.Password.Reveal() != "" {
		report("user", "there is a password without a user", "set both, or neither")
	}
	if c.OAuth.Enabled() && (basic || c.Token.Reveal() != "") {
		report("oauth", "there is a token or a user too", "keep the one that the registry asks for")
	}
	if c.OAuth.Provider == oauth.MSK {
		report("oauth.provider", "no registry takes tokens of MSK", "choose client_credentials or google")
	}
	pollBounds.Check(report, "poll", c.Poll)
	if c.TLS != (tlsfiles.Files{}) && len(c.URLs) > 0 && !secure {
		report("tls", "it is set while no URL begins with https", "write https URLs, or remove tls")
	}
	c.TLS.Check(report, "tls")
}

var pollBounds = config.Bounds{
	Least: time.Second, Short: "the registry would do little else", Most: 24 * time.Hour,
	Long: "write evolution: off where a contract is not to grow", Right: 30 * time.Second,
}

// Schema is a schema of the registry.
type Schema struct {
	// ID is its number in the registry.
	ID int
	// Subject and Version are set when it was requested by them.
	Subject string
	Version int
	// Format is avro, protobuf or json.
	Format string
	// Text is the schema itself.
	Text string
	// References are the schemas that it refers to, directly or not, each once and after those that it refers to
	// itself.
	References []Reference
}

// Reference is a schema that another one refers to.
type Reference struct {
	// Name is what it is called there: a type's full name in Avro, a file in protobuf, a URL in JSON Schema.
	Name string
	Text string
}

// bytes is the length of all texts.
func (s *Schema) bytes() int {
	if s == nil {
		return 0
	}
	size := len(s.Text)
	for i := range s.References {
		size += len(s.References[i].Text)
	}
	return size
}

// Texts are the texts of the references.
func (s *Schema) Texts() []string {
	texts := make([]string, len(s.References))
	for i := range s.References {
		texts[i] = s.References[i].Text
	}
	return texts
}

// MissingError says that the registry does not have what was requested. It was requested again for a few seconds: a
// registry of several nodes may know a new schema a little later than its producer.
type MissingError struct {
	// What names it, for example "schema id 7".
	What string
	// Until is when to ask again; until then the schema counts as missing.
	Until time.Time
}

func (m *MissingError) Error() string { return m.What + " is not in the registry" }
