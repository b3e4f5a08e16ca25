package deadletter

import (
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/pkg/version"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// Bounds of what is said about a record: it can hold foreign text, such as the names of a document's fields. maxText
// and maxField are what a letter carries at first, minText is what it carries when the topic takes so little.
const (
	maxText  = 8 << 10
	maxField = 2 << 10
	minText  = 128
)

// maxLetter is the size in bytes of the largest letter that the producer takes. The bound of the broker decides about
// smaller ones.
const maxLetter = 99 << 20

// draft is a dead letter on its way. It holds all that a letter can say, so that it can be laid out again with less.
type draft struct {
	letter  lane.DeadLetter
	at      time.Time
	without parts
}

// parts are what a letter can do without.
type parts struct{ value, key, headers, text bool }

// newDraft copies a letter. It has bytes of its own: those of the record are used for others once the lane has settled
// it, and nobody but the producer knows for how long it looks at a message.
func newDraft(letter *lane.DeadLetter, at time.Time) *draft {
	d := &draft{letter: *letter, at: at}
	d.letter.Record = letter.Record.Clone()
	d.letter.Err, d.letter.Field = cut(letter.Err, maxText), cut(letter.Field, maxField)
	return d
}

// cut bounds a text, at the end of a character, and says how much is missing.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := most
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return fmt.Sprintf("%s… (%d bytes more)", text[:end], len(text)-end)
}

// letterVersion is what the header of letters and marks says of who wrote them.
func letterVersion(layout int) string { return strconv.Itoa(layout) + "/" + version.String() }

// message lays out a dead letter: the record as it was, and headers that say why and from where.
func (w *Writer) message(d *draft) *sarama.ProducerMessage {
	r := d.letter.Record
	place := Place{r.Topic, r.Partition, r.Offset}
	headers := make([]sarama.RecordHeader, 0, len(r.Headers)+16)
	if !d.without.headers {
		headers = append(headers, headersOf(r)...)
	}
	add := func(key, value string) { headers = append(headers, header(key, value)) }
	layout := wholeLayout
	if d.without.headers || d.without.key {
		layout = partialLayout
	}
	text, field := d.letter.Err, d.letter.Field
	if d.without.text {
		text, field = cut(text, minText), cut(field, minText)
	}
	add(headerVersion, letterVersion(layout))
	add(headerReason, d.letter.Reason)
	add(headerError, text)
	add(headerContract, d.letter.Contract)
	add(headerTopic, r.Topic)
	add(headerPartition, strconv.Itoa(int(r.Partition)))
	add(headerOffset, strconv.FormatInt(r.Offset, 10))
	add(headerTime, d.at.UTC().Format(letterTime))
	if r.TimestampMicros >= 0 {
		add(headerTimestamp, strconv.FormatInt(r.TimestampMicros/1000, 10))
	}
	if field != "" {
		add(headerField, field)
	}
	if d.letter.Byte >= 0 {
		add(headerByte, strconv.Itoa(d.letter.Byte))
	}
	switch {
	case d.without.key:
		add(headerKeyLeftOut, strconv.Itoa(len(r.Key)))
	case r.Key != nil:
		headers = append(headers, sarama.RecordHeader{Key: []byte(headerKey), Value: r.Key})
	}
	if d.without.headers {
		add(headerHeadersLeftOut, fmt.Sprintf("%d/%d", len(r.Headers), d.headerBytes()))
	}
	m := &sarama.ProducerMessage{
		Topic: w.config.Topic(r.Topic), Headers: headers, Key: sarama.StringEncoder(place.String()), Metadata: d,
	}
	switch {
	case d.without.value:
		m.Headers = append(m.Headers, header(headerValueLeftOut, strconv.Itoa(len(r.Value))))
	case r.Value != nil:
		m.Value = sarama.ByteEncoder(r.Value)
	}
	return m
}

// headerBytes are the bytes of the record's headers.
func (d *draft) headerBytes() (n int) {
	for _, h := range d.letter.Record.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

// shorten lays a letter that the dead-letter topic does not take out again, without the largest part that it has, and
// says so in a header: the place of the original is in the others, and its partition must go on. ok is false when
// nothing is left that could be left out.
func (w *Writer) shorten(m *sarama.ProducerMessage) (shorter *sarama.ProducerMessage, ok bool) {
	d := *m.Metadata.(*draft)
	r := d.letter.Record
	sizes := []struct {
		bytes int
		out   *bool
	}{
		{len(r.Value), &d.without.value},
		{d.headerBytes(), &d.without.headers},
		{len(r.Key), &d.without.key},
		{len(d.letter.Err) + len(d.letter.Field) - 2*minText, &d.without.text},
	}
	var largest *bool
	most := 0
	for _, s := range sizes {
		if !*s.out && s.bytes > most {
			largest, most = s.out, s.bytes
		}
	}
	if largest == nil {
		return m, false
	}
	*largest = true
	return w.message(&d), true
}
