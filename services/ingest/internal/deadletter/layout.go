package deadletter

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// The layouts of the headers of dead letters and of marks. Layout 1 had no timestamp, field and byte, and its version
// did not name the program's. Layout 3 is that of letters which lack headers or the key of their record: to a program
// that knows layout 2 alone they would look whole, and it would replay them so.
const (
	wholeLayout   = 2
	partialLayout = 3
)

// The headers of dead letters and of marks, which are behind those of the record. headerVersion is the first of them,
// and so divides the two kinds: a record may have headers of the same names.
const (
	headerVersion   = "waybill-version" // layout/version of the program
	headerReason    = "waybill-reason"
	headerError     = "waybill-error"
	headerContract  = "waybill-contract"
	headerTopic     = "waybill-topic"
	headerPartition = "waybill-partition"
	headerOffset    = "waybill-offset"
	headerTime      = "waybill-time"      // when the letter or mark was written
	headerTimestamp = "waybill-timestamp" // the record's own, in milliseconds; absent when it has none
	headerKey       = "waybill-key"       // the record's key; absent when it is null
	headerField     = "waybill-field"     // path of the value at fault, when it is known
	headerByte      = "waybill-byte"      // byte of the value where the fault is, when it is known
	// Sizes of the parts that the dead-letter topic did not take: bytes of the value and of the key; count/bytes of the
	// record's headers.
	headerValueLeftOut   = "waybill-value-left-out"
	headerKeyLeftOut     = "waybill-key-left-out"
	headerHeadersLeftOut = "waybill-headers-left-out"
	headerReplayed       = "waybill-replayed"  // a mark: where the record was produced again
	headerReplayOf       = "waybill-replay-of" // on a record produced again: where it was first
)

const letterTime = "2006-01-02T15:04:05.000000Z07:00"

// Place is where a record is.
type Place struct {
	Topic     string
	Partition int32
	Offset    int64
}

// String writes the place as ParsePlace reads it, which is also the key of a dead letter.
func (p Place) String() string {
	return p.Topic + "/" + strconv.Itoa(int(p.Partition)) + "/" + strconv.FormatInt(p.Offset, 10)
}

