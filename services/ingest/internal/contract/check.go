package contract

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Check reports what is wrong with the entry by itself.
func (c *Config) Check(report func(key, message, remedy string)) {
	if c.Builtin != "" {
		c.checkBuiltin(report)
	} else {
		c.checkSchema(report)
	}
	if c.Name != "" && !topicName.MatchString(c.Name) {
		report("name", fmt.Sprintf("%q is no name of a contract", c.Name),
			"use letters, digits, dots, underscores and hyphens")
	}
	if c.Topic != "" && !topicName.MatchString(c.Topic) {
		report("topic", fmt.Sprintf("%q is no name of a Kafka topic", c.Topic),
			"use letters, digits, dots, underscores and hyphens")
	}
	c.checkPattern(report)
	c.checkColumns(report)
	for _, table := range []struct{ key, name string }{{"table", c.Table}, {"unknown_table", c.UnknownTable}} {
		if reason, remedy := tableFault(table.name); table.name != "" && reason != "" {
			report(table.key, fmt.Sprintf("%.100q is no name of a table%s", table.name, reason), remedy)
		}
	}
	for _, list := range []struct {
		key   string
		types []string
	}{{"types", c.Types}, {"ignore", c.Ignore}} {
		for _, name := range list.types {
			if _, err := parseTypes(name); err != nil {
				report(list.key, err.Error(), "write an exact name, prefix.* or *")
			}
		}
	}
	oneOf := func(key, value string, allowed ...string) {
		if value != "" && !slices.Contains(allowed, value) {
			report(key, fmt.Sprintf("%q is not one of the choices", value), "choose "+strings.Join(allowed, ", "))
		}
	}
	oneOf("tombstones", c.Tombstones, toNothing, toDeadLetter, tombstonesRow)
	oneOf("unknown", c.Unknown, toDeadLetter, toNothing, toTable)
	oneOf("unfit_schema", c.UnfitSchema, toDeadLetter, unfitWaits)
	if c.UnfitSchema != "" && c.Framing != framingConfluent {
		report("unfit_schema", "records name no schema that could be another one",
			"remove it, or write framing: confluent")
	}
	oneOf("type_from", c.TypeFrom, "header", typeFromSchema)
	oneOf("key", c.Key, keyKeep, keyOmit, keyEventID)
	oneOf("framing", c.Framing, none, framingConfluent)
	c.checkSubject(report)
	oneOf("delivery", c.Delivery, "exactly_once", "at_least_once")
	c.checkWithin(report)
	c.checkCloudEvents(report)
	oneOf("hints", c.Hints, hintsHeed, hintsIgnore)
	oneOf("missing_values", c.MissingValues, "null", "default")
	oneOf("evolution", c.Evolution, "off", "additive")
	oneOf("unknown_fields", c.UnknownFields, "refuse", "drop", "keep")
	oneOf("mode", c.Mode, "strict", "lenient")
	if c.UnknownFields != "" && c.Format != "json" && c.Format != "protobuf" {
		report("unknown_fields", "it is for format json or protobuf", "remove it")
	}
	if c.UnknownFields == "keep" && c.Format == "protobuf" {
		report("unknown_fields", "a protobuf field that the schema does not know has a number and no name to keep it "+
			"under",
			"choose refuse or drop")
	}
	if c.Mode != "" && c.Format != "json" {
		report("mode", "it is for format json", "remove it, or write format: json")
	}
	oneOf("partition_by", c.PartitionBy, partitionColumns...)
	oneOf("partition_unit", c.PartitionUnit, "hour", "day", "month", "year")
	switch {
	case c.PartitionBy == none && c.PartitionUnit != "":
		report("partition_unit", "the table has no partitions", "remove it, or partition_by: none")
	case c.Unknown == toTable && c.UnknownTable == "":
		report("unknown_table", "it is missing", "name the table of records whose type no contract takes")
	case c.Unknown != toTable && c.UnknownTable != "":
		report("unknown_table", "nothing goes there", "write unknown: table, or remove it")
	}
	if c.Key == keyEventID && c.EventID != "" {
		report("event_id", "the key is the identity of the event", "remove it, or key: event_id")
	}
	c.Dates.check(func(key, message, remedy string) { report("dates."+key, message, remedy) })
	oneOf("event_time.unit", c.EventTime.Unit, "auto", "s", "ms", "us", "ns")
	if len(c.ClusterBy) == 1 && c.ClusterBy[0] == none {
		return
	}
	for i, column := range c.ClusterBy {
		oneOf("cluster_by", column, clusterColumns...)
		if slices.Contains(c.ClusterBy[:i], column) {
			report("cluster_by", column+" is there twice", "name it once")
		}
	}
	if len(c.ClusterBy) > 4 {
		report("cluster_by", fmt.Sprintf("%d columns", len(c.ClusterBy)), "BigQuery clusters by four columns at most")
	}
}

