package contract

import (
	"strconv"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// memo is the encoded envelope fields that are the same from record to record of a partition. It belongs to one
// Contract, hence to one lane.
type memo struct {
	// topic and partition are those of origin and prefix, ingest is the time of ingestion in origin.
	topic     string
	partition int32
	ingest    int64
	known     bool
	// origin is ingest_time, topic_version, kafka_topic and kafka_partition; prefix is topic/partition/, how an event's
	// identity starts by default. The records of a fetch are ingested at one time.
	origin, prefix []byte
	// spot is the event's identity by default, as a field, of the offsets that differ from era*spotRange in their last
	// digits only.
	spot []byte
	era  int64
}

// move makes the memo one of the record's partition, and of the time of ingestion in microseconds since the epoch.
func (m *memo) move(r *record.Record, version string, ingest int64) {
	same := m.known && m.partition == r.Partition && m.topic == r.Topic
	if same && m.ingest == ingest {
		return
	}
	m.ingest = ingest
	m.origin = appendNumber(m.origin[:0], tagIngestTime, ingest)
	if version != "" {
		m.origin = appendText(m.origin, tagTopicVersion, version)
	}
	m.origin = appendText(m.origin, tagKafkaTopic, r.Topic)
	m.origin = appendNumber(m.origin, tagKafkaPartition, int64(r.Partition))
	if same {
		return
	}
	m.topic, m.partition, m.known = r.Topic, r.Partition, true
	m.spot = m.spot[:0]
	m.prefix = append(append(m.prefix[:0], r.Topic...), '/')
	m.prefix = append(strconv.AppendInt(m.prefix, int64(r.Partition), 10), '/')
}

// spotRange is ten to the number of digits that change within memo.spot.
const spotRange = 10_000

// place is topic/partition/offset as the event's identity. It is valid until the next one.
func (m *memo) place(offset int64) []byte {
	era := offset / spotRange
	if len(m.spot) == 0 || era != m.era || era == 0 {
		digits := 1
		for n := offset; n >= 10; n /= 10 {
			digits++
		}
		m.spot = appendVarint(append(m.spot[:0], tagEventID), uint64(len(m.prefix)+digits))
		m.spot = strconv.AppendInt(append(m.spot, m.prefix...), offset, 10)
		m.era = era
		return m.spot
	}
	last := m.spot[len(m.spot)-4:]
	rest := uint32(offset - era*spotRange)
	last[0], last[1], last[2], last[3] = '0'+byte(rest/1000), '0'+byte(rest/100%10), '0'+byte(rest/10%10),
		'0'+byte(rest%10)
	return m.spot
}