// ParsePlace reads topic/partition/offset.
func ParsePlace(s string) (Place, error) {
	head, offset, _ := cutLast(s)
	topic, partition, ok := cutLast(head)
	number, err := strconv.ParseInt(partition, 10, 32)
	at, err2 := strconv.ParseInt(offset, 10, 64)
	if !ok || topic == "" || err != nil || err2 != nil || number < 0 || at < 0 {
		return Place{}, fmt.Errorf("%q is not a place: write topic/partition/offset", s)
	}
	return Place{topic, int32(number), at}, nil
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

// Letter is a dead letter as it is in its topic.
type Letter struct {
	// At is where the letter is.
	At Place
	// Record is the record as it was: place, timestamp, key, value and headers, without the parts that were left out.
	Record record.Record
	// Time is when the letter was written; zero when the letter does not say.
	Time time.Time
	// Reason is a stable word; Contract may be empty; Err says what was wrong.
	Reason, Contract, Err string
	// Field is the path of the value at fault, and Byte where in the value it is: empty and -1 when that is not known.
	Field string
	Byte  int
	// Version is the version of the program that wrote it; empty for layout 1.
	Version string
	// LeftOut are the parts of the record that were too large for the dead-letter topic.
	LeftOut LeftOut
	// Replayed says that a mark for the record is in the topic.
	Replayed bool
}

// LeftOut says how large the parts of a record are that its letter lacks: bytes, or for Headers their number; -1 for
// what the letter has.
type LeftOut struct{ Value, Key, Headers, HeaderBytes int }

// Any says that the letter lacks a part, so that the record cannot be made again from it.
func (o LeftOut) Any() bool { return o.Value >= 0 || o.Key >= 0 || o.Headers >= 0 }

// String names the parts: "the value (123 bytes), 4 headers (567 bytes)".
func (o LeftOut) String() string {
	var parts []string
	if o.Value >= 0 {
		parts = append(parts, fmt.Sprintf("the value (%d bytes)", o.Value))
	}
	if o.Key >= 0 {
		parts = append(parts, fmt.Sprintf("the key (%d bytes)", o.Key))
	}
	if o.Headers >= 0 {
		parts = append(parts, fmt.Sprintf("the headers (%d of %d bytes)", o.Headers, o.HeaderBytes))
	}
	return strings.Join(parts, ", ")
}

// Of is the place of the record.
func (l *Letter) Of() Place { return Place{l.Record.Topic, l.Record.Partition, l.Record.Offset} }

// kind of a record in a dead-letter topic.
type kind int

const (
	isLetter  kind = iota
	isMark         // the record of the place was produced again
	isForeign      // somebody else's
)

var errNoLetter = errors.New("it has not the headers of a dead letter")

// readLetter takes a record of a dead-letter topic apart. l is filled for a letter, place for a letter and a mark. The
// letter shares the bytes of r. The error of a foreign record says what is wrong with it.
func readLetter(r *record.Record) (l Letter, place Place, k kind, err error) {
	first := -1
	for i := range slices.Backward(r.Headers) {
		if string(r.Headers[i].Key) == headerVersion {
			first = i
			break
		}
	}
	if first < 0 {
		return l, place, isForeign, errNoLetter
	}
	own := r.Headers[first:]
	get := func(key string) (string, bool) {
		i := slices.IndexFunc(own, func(h record.Header) bool { return string(h.Key) == key })
		if i < 0 {
			return "", false
		}
		return string(own[i].Value), true
	}
	if _, ok := get(headerReplayed); ok {
		place, err = ParsePlace(string(r.Key))
		if err != nil {
			return l, place, isForeign, err
		}
		return l, place, isMark, nil
	}
	text := func(key string) string { s, _ := get(key); return s }
	place, err = ParsePlace(text(headerTopic) + "/" + text(headerPartition) + "/" + text(headerOffset))
	if err != nil || text(headerReason) == "" {
		return l, place, isForeign, errors.Join(errNoLetter, err)
	}
	layout, version, _ := strings.Cut(text(headerVersion), "/")
	if n, err := strconv.Atoi(layout); err != nil || n < 1 || n > partialLayout {
		return l, place, isForeign, fmt.Errorf("its layout %q is not known to this version of the program", layout)
	}
	number := func(key string) int64 { // -1 when absent
		n, err := strconv.ParseInt(text(key), 10, 64)
		if err != nil || n < 0 {
			return -1
		}
		return n
	}
	l = Letter{
		At:     Place{r.Topic, r.Partition, r.Offset},
		Reason: text(headerReason), Contract: text(headerContract), Err: text(headerError), Version: version,
		Field: text(headerField), Byte: int(number(headerByte)),
		LeftOut: LeftOut{
			Value: int(number(headerValueLeftOut)), Key: int(number(headerKeyLeftOut)), Headers: -1, HeaderBytes: -1,
		},
		Record: record.Record{
			Topic: place.Topic, Partition: place.Partition, Offset: place.Offset, TimestampMicros: -1, Value: r.Value,
			Headers: r.Headers[:first:first],
		},
	}
	if at, err := time.Parse(time.RFC3339Nano, text(headerTime)); err == nil {
		l.Time = at
	}
	if count, bytes, ok := strings.Cut(text(headerHeadersLeftOut), "/"); ok {
		n, err := strconv.Atoi(count)
		size, err2 := strconv.Atoi(bytes)
		if err != nil || err2 != nil || n < 0 || size < 0 {
			return l, place, isForeign, fmt.Errorf("its header %s is not count/bytes", headerHeadersLeftOut)
		}
		l.LeftOut.Headers, l.LeftOut.HeaderBytes = n, size
	}
	const largest = int64(1) << 62 / 1000
	if ms := number(headerTimestamp); ms >= 0 && ms <= largest {
		l.Record.TimestampMicros = ms * 1000
	}
	if i := slices.IndexFunc(own, func(h record.Header) bool { return string(h.Key) == headerKey }); i >= 0 {
		if l.Record.Key = own[i].Value; l.Record.Key == nil {
			l.Record.Key = []byte{} // the header is absent when the key is null
		}
	}
	return l, place, isLetter, nil
}

// replayed lays out the record of a letter as it was, with a header that names the place it was first at.
func (l *Letter) replayed(keepTimestamp bool) *sarama.ProducerMessage {
	r := &l.Record
	headers := slices.DeleteFunc(headersOf(r), func(h sarama.RecordHeader) bool {
		return bytes.Equal(h.Key,
			[]byte(headerReplayOf))
	})
	m := &sarama.ProducerMessage{Topic: r.Topic, Partition: r.Partition, Headers: append(headers, header(headerReplayOf,
		l.Of().String()))}
	if r.Key != nil {
		m.Key = sarama.ByteEncoder(r.Key)
	}
	if r.Value != nil {
		m.Value = sarama.ByteEncoder(r.Value)
	}
	if keepTimestamp && r.TimestampMicros >= 0 {
		m.Timestamp = time.UnixMicro(r.TimestampMicros)
	}
	return m
}

// mark lays out what says that a letter's record is at a place again. Its value is empty and not null: in a compacted
// topic it takes the letter's place and stays.
func (l *Letter) mark(at Place, version string, now time.Time) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{
		Topic: l.At.Topic, Partition: l.At.Partition, Key: sarama.StringEncoder(l.Of().String()),
		Value: sarama.ByteEncoder{}, Headers: []sarama.RecordHeader{
			header(headerVersion, version), header(headerReplayed, at.String()), header(headerTime,
				now.UTC().Format(letterTime)),
		},
	}
}

func header(key, value string) sarama.RecordHeader {
	return sarama.RecordHeader{Key: []byte(key), Value: []byte(value)}
}

func headersOf(r *record.Record) []sarama.RecordHeader {
	headers := make([]sarama.RecordHeader, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = sarama.RecordHeader{Key: h.Key, Value: h.Value}
	}
	return headers
}