// Check reports what is wrong with the column by itself.
func (c Column) Check(report func(key, message, remedy string)) {
	target := decode.TargetOf(c.Type)
	if c.Name != "" {
		if reason := decode.CheckName(c.Name, map[string]bool{}); reason != "" {
			report("name", reason, "choose another name")
		}
	}
	switch {
	case c.Skip && c != (Column{Skip: true}):
		report("skip", "a field that is left out has neither name nor type", "remove skip, or all else")
		return
	case c.Skip, c != (Column{}) && c == (Column{Name: c.Name}):
		return
	}
	decimal := target == decode.Numeric || target == decode.BigNumeric
	timed := target == decode.Timestamp || target == decode.DateTime || target == decode.Date ||
		target == decode.Time ||
		target == decode.Integer
	if target == decode.NoTarget {
		report("type", fmt.Sprintf("%q is not one of the choices", c.Type),
			"choose "+strings.Join(decode.TargetNames(), ", "))
		return
	}
	if c.Whole && target != decode.JSON {
		report("whole", "only JSON is made of a whole list", "remove it")
	}
	if _, ok := units[c.Unit]; c.Unit != "" && !ok {
		report("unit", fmt.Sprintf("%q is not one of the choices", c.Unit), "choose auto, s, ms, us, ns")
	} else if c.Unit != "" && !timed {
		report("unit", c.Type+" has none", "remove it")
	}
	switch {
	case c.Precision == 0 && c.Scale == 0:
	case !decimal:
		report("precision", c.Type+" has neither precision nor scale", "remove them")
	case c.Precision <= 0 || c.Scale < 0:
		report("precision", fmt.Sprintf("%d digits, %d of them behind the point", c.Precision, c.Scale),
			"write a precision of 1 or more, and a scale of 0 or more")
	default:
		if reason := (&decode.Column{
			Type: target, Precision: c.Precision, Scale: c.Scale,
		}).Check(decode.FromText); reason != "" {
			report("precision", reason, "write less, or BIGNUMERIC")
		}
	}
}

// columns are those that formats understand.
func (c *Config) columns() decode.Columns {
	all := decode.Columns{}
	for path, column := range c.Columns {
		all[decode.WithoutMarks(path)] = decode.Column{
			Name: column.Name, Skip: column.Skip,
			Type: decode.TargetOf(column.Type), Whole: column.Whole, Unit: units[column.Unit],
			Precision: column.Precision, Scale: column.Scale,
		}
	}
	return all
}

func (c *Config) checkColumns(report func(key, message, remedy string)) {
	for _, path := range slices.Sorted(maps.Keys(c.Columns)) {
		switch f, ok := formats[c.Format]; {
		case c.Builtin != "":
			report("columns."+path, "the built-in contract "+c.Builtin+" settles this", "remove it, or remove builtin")
			continue
		case ok && !f.columns:
			report("columns."+path, "format: "+c.Format+" settles this", "remove it")
			continue
		}
		if bare := decode.WithoutMarks(path); bare != path {
			if _, twice := c.Columns[bare]; twice {
				report("columns."+path, bare+" is there too, which is the same column", "keep one of them")
			}
		}
		c.Columns[path].Check(func(key, message, remedy string) { report("columns."+path+"."+key, message, remedy) })
	}
}

