package contract

import (
	"regexp"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// Config is one entry of `contracts:`: the records of a topic that carry certain types, and the table they become rows of.
//
// An entry is built in (`builtin:`), which settles everything and lets the rest be overridden where that makes sense, or described by a
// schema (`format:` and `schema:`). Several entries may share a topic, each with a table of its own.
type Config struct {
	// Topic is the Kafka topic. Default: that of the built-in contract.
	Topic string `yaml:"topic"`
	// Builtin names a built-in contract: delivery.v6 or stock.v1.
	Builtin string `yaml:"builtin"`
	// Format is the format of the payload: avro. A payload is one bare datum, or an object container file with one datum.
	Format string `yaml:"format"`
	// Framing says what comes before the payload: none, or confluent, where a zero byte and the id of the writer's schema do. The
	// schema registry has the schema, and what it has is read as the contract's. Default: none.
	Framing string `yaml:"framing"`
	// Schema is the file of the payload's schema, relative to the configuration file.
	Schema string `yaml:"schema"`
	// Subject is where the schema registry has the payload's schema, instead of a file. SubjectVersion is latest, as of the start, or
	// a number. Default: latest.
	Subject        string `yaml:"subject"`
	SubjectVersion string `yaml:"subject_version"`
	// Table is `table`, `dataset.table` or `project.dataset.table`; the writer's configuration fills in the rest.
	Table string `yaml:"table"`
	// Payload names the column that holds the payload. Default: payload.
	Payload string `yaml:"payload"`
	// TypeHeader is the record header that names the type. Default: item_type_name. The same for all entries of a topic.
	TypeHeader string `yaml:"type_header"`
	// Types are the types taken: exact names, `prefix.*` for all that start so, `*` for all, records without the header
	// included. An exact name goes before a prefix, a longer prefix before a shorter one.
	Types []string `yaml:"types"`
	// Ignore are the types, written likewise, whose records become neither rows nor dead letters.
	Ignore []string `yaml:"ignore"`
	// EventID is the path of the payload field that identifies the event, for example order.id. Default: topic/partition/offset.
	EventID string `yaml:"event_id"`
	// EventTime is the payload field that says when the event happened. Default: none, the column is null.
	EventTime EventTime `yaml:"event_time"`
	// TopicVersion is the topic's version. Default: from a `_v6_` in the topic's name, else null.
	TopicVersion string `yaml:"topic_version"`
	// PartitionBy is the TIMESTAMP column that a new table is partitioned on: event_time, ingest_time, kafka_timestamp or
	// none. Default: event_time.
	PartitionBy string `yaml:"partition_by"`
	// PartitionUnit is the length of a partition: hour, day, month or year. Default: day.
	PartitionUnit string `yaml:"partition_unit"`
	// ClusterBy are the envelope's columns that a new table is clustered by, at most four, or none. Default: event_type.
	ClusterBy []string `yaml:"cluster_by"`
	// Evolution says what becomes of a table that lacks columns of the contract: off leaves it as it is, additive adds them. With
	// framing and the latest version of a subject, additive also lets the contract grow while it is in use. Default: off.
	Evolution string `yaml:"evolution"`
	// Tombstones says what becomes of records with a null value: ignore or dead_letter. Default: ignore. The same for all entries
	// of a topic.
	Tombstones string `yaml:"tombstones"`
}

// EventTime names a payload field that says when the event happened.
type EventTime struct {
	// Field is its path: an int, a long or a timestamp.
	Field string `yaml:"field"`
	// Unit is what an int or long counts since 1970: s, ms, us, ns, or auto, which tells by magnitude. Default: auto.
	Unit string `yaml:"unit"`
}

const (
	defaultTypeHeader = "item_type_name"
	defaultPayload    = "payload"
	none              = "none"

	tombstonesIgnore     = "ignore"
	tombstonesDeadLetter = "dead_letter"

	framingConfluent  = "confluent"
	evolutionOff      = "off"
	evolutionAdditive = "additive"
	latest            = "latest"
)

var (
	partitionColumns = []string{"event_time", "ingest_time", "kafka_timestamp", none}
	clusterColumns   = []string{
		"event_id", "event_type", "item_type", "event_time", "ingest_time", "topic_version",
		"kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp",
	}
	partitionUnits = map[string]lanev1.PartitionUnit{
		"hour": lanev1.PartitionUnit_PARTITION_UNIT_HOUR, "day": lanev1.PartitionUnit_PARTITION_UNIT_DAY,
		"month": lanev1.PartitionUnit_PARTITION_UNIT_MONTH, "year": lanev1.PartitionUnit_PARTITION_UNIT_YEAR,
	}

	topicName  = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)
	tableName  = regexp.MustCompile(`^([a-zA-Z0-9:.-]+\.)?([a-zA-Z0-9_]+\.)?[\pL\pN\pM\p{Pc}\p{Pd} ]+$`)
	columnName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,299}$`)
	versionTag = regexp.MustCompile(`_(v[0-9]+)(_|$)`)
)

// withDefaults fills in what the entry leaves out. Call it on an entry that Check finds nothing about.
func (c Config) withDefaults() Config {
	if b, ok := builtins[c.Builtin]; ok {
		c.Format = "avro"
		c.Topic = or(c.Topic, b.topic)
		c.Table = or(c.Table, b.table)
		c.Payload, c.EventID, c.EventTime = b.payload, b.eventID, EventTime{Field: b.eventTime, Unit: "auto"}
		if len(c.Types) == 0 {
			c.Types = b.types
		}
	}
	c.Payload = or(c.Payload, defaultPayload)
	c.TypeHeader = or(c.TypeHeader, defaultTypeHeader)
	c.EventTime.Unit = or(c.EventTime.Unit, "auto")
	c.PartitionBy = or(c.PartitionBy, "event_time")
	c.PartitionUnit = or(c.PartitionUnit, "day")
	c.Framing = or(c.Framing, none)
	c.Evolution = or(c.Evolution, evolutionOff)
	c.SubjectVersion = or(c.SubjectVersion, latest)
	c.Tombstones = or(c.Tombstones, tombstonesIgnore)
	if len(c.ClusterBy) == 0 {
		c.ClusterBy = []string{"event_type"}
	}
	if c.TopicVersion == "" {
		if found := versionTag.FindStringSubmatch(c.Topic); found != nil {
			c.TopicVersion = found[1]
		}
	}
	return c
}

// NeedsRegistry says whether the entry reads schemas from a registry.
func (c *Config) NeedsRegistry() bool { return c.Subject != "" || c.Framing == framingConfluent }

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
