package kafkawire

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Message is a record of a format before Kafka 0.11. Its slices alias what it was read from, or memory of its own.
type Message struct {
	Offset int64
	// Millis is its timestamp; -1 for none.
	Millis int64
	// Key and Value are nil when they are null.
	Key, Value []byte
}

// Where the fields of a message are. Its size counts from behind itself, its checksum covers what is behind that.
const (
	atMessageSum        = 12
	atMessageAttributes = 17
	atMessageTime       = 18
)

// NextMessages reads the message that raw begins with, the messages that it wraps when it is compressed (up to limit
// bytes of them), and returns what is behind it. last is its offset, which is that of the last one in it.
func NextMessages(raw []byte, limit int) (_ []Message, last int64, rest []byte, err error) {
	outer, attributes, rest, err := nextMessage(raw)
	if err != nil {
		return nil, 0, raw, err
	}
	codec := attributes & codecBits
	if codec == codecNone {
		return []Message{outer}, outer.Offset, rest, nil
	}
	relative := raw[atMagic] == 1
	// Rare enough to be left to the garbage collector.
	m, err := decompressUpTo(codec, outer.Value, limit)
	if err != nil {
		return nil, 0, raw, fmt.Errorf("the message at offset %d: %w", outer.Offset, err)
	}
	var messages []Message
	for inner := m.Bytes(); len(inner) > 0; {
		var next Message
		var nested byte
		if next, nested, inner, err = nextMessage(inner); err == nil && nested&codecBits != codecNone {
			err = fmt.Errorf("compressed twice")
		}
		if err != nil {
			return nil, 0, raw, fmt.Errorf("in the message at offset %d: %w", outer.Offset, err)
		}
		if attributes&appendTimeBit != 0 {
			next.Millis = outer.Millis
		}
		messages = append(messages, next)
	}
	if n := len(messages); relative && n > 0 { // offsets within a message count from its first one
		first := outer.Offset - messages[n-1].Offset
		for i := range messages {
			messages[i].Offset += first
		}
	}
	return messages, outer.Offset, rest, nil
}

// nextMessage reads one message as it is.
func nextMessage(raw []byte) (m Message, attributes byte, rest []byte, err error) {
	if len(raw) <= atMagic {
		return m, 0, raw, ErrCut
	}
	m.Offset, m.Millis = int64(binary.BigEndian.Uint64(raw)), -1
	size := int(int32(binary.BigEndian.Uint32(raw[atLength:])))
	if magic := raw[atMagic]; magic > 1 {
		return m, 0, raw, fmt.Errorf("the message at offset %d is of the unknown format %d", m.Offset, magic)
	}
	head := atMessageTime
	if raw[atMagic] == 1 {
		head += 8
	}
	switch {
	case size < head+8-lengthEnds:
		return m, 0, raw, fmt.Errorf("the message at offset %d says it has %d bytes", m.Offset, size)
	case size > len(raw)-lengthEnds:
		return m, 0, raw, ErrCut
	}
	raw, rest = raw[:lengthEnds+size], raw[lengthEnds+size:]
	if got, want := crc32.ChecksumIEEE(raw[atMagic:]), binary.BigEndian.Uint32(raw[atMessageSum:]); got != want {
		return m, 0, raw, fmt.Errorf("the message at offset %d has checksum %08x and says %08x: "+
			"it was damaged on the way or on the broker's disk", m.Offset, got, want)
	}
	if raw[atMagic] == 1 {
		m.Millis = int64(binary.BigEndian.Uint64(raw[atMessageTime:]))
	}
	body := raw[head:]
	for _, field := range []*[]byte{&m.Key, &m.Value} {
		if len(body) < 4 {
			return m, 0, raw, errRecord
		}
		n := int(int32(binary.BigEndian.Uint32(body)))
		if body = body[4:]; n > len(body) {
			return m, 0, raw, errRecord
		}
		if n >= 0 {
			*field, body = body[:n:n], body[n:]
		}
	}
	return m, raw[atMessageAttributes], rest, nil
}
