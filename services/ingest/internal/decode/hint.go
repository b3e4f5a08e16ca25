package decode

// hints are the columns that names of Kafka Connect's types stand for, where the type that carries the values does not
// say it: a schema's `connect.name` in Avro, its `title` in JSON Schema. Sources: Kafka Connect,
// org.apache.kafka.connect.data; Debezium, "Temporal types" and "JSON types" of its connectors.
//
// A Debezium Timestamp is of no zone, a ZonedTimestamp of one.
var hints = map[string]Column{
	"org.apache.kafka.connect.data.Date":      {Type: Date},
	"org.apache.kafka.connect.data.Time":      {Type: Time, Unit: Millis},
	"org.apache.kafka.connect.data.Timestamp": {Type: Timestamp, Unit: Millis},
	"org.apache.kafka.connect.data.Decimal":   {Type: BigNumeric},
	"io.debezium.time.Date":                   {Type: Date},
	"io.debezium.time.Time":                   {Type: Time, Unit: Millis},
	"io.debezium.time.MicroTime":              {Type: Time, Unit: Micros},
	"io.debezium.time.NanoTime":               {Type: Time, Unit: Nanos},
	"io.debezium.time.Timestamp":              {Type: DateTime, Unit: Millis},
	"io.debezium.time.MicroTimestamp":         {Type: DateTime, Unit: Micros},
	"io.debezium.time.NanoTimestamp":          {Type: DateTime, Unit: Nanos},
	"io.debezium.time.ZonedTimestamp":         {Type: Timestamp},
	"io.debezium.data.Json":                   {Type: JSON},
	"io.debezium.data.VariableScaleDecimal":   {Type: BigNumeric},
}

// HintOf is the column that a name of Kafka Connect's or Debezium's stands for; nil if for none.
func HintOf(name string) *Column {
	if c, ok := hints[name]; ok {
		return &c
	}
	return nil
}
