package contract

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
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
		l.report(e, "schema", err.Error(),
			"name "+formats[e.Format].schema+" of the payload, relative to the file that says so")
		return nil, "", false
	}
	s.Text = strings.TrimPrefix(string(text), byteOrderMark)
	return s, "", true
}

// byteOrderMark begins the files of some editors.
const byteOrderMark = "\ufeff"

func (l *loader) fromRegistry(e *entry) (s *registry.Schema, ok bool) {
	s, err := l.env.Schemas.Version(l.ctx, e.Subject, subjectVersion(e.SubjectVersion))
	switch {
	case err != nil:
		l.report(e, "subject", err.Error(),
			"register a schema, correct subject and subject_version, or correct registry.urls")
	case s.Format != e.Format:
		l.report(e, "format", "the schema of subject "+e.Subject+" is of format "+s.Format, "write format: "+s.Format)
	default:
		return s, true
	}
	return nil, false
}

// plain compiles a contract whose payloads have one schema.
func (l *loader) plain(c *Config, s *registry.Schema, message string, o decode.Options) (*Contract, *lanev1.Route,
	error,
) {
	plan, err := l.columns(c, s, o)
	if err != nil {
		return nil, nil, err
	}
	rows, err := c.rows(plan, &o)
	if err != nil {
		return nil, nil, err
	}
	r, err := route(c, either(rows, plan), message)
	return newContract(o.Contract, c.TopicVersion, c.Key, plan).reading(rows, c.CloudEvents == cloudEventsBinary), r,
		err
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
func (l *loader) framed(c *Config, s *registry.Schema, message string, o decode.Options) (*Contract, *lanev1.Route,
	error,
) {
	vs, warnings, err := l.newest(c, s, message, o)
	if err != nil {
		return nil, nil, err
	}
	at := vs.current.Load()
	contract := newContract(o.Contract, c.TopicVersion, c.Key, at.plan).reading(at.rows,
		c.CloudEvents == cloudEventsBinary)
	contract.versions, contract.at, contract.warnings = vs, at, warnings
	return contract, at.route, nil
}

// mostVersions bounds how many versions of a subject are looked at.
const mostVersions = 50

// newest makes the columns of a contract whose records name their schema. Of a subject's latest version it does what
// the contract would have done had it seen it on the way: a version that cannot be taken costs no contract, and a
// column keeps the type that it had in older versions. So a process that starts anew has the columns of one that has
// not ended.
func (l *loader) newest(c *Config, s *registry.Schema, message string, o decode.Options) (vs *versions,
	warnings []string, err error,
) {
	reader, err := parseSchema(s, c)
	if err == nil {
		vs, err = newVersions(*c, o.Contract, message, reader, o, l.env)
	}
	for _, v := range l.olderVersions(c, s) {
		older, missing := l.env.Schemas.Version(l.ctx, c.Subject, v)
		if missing != nil || older.Format != c.Format {
			continue
		}
		its, bad := parseSchema(older, c)
		if bad != nil {
			continue
		}
		made, bad := newVersions(*c, o.Contract, message, its, o, l.env)
		if bad != nil {
			continue
		}
		var warned []string
		if err != nil {
			warned = []string{fmt.Sprintf(
				"version %d of subject %s cannot be taken, the columns are those of version %d: %v; %s",
				s.Version, c.Subject, v, err, remedy)}
		} else {
			for _, change := range retyped(made.current.Load().route, vs.current.Load().route) {
				warned = append(warned, fmt.Sprintf(
					"version %d of subject %s has another type, which the column keeps: %s; "+
						"ask for a type by columns, or write subject_version: %d for that one alone", v, c.Subject,
					change, s.Version))
			}
			if len(warned) == 0 {
				continue
			}
			its, _ = its.with(reader, c.Payload)
			if made, bad = newVersions(*c, o.Contract, message, its, o, l.env); bad != nil {
				continue
			}
		}
		reader, vs, err = its, made, nil
		warnings = append(warnings, warned...)
	}
	return vs, warnings, err
}

// retyped are the columns of two rows that BigQuery has different types for.
func retyped(older, newer *lanev1.Route) (changed []string) {
	before, after := map[string]string{}, map[string]string{}
	typesOfColumns(older.GetDescriptor_(), "", older.GetDescriptor_().GetNestedType(), before)
	typesOfColumns(newer.GetDescriptor_(), "", newer.GetDescriptor_().GetNestedType(), after)
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if now, ok := after[path]; ok && now != before[path] {
			changed = append(changed, fmt.Sprintf("%s: the contract has %s, it has %s", path, before[path], now))
		}
	}
	return changed
}

// typesOfColumns fills in the types of a message's columns, as BigQuery tells them apart, by their paths.
func typesOfColumns(m *descriptorpb.DescriptorProto, path string, types []*descriptorpb.DescriptorProto,
	into map[string]string,
) {
	for _, f := range m.GetField() {
		column, _ := proto.GetExtension(f.GetOptions(), columnv1.E_Column).(*columnv1.Column)
		name := strings.TrimPrefix(column.GetType().String(), "COLUMN_TYPE_")
		switch t := f.GetType(); {
		case column.GetType() != 0:
		case t == descriptorpb.FieldDescriptorProto_TYPE_MESSAGE:
			name = "RECORD"
			if at := slices.IndexFunc(types,
				func(t *descriptorpb.DescriptorProto) bool { return t.GetName() == f.GetTypeName() }); at >= 0 {
				typesOfColumns(types[at], path+f.GetName()+".", types, into)
			}
		case t == descriptorpb.FieldDescriptorProto_TYPE_FLOAT || t == descriptorpb.FieldDescriptorProto_TYPE_DOUBLE:
			name = "FLOAT"
		case t == descriptorpb.FieldDescriptorProto_TYPE_BOOL || t == descriptorpb.FieldDescriptorProto_TYPE_BYTES ||
			t == descriptorpb.FieldDescriptorProto_TYPE_STRING:
			name = strings.TrimPrefix(t.String(), "TYPE_")
		default:
			name = "INTEGER"
		}
		if f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED {
			name = "REPEATED " + name
		}
		into[path+f.GetName()] = name
	}
}

// olderVersions are those of the entry's subject before its latest, newest first; none where the entry is of one
// version.
func (l *loader) olderVersions(c *Config, s *registry.Schema) (older []int) {
	if c.Subject == "" || c.SubjectVersion != latest {
		return nil
	}
	all, err := l.env.Schemas.Versions(l.ctx, c.Subject)
	for _, v := range slices.Backward(all) {
		if err == nil && v < s.Version && len(older) < mostVersions {
			older = append(older, v)
		}
	}
	return older
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
	if n, err := strconv.Atoi(c.SubjectVersion); c.SubjectVersion != "" && c.SubjectVersion != latest &&
		(err != nil || n < 1) {
		report("subject_version", fmt.Sprintf("%q is no version", c.SubjectVersion),
			"write latest, or a number from 1 on")
	}
	if _, ok := dialects[c.Format]; c.Format != "" && c.NeedsRegistry() && !ok {
		report("framing", "payloads of format "+c.Format+" have no schema in a registry",
			"write framing: none and no subject, or another format")
	}
}
