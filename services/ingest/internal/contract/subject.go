package contract

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/registry"
)

// schema is the entry's schema: built in, a file's, or a subject's; ok is false if there was a problem. message is the
// built-in row message, if any.
func (l *loader) schema(e *entry) (s *registry.Schema, message string, ok bool) {
	if b, ok := builtins[e.Builtin]; ok {
		return &registry.Schema{Format: e.Format, Text: string(b.schema)}, b.message, true
	}
	if e.Subject != "" {
		s, ok := l.fromRegistry(e)
		return s, "", ok
	}
	s = &registry.Schema{Format: e.Format}
	if formats[e.Format].schema == "" {
		return s, "", true
	}
	dir := l.dir
	if file := e.place.File(); file != "" {
		dir = filepath.Dir(file)
	}
	path := e.Schema
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		l.report(e, "schema", err.Error(), "name "+formats[e.Format].schema+" of the payload, relative to the file that says so")
		return nil, "", false
	}
	s.Text = string(text)
	return s, "", true
}

func (l *loader) fromRegistry(e *entry) (s *registry.Schema, ok bool) {
	s, err := l.env.Schemas.Version(l.ctx, e.Subject, subjectVersion(e.SubjectVersion))
	switch {
	case err != nil:
		l.report(e, "subject", err.Error(), "register a schema, correct subject and subject_version, or correct registry.urls")
	case s.Format != e.Format:
		l.report(e, "format", "the schema of subject "+e.Subject+" is of format "+s.Format, "write format: "+s.Format)
	default:
		return s, true
	}
	return nil, false
}

// plain compiles a contract whose payloads have one schema.
func (l *loader) plain(c *Config, s *registry.Schema, message string, o decode.Options) (*Contract, *lanev1.Route, error) {
	plan, err := l.columns(c, s, o)
	if err != nil {
		return nil, nil, err
	}
	rows, err := c.rows(plan, &o)
	if err != nil {
		return nil, nil, err
	}
	r, err := route(c, either(rows, plan), message)
	return newContract(o.Contract, c.TopicVersion, c.Key, plan).reading(rows, c.CloudEvents == cloudEventsBinary), r, err
}

func (*loader) columns(c *Config, s *registry.Schema, o decode.Options) (decode.Plan, error) {
	if c.Subject == "" {
		return formats[c.Format].compile([]byte(s.Text), c, o)
	}
	reader, err := parseSchema(s, c)
	if err != nil {
		return nil, err
	}
	return reader.compile(o)
}

// framed compiles a contract whose records name their schema.
func (l *loader) framed(c *Config, s *registry.Schema, message string, o decode.Options) (*Contract, *lanev1.Route, error) {
	reader, err := parseSchema(s, c)
	if err != nil {
		return nil, nil, err
	}
	vs, err := newVersions(*c, o.Contract, message, reader, o, l.env)
	if err != nil {
		return nil, nil, err
	}
	at := vs.current.Load()
	contract := newContract(o.Contract, c.TopicVersion, c.Key, at.plan).reading(at.rows, c.CloudEvents == cloudEventsBinary)
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

// checkSubject reports what is wrong with what the entry says of the schema registry.
func (c *Config) checkSubject(report func(key, message, remedy string)) {
	if c.Subject != "" && c.Schema != "" {
		report("subject", "there are a schema file and a subject", "keep the one that says what the columns are")
	}
	if c.Subject == "" && c.SubjectVersion != "" {
		report("subject_version", "there is a version and no subject", "name the subject, or remove subject_version")
	}
	if n, err := strconv.Atoi(c.SubjectVersion); c.SubjectVersion != "" && c.SubjectVersion != latest && (err != nil || n < 1) {
		report("subject_version", fmt.Sprintf("%q is no version", c.SubjectVersion), "write latest, or a number from 1 on")
	}
	if _, ok := dialects[c.Format]; c.Format != "" && c.NeedsRegistry() && !ok {
		report("framing", "payloads of format "+c.Format+" have no schema in a registry", "write framing: none and no subject, or another format")
	}
}