func (c *Config) checkPattern(report func(key, message, remedy string)) {
	if c.TopicPattern == "" {
		return
	}
	if c.Topic != "" {
		report("topic_pattern", "there is a topic too", "keep one of them")
	}
	re, err := wholeName(c.TopicPattern)
	switch {
	case err != nil:
		report("topic_pattern", err.Error(),
			`write a regular expression that the whole name matches, for example orders\..*`)
	case re.MatchString(""):
		report("topic_pattern", fmt.Sprintf("%q matches any name, even none", c.TopicPattern),
			`write what the names have in common, for example orders\..*`)
	}
}

// wholeName compiles a topic_pattern.
func wholeName(expression string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(expression); err != nil {
		return nil, err // without what is put around it
	}
	return regexp.Compile("^(?:" + expression + ")$")
}

func (c *Config) checkBuiltin(report func(key, message, remedy string)) {
	if _, ok := builtins[c.Builtin]; !ok {
		report("builtin", fmt.Sprintf("there is no built-in contract %q", c.Builtin),
			"choose "+strings.Join(builtinNames(), " or ")+", or give format and schema")
	}
	for _, settled := range []struct {
		key string
		set bool
	}{
		{"format", c.Format != ""},
		{"schema", c.Schema != ""},
		{"subject", c.Subject != ""},
		{"payload", c.Payload != ""},
		{"event_id", c.EventID != ""},
		{"event_time", c.EventTime != EventTime{}},
	} {
		if settled.set {
			report(settled.key, "the built-in contract "+c.Builtin+" settles this", "remove it, or remove builtin")
		}
	}
}

var rawKinds = []string{"bytes", "string", "json"}

func (c *Config) checkSchema(report func(key, message, remedy string)) {
	f, ok := formats[c.Format]
	if !ok {
		report("format", fmt.Sprintf("the format is %q", c.Format),
			"choose "+strings.Join(formatNames(), ", ")+" and give a schema, or write builtin: "+
				strings.Join(builtinNames(),
					" or "))
	}
	switch {
	case c.Format != "raw" && c.As != "":
		report("as", "only format: raw has it", "remove it")
	case c.As != "" && !slices.Contains(rawKinds, c.As):
		report("as", fmt.Sprintf("%q is not one of the choices", c.As), "choose "+strings.Join(rawKinds, ", "))
	case f.schema == "" && ok && c.Schema != "":
		report("schema", "format: "+c.Format+" has none", "remove it")
	case c.Format != "protobuf" && c.Message != "":
		report("message", "only format: protobuf has it", "remove it")
	}
	for _, needed := range []struct {
		key, value, remedy string
		needed             bool
	}{
		{"topic", c.Topic + c.TopicPattern, "name the Kafka topic, or give a topic_pattern", true},
		{
			"schema", c.Schema + c.Subject,
			"name " + f.schema + " of the payload, relative to this file, or a subject of the schema registry",
			f.schema != "",
		},
		{
			"message", c.Message, "name the payload's message in full, for example shop.v1.Order",
			c.Format == "protobuf" &&
				c.Subject == "",
		},
		{"table", c.Table, "name the table that the rows go to", true},
	} {
		if needed.needed && needed.value == "" {
			report(needed.key, "it is missing", needed.remedy)
		}
	}
	if len(c.Types) == 0 {
		report("types", "it is missing", "list the types to take, or [\"*\"] to take every record of the topic")
	}
	if c.Payload != "" && !columnName.MatchString(c.Payload) {
		report("payload", fmt.Sprintf("%q is no name of a column", c.Payload), "use letters, digits and underscores")
	}
	if c.EventTime.Field == "" && c.EventTime.Unit != "" {
		report("event_time.field", "there is a unit and no field", "name the payload field, or remove event_time")
	}
}
