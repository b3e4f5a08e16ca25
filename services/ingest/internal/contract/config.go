package contract

import (
	"cmp"
	"regexp"

	"github.com/waybill-data/waybill/pkg/config"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// Config is one entry of `contracts:`: the records of a topic that carry certain types, and the table they become rows
// of.
//
// An entry is built in (`builtin:`), which settles everything and lets the rest be overridden where that makes sense,
// or described by a schema (`format:` and `schema:`). Several entries may share a topic, each with a table of its own.
// What is of the topic (TypeHeader, Unknown, Tombstones) one of them may say for all.
type Config struct {
	// Name is what the contract is called in logs, metrics, dead letters and by --contract; no two share one. Default:
	// the built-in contract's, the subject, the schema file's without its extension, or the table of a raw payload.
	Name string `yaml:"name"`
	// Topic is the Kafka topic. Default: that of the built-in contract.
	Topic string `yaml:"topic"`
	// TopicPattern is a regular expression (RE2) that the whole name of a topic matches, instead of Topic. Each topic
	// it matches has the contracts of all entries with this very pattern. Entries that name a topic go before patterns;
	// a topic that two patterns match is refused.
	TopicPattern string `yaml:"topic_pattern"`
	// Builtin names a built-in contract: delivery.v6 or stock.v1.
	Builtin string `yaml:"builtin"`
	// Format is the format of the payload: avro (one bare datum, or an object container file with one datum), json (one
	// object), protobuf (one message) or raw (the payload as it is, see As).
	Format string `yaml:"format"`
	// Framing says what comes before the payload: none, or confluent, where a zero byte and the id of the writer's
	// schema do. The schema registry has the schema, and what it has is read as the contract's. Default: none.
	Framing string `yaml:"framing"`
	// Schema is the file of the payload's schema, relative to the configuration file: .avsc, or for json also a JSON
	// Schema, .json.
	Schema string `yaml:"schema"`
	// Subject is where the schema registry has the payload's schema, instead of a file. SubjectVersion is latest, as of
	// the start, or a number. Default: latest.
	Subject        string `yaml:"subject"`
	SubjectVersion string `yaml:"subject_version"`
	// UnfitSchema says what becomes of records whose schema, met on the way, does not fit the contract (a changed type,
	// a name that clashes, columns beyond BigQuery's limits): dead_letter, which refuses what does not fit, or wait,
	// where the lane waits for the operator before the first of them. Default: dead_letter.
	UnfitSchema string `yaml:"unfit_schema"`
	// Message is the full name of the payload's message in a descriptor set, for example shop.v1.Order. Of a subject it
	// is the first one unless it is named.
	Message string `yaml:"message"`
	// As says what a raw payload is, and so the column's type: bytes (BYTES), string (STRING, checked to be UTF-8) or
	// json (JSON, checked to be one value). Default: bytes.
	As string `yaml:"as"`
	// UnknownFields says what becomes of fields of a JSON or protobuf payload that the schema does not know: refuse;
	// drop; or, of JSON, keep, in the payload's column _extra. Default: refuse of JSON; drop of protobuf, whose
	// producers may be newer.
	UnknownFields string `yaml:"unknown_fields"`
	// Mode says how JSON values are held to the schema: strict, or lenient, which takes numbers in quotes and the like.
	// Default: strict.
	Mode string `yaml:"mode"`
	// Table is `table`, `dataset.table` or `project.dataset.table`; the writer's configuration fills in the rest.
	Table string `yaml:"table"`
	// Payload names the column that holds the payload. Default: payload.
	Payload string `yaml:"payload"`
	// TypeHeader is the record header that names the type. Default: item_type_name. It is the topic's.
	TypeHeader string `yaml:"type_header"`
	// TypeFrom says what names the type of a record: header, or schema, which is the full name of the record or message
	// that it is written with (of a JSON Schema its title). Default: header. It is the topic's.
	TypeFrom string `yaml:"type_from"`
	// Types are the types taken: exact names, `prefix.*` for all that start so, `*` for all, records without the header
	// included. An exact name goes before a prefix, a longer prefix before a shorter one.
	Types []string `yaml:"types"`
	// Ignore are the types, written likewise, whose records become neither rows nor dead letters.
	Ignore []string `yaml:"ignore"`
	// Unknown says what becomes of records whose type no entry takes: dead_letter, ignore or table. Default:
	// dead_letter. It is the topic's.
	Unknown string `yaml:"unknown"`
	// UnknownTable is the table of such records when Unknown is table: the envelope, and the value as it is in a BYTES
	// column, payload.
	UnknownTable string `yaml:"unknown_table"`
	// Columns are what some columns are to be in place of what docs/types.md says, by the path of the payload field
	// without the marks of arrays: order.total, or order.lines.price for the price of each line.
	Columns map[string]Column `yaml:"columns"`
	// Hints says whether what sources such as Kafka Connect leave in schemas beside types counts: heed or ignore.
	// Default: heed.
	Hints string `yaml:"hints"`
	// PayloadPath is the path of a record in the payload that is the payload's column in place of the whole, for
	// example after. Where there is no record there, the column is null. All other paths stay those of the whole
	// payload. Default: none.
	PayloadPath string `yaml:"payload_path"`
	// Operation is a text field of the payload, such as op, that becomes the column operation. It goes with
	// PayloadPath.
	Operation string `yaml:"operation"`
	// CloudEvents says that the headers of records are those of CloudEvents: binary takes the type from ce_type, the
	// identity from ce_id and the time from ce_time. Default: none.
	CloudEvents string `yaml:"cloudevents"`
	// EventID is the path of the payload field that identifies the event, for example order.id. Default:
	// topic/partition/offset.
	EventID string `yaml:"event_id"`
	// EventTime is the payload field that says when the event happened. Default: none, the column is null.
	EventTime EventTime `yaml:"event_time"`
	// Dates say which dates and times are far away, and what becomes of them.
	Dates Dates `yaml:"dates"`
	// TopicVersion is the topic's version. Default: from a `_v6_` in the topic's name, else null.
	TopicVersion string `yaml:"topic_version"`
	// Key says what becomes of the record's key: keep (the column kafka_key), omit, or event_id, which keeps it and
	// makes it, as text, the identity of the event. Default: keep.
	Key string `yaml:"key"`
	// Delivery is exactly_once or at_least_once. Default: exactly_once.
	Delivery string `yaml:"delivery"`
	// Evolution says what the writer may change in a table that lacks columns of the rows: off or additive. With
	// framing and the latest version of a subject, additive also lets the contract grow while it is in use. Default:
	// off.
	Evolution string `yaml:"evolution"`
	// MissingValues says what becomes of columns that a row leaves out and that have a default value in the table:
	// null, or default, which has BigQuery fill it in. Default: null.
	MissingValues string `yaml:"missing_values"`
	// PartitionBy is the TIMESTAMP column that a new table is partitioned on: event_time, ingest_time or
	// kafka_timestamp; ingestion for BigQuery's own time of ingestion, or none. Default: event_time; of a raw payload,
	// which tells none, ingest_time.
	PartitionBy string `yaml:"partition_by"`
	// PartitionUnit is the length of a partition: hour, day, month or year. Default: day.
	PartitionUnit string `yaml:"partition_unit"`
	// ClusterBy are the envelope's columns that a new table is clustered by, at most four, or none. Default:
	// event_type.
	ClusterBy []string `yaml:"cluster_by"`
	// Tombstones says what becomes of records with a null value: ignore, dead_letter or row, which routes them by their
	// header as any record and leaves the payload null. Default: ignore. It is the topic's.
	Tombstones string `yaml:"tombstones"`
	// Freshness says how old the table may be. Default: no goal, it is fresh whatever its age.
	Freshness Freshness `yaml:"freshness"`

	place config.Place
}

// SetPlace tells the entry where it stands.
func (c *Config) SetPlace(p config.Place) { c.place = p }

// Column is what one column is to be.
type Column struct {
	// Name is the column's name in place of the field's.
	Name string `yaml:"name"`
	// Skip leaves the field out of the table, with all that is in it.
	Skip bool `yaml:"skip"`
	// Type is JSON, GEOGRAPHY, NUMERIC, BIGNUMERIC, FLOAT, DATE, TIME, DATETIME, TIMESTAMP, INTERVAL, RANGE, STRING,
	// INTEGER or RECORD. Default: what the type map says.
	Type string `yaml:"type"`
	// Whole makes one JSON column of a list, and not one value of each of its items. A list whose items do not become
	// JSON by themselves, such as numbers, is whole without it, and so is a map.
	Whole bool `yaml:"whole"`
	// Unit is what a whole number counts that becomes a TIMESTAMP, DATETIME, DATE or TIME: s, ms, us, ns, or auto,
	// which tells by magnitude and is the default. A DATE counts days without one, a TIME needs one.
	Unit string `yaml:"unit"`
	// Precision and Scale are the digits of a NUMERIC or BIGNUMERIC, and those behind the point. Default: as many as
	// BigQuery takes.
	Precision int `yaml:"precision"`
	Scale     int `yaml:"scale"`
}

// Dates are what a contract says of DATE, DATETIME and TIMESTAMP values that are far away, the event's time included:
// those out of BigQuery's range, the years 1 to 9999, and those that stand for none in the field, such as 0001-01-01.
type Dates struct {
	// From and To are the first and the last that are not far away: a date, or a time with a zone. Default: BigQuery's.
	From string `yaml:"from"`
	To   string `yaml:"to"`
	// Beyond is what becomes of the others: dead_letter, set_null, or clamp, which makes From or To of them. Default:
	// dead_letter.
	Beyond string `yaml:"beyond"`
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
	ingestion         = "ingestion"

	tombstonesRow = "row"

	toDeadLetter = "dead_letter" // of unknown types and of tombstones
	toNothing    = "ignore"      // likewise
	toTable      = "table"       // of unknown types

	typeFromSchema = "schema"

	unfitWaits = "wait"

	keyKeep    = "keep"
	keyOmit    = "omit"
	keyEventID = "event_id"

	hintsHeed   = "heed"
	hintsIgnore = "ignore"

	framingConfluent  = "confluent"
	evolutionAdditive = "additive"
	latest            = "latest"
)

var (
	partitionColumns = []string{"event_time", "ingest_time", "kafka_timestamp", ingestion, none}
	clusterColumns   = []string{
		"event_id", "event_type", "item_type", "event_time", "ingest_time", "topic_version",
		"kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp",
	}
	missingValues = map[string]lanev1.MissingValues{
		"null": lanev1.MissingValues_MISSING_VALUES_NULL, "default": lanev1.MissingValues_MISSING_VALUES_DEFAULT,
	}
	partitionUnits = map[string]lanev1.PartitionUnit{
		"hour": lanev1.PartitionUnit_PARTITION_UNIT_HOUR, "day": lanev1.PartitionUnit_PARTITION_UNIT_DAY,
		"month": lanev1.PartitionUnit_PARTITION_UNIT_MONTH, "year": lanev1.PartitionUnit_PARTITION_UNIT_YEAR,
	}

	deliveries = map[string]lanev1.Delivery{
		"exactly_once": lanev1.Delivery_DELIVERY_EXACTLY_ONCE, "at_least_once": lanev1.Delivery_DELIVERY_AT_LEAST_ONCE,
	}
	evolutions = map[string]lanev1.Evolution{
		"off": lanev1.Evolution_EVOLUTION_OFF, "additive": lanev1.Evolution_EVOLUTION_ADDITIVE,
	}

	topicName  = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)
	columnName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,299}$`)
	versionTag = regexp.MustCompile(`_(v[0-9]+)(_|$)`)
)

// withDefaults fills in what the entry leaves out, but for what is the topic's. Call it on an entry that Check finds
// nothing about.
func (c Config) withDefaults() Config {
	if b, ok := builtins[c.Builtin]; ok {
		c.Format = "avro"
		if c.TopicPattern == "" {
			c.Topic = cmp.Or(c.Topic, b.topic)
		}
		c.Table = cmp.Or(c.Table, b.table)
		c.Payload, c.EventTime = b.payload, EventTime{Field: "timestamp", Unit: "auto"}
		if c.Key != keyEventID {
			c.EventID = b.eventID
		}
		if len(c.Types) == 0 {
			c.Types = b.types
		}
	}
	c.Payload = cmp.Or(c.Payload, defaultPayload)
	if c.CloudEvents == cloudEventsBinary && c.TypeFrom != typeFromSchema {
		c.TypeHeader = cmp.Or(c.TypeHeader, ceType)
	}
	c.EventTime.Unit = cmp.Or(c.EventTime.Unit, "auto")
	c.Key = cmp.Or(c.Key, keyKeep)
	if c.Format == "raw" && c.CloudEvents == "" {
		c.PartitionBy = cmp.Or(c.PartitionBy, "ingest_time") // event_time is null
	}
	c.PartitionBy = cmp.Or(c.PartitionBy, "event_time")
	c.PartitionUnit = cmp.Or(c.PartitionUnit, "day")
	c.Delivery = cmp.Or(c.Delivery, "exactly_once")
	c.Evolution = cmp.Or(c.Evolution, "off")
	c.MissingValues = cmp.Or(c.MissingValues, "null")
	c.Framing = cmp.Or(c.Framing, none)
	c.SubjectVersion = cmp.Or(c.SubjectVersion, latest)
	if len(c.ClusterBy) == 0 {
		c.ClusterBy = []string{"event_type"}
	}
	return c
}

// NeedsRegistry says whether the entry reads schemas from a registry.
func (c *Config) NeedsRegistry() bool { return c.Subject != "" || c.Framing == framingConfluent }

// versionOf is the version that a topic's name tells, or nothing.
func versionOf(topic string) string {
	if found := versionTag.FindStringSubmatch(topic); found != nil {
		return found[1]
	}
	return ""
}
