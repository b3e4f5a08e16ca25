package draft

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/infer"
)

// Write makes Files: the entries, and the schemas that they name.
func (in *Draft) Write() error {
	base := strings.TrimLeft(in.Topic, ".")
	in.Files = []File{{Name: base + ".yaml"}}
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by `ingest contracts infer %s` from %s: a contract to start from.\n",
		in.Topic, plural(in.Records, "record"))
	for _, n := range in.Notes {
		fmt.Fprintf(&b, "# %s\n", oneLine(n))
	}
	for i := range in.Types {
		t := &in.Types[i]
		file := base
		if t.suffix != "" {
			file = bounded(file+"."+t.suffix, maxFile)
		}
		var columns map[string]string
		text := []byte(t.schema)
		switch {
		case t.Tree != nil:
			var err error
			if text, columns, err = t.Tree.Schema(); err != nil {
				return err
			}
			t.contract.Schema = file + ".json"
		case t.contract.Framing != "":
			// A schema of the registry: the contract reads it there, the file is for people.
			file += map[string]string{"avro": ".avsc", "json": ".json", "protobuf": ".proto"}[t.Format]
			in.Files = append(in.Files, File{file, text})
		case t.schema != "":
			t.contract.Schema = file + ".avsc"
		}
		if t.contract.Schema != "" {
			in.Files = append(in.Files, File{t.contract.Schema, text})
		}
		in.entry(&b, t, file, columns)
	}
	in.Files[0].Content = []byte(b.String())
	return nil
}

// entry writes one entry of the configuration.
func (in *Draft) entry(b *strings.Builder, t *Type, file string, columns map[string]string) {
	c := &t.contract
	fmt.Fprintf(b, "- topic: %s\n", yamlText(c.Topic))
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(b, "  %s: %s\n", key, yamlText(value))
		}
	}
	line("format", c.Format)
	line("framing", c.Framing)
	line("as", c.As)
	line("schema", c.Schema)
	line("subject", c.Subject)
	if c.Subject != "" {
		fmt.Fprintf(b, "  # %s is the schema that the records were seen with, the newest of the ids %s\n",
			file, numbers(t.Schemas))
	}
	line("message", c.Message)
	if t.Tree != nil {
		b.WriteString("  unknown_fields: keep  # what no record of the sample had goes to the column _extra\n")
	}
	if in.TypeHeader != "" && in.TypeHeader != "item_type_name" {
		line("type_header", in.TypeHeader)
	}
	line("type_from", c.TypeFrom)
	types := make([]string, len(c.Types))
	for i, name := range c.Types {
		types[i] = yamlText(name)
	}
	fmt.Fprintf(b, "  types: [%s]\n", strings.Join(types, ", "))
	line("table", c.Table)
	if len(columns) > 0 {
		b.WriteString("  columns:\n")
		for _, path := range slices.Sorted(maps.Keys(columns)) {
			fmt.Fprintf(b, "    %s: {%s}\n", yamlText(path), columns[path])
		}
	}
	b.WriteString("  partition_by: ingest_time  # event_time is better where a field says when the event happened:\n")
	ids, times := candidates(t.fields())
	if len(times) == 0 {
		times = []string{"a.path"}
	}
	for _, path := range times {
		fmt.Fprintf(b, "  # event_time: {field: %s}\n", yamlText(path))
	}
	for _, path := range ids {
		fmt.Fprintf(b, "  # event_id: %s\n", yamlText(path))
	}
}

func (t *Type) fields() []infer.Field {
	if t.Tree != nil {
		return t.Tree.Fields()
	}
	return t.Fields
}

var (
	timeName = regexp.MustCompile(`(?i)(^|_)(time|timestamp|ts|date|at)$|(Time|Timestamp|Date|At)$`)
	idName   = regexp.MustCompile(`^(?i:event_?id|message_?id|id|uuid)$`)
)

// mostCandidates bounds the fields that are named as what may identify or time an event.
const mostCandidates = 3

// candidates are fields that every record has and whose names say that they identify the event, or its time.
func candidates(fields []infer.Field) (ids, times []string) {
	for _, f := range fields {
		name := f.Path[strings.LastIndexByte(f.Path, '.')+1:]
		switch {
		case strings.Contains(f.Path, "[]") || f.Absent+f.Null > 0 || f.Of == 0:
		case (f.Column == "STRING" || f.Column == "INTEGER") && idName.MatchString(name) && len(ids) < mostCandidates:
			ids = append(ids, f.Path)
		case (f.Column == "TIMESTAMP" || f.Column == "INTEGER" && timeName.MatchString(name)) &&
			len(times) < mostCandidates:
			times = append(times, f.Path)
		}
	}
	return ids, times
}

var plainYAML = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`)

// yamlText is a text as YAML, variables of the configuration's dialect taken literally.
func yamlText(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
	default:
		if plainYAML.MatchString(s) {
			return s
		}
	}
	escapes := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "${", "$${")
	return `"` + escapes.Replace(s) + `"`
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func numbers(all []int) string {
	said := make([]string, len(all))
	for i, n := range all {
		said[i] = fmt.Sprint(n)
	}
	return strings.Join(said, ", ")
}

// counts says how many there are of each kind, most first.
func counts(kinds map[string]int) string {
	names := slices.SortedFunc(maps.Keys(kinds), func(a, b string) int {
		if kinds[a] != kinds[b] {
			return kinds[b] - kinds[a]
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", kinds[name], name)
	}
	return strings.Join(names, ", ")
}
