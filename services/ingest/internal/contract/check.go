package contract

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Check reports what is wrong with the entry by itself.
func (c *Config) Check(report func(key, message, remedy string)) {
	if c.Builtin != "" {
		c.checkBuiltin(report)
	} else {
		c.checkSchema(report)
	}
	if c.Topic != "" && !topicName.MatchString(c.Topic) {
		report("topic", fmt.Sprintf("%q is no name of a Kafka topic", c.Topic), "use letters, digits, dots, underscores and hyphens")
	}
	if c.Table != "" && (!tableName.MatchString(c.Table) || strings.Count(c.Table, ".") > 2) {
		report("table", fmt.Sprintf("%q is no name of a table", c.Table), "write table, dataset.table or project.dataset.table")
	}
	for _, list := range []struct {
		key   string
		types []string
	}{{"types", c.Types}, {"ignore", c.Ignore}} {
		for _, name := range list.types {
			if _, err := parsePattern(name); err != nil {
				report(list.key, err.Error(), "write an exact name, prefix.* or *")
			}
		}
	}
	oneOf := func(key, value string, allowed ...string) {
		if value != "" && !slices.Contains(allowed, value) {
			report(key, fmt.Sprintf("%q is not one of the choices", value), "choose "+strings.Join(allowed, ", "))
		}
	}
	oneOf("framing", c.Framing, none, framingConfluent)
	oneOf("evolution", c.Evolution, evolutionOff, evolutionAdditive)
	c.checkSubject(report)
	oneOf("tombstones", c.Tombstones, tombstonesIgnore, tombstonesDeadLetter)
	oneOf("partition_by", c.PartitionBy, partitionColumns...)
	oneOf("partition_unit", c.PartitionUnit, "hour", "day", "month", "year")
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

func (c *Config) checkBuiltin(report func(key, message, remedy string)) {
	if _, ok := builtins[c.Builtin]; !ok {
		report("builtin", fmt.Sprintf("there is no built-in contract %q", c.Builtin), "choose "+strings.Join(builtinNames(), " or ")+", or give format and schema")
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

func (c *Config) checkSchema(report func(key, message, remedy string)) {
	f, ok := formats[c.Format]
	if !ok {
		report("format", fmt.Sprintf("the format is %q", c.Format),
			"choose "+strings.Join(formatNames(), ", ")+" and give a schema, or write builtin: "+strings.Join(builtinNames(), " or "))
	}
	for _, needed := range []struct {
		key, value, remedy string
		needed             bool
	}{
		{"topic", c.Topic, "name the Kafka topic", true},
		{"schema", c.Schema + c.Subject, "name " + f.schema + " of the payload, relative to this file, or a subject of the schema registry", f.schema != ""},
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
