package contract

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/registry"
)

// schema is the entry's schema: built in, a file's, or a subject's. It is nil if there was a problem. name is the contract's, message the
// built-in row message, if any.
func (l *loader) schema(e *entry) (s *registry.Schema, name, message string) {
	if b, ok := builtins[e.Builtin]; ok {
		return &registry.Schema{Format: e.Format, Text: string(b.schema)}, e.Builtin, b.message
	}
	if e.Subject != "" {
		s, err := l.env.Schemas.Version(l.ctx, e.Subject, subjectVersion(e.SubjectVersion))
		if err != nil {
			l.report(e.key+".subject", err.Error(), "register a schema, correct subject and subject_version, or correct registry.urls")
			return nil, "", ""
		}
		if s.Format != e.Format {
			l.report(e.key+".format", "the schema of subject "+e.Subject+" is of format "+s.Format, "write format: "+s.Format)
			return nil, "", ""
		}
		return s, e.Subject, ""
	}
	path := e.Schema
	if !filepath.IsAbs(path) {
		path = filepath.Join(l.dir, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		l.report(e.key+".schema", err.Error(), "name "+formats[e.Format].schema+" of the payload, relative to the configuration file")
		return nil, "", ""
	}
	base := filepath.Base(path)
	return &registry.Schema{Format: e.Format, Text: string(text)}, strings.TrimSuffix(base, filepath.Ext(base)), ""
}

// framed compiles a contract whose records name their schema.
func (l *loader) framed(c *Config, s *registry.Schema, message string, o decode.Options) (*Contract, *lanev1.Route, error) {
	reader, err := parseSchema(s)
	if err != nil {
		return nil, nil, err
	}
	vs, err := newVersions(*c, o.Contract, message, reader, o, l.env)
	if err != nil {
		return nil, nil, err
	}
	at := vs.current.Load()
	contract := newContract(o.Contract, c.TopicVersion, at.plan)
	contract.versions, contract.at = vs, at
	return contract, at.route, nil
}

// subjectVersion is the version that subject_version names; Check has seen it.
func subjectVersion(text string) int {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return registry.Latest
}
