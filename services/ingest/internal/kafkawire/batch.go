package kafkawire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Batch is the head of a record batch of format 2 (Kafka 0.11 and later; org.apache.kafka.common.record.DefaultRecordBatch).
type Batch struct {
	FirstOffset, LastOffset int64
	// FirstMillis is what the records' timestamps count from, MaxMillis the largest of them; -1 for none.
	FirstMillis, MaxMillis int64
	ProducerID             int64
	// Count is how many records the batch says it has. Compaction may leave none.
	Count int
	// AppendTime says that every record has the timestamp MaxMillis: that of the append to the log.
	AppendTime bool
	// Transactional says that the records are of a transaction, Control that the batch is a marker of the end of one.
	Transactional, Control bool

	codec byte
	body  []byte
}

// Errors of NextBatch. Others say what is wrong with a batch.
var (
	// ErrCut says that the bytes end within the batch: a broker fills up an answer with the beginning of the next one.
	ErrCut = errors.New("the batch is cut off")
	// ErrLegacy says that what follows is a message of a format before Kafka 0.11.
	ErrLegacy = errors.New("the message is of a format before Kafka 0.11")
)

// Where the fields of a batch are. Its length counts from behind itself, its checksum covers what is behind that.
const (
	atLength     = 8
	atMagic      = 16
	atChecksum   = 17
	atAttributes = 21
	atLastDelta  = 23
	atFirstTime  = 27
	atMaxTime    = 35
	atProducer   = 43
	atCount      = 57
	atRecords    = 61

	lengthEnds = 12
)

// Bits of a batch's attributes.
const (
	codecBits        = 0x07
	appendTimeBit    = 0x08
	transactionalBit = 0x10
	controlBit       = 0x20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// NextBatch reads the head of the batch that raw begins with, checks its checksum, and returns what is behind it.
func NextBatch(raw []byte) (b Batch, rest []byte, err error) {
	if len(raw) <= atMagic {
		return b, raw, ErrCut
	}
	b.FirstOffset = int64(binary.BigEndian.Uint64(raw))
	length := int(int32(binary.BigEndian.Uint32(raw[atLength:])))
	switch magic := raw[atMagic]; {
	case magic < 2:
		return b, raw, ErrLegacy
	case magic > 2:
		return b, raw, fmt.Errorf("the batch at offset %d is of the unknown format %d", b.FirstOffset, magic)
	case length < atRecords-lengthEnds:
		return b, raw, fmt.Errorf("the batch at offset %d says it has %d bytes", b.FirstOffset, length)
	case len(raw)-lengthEnds < length:
		return b, raw, ErrCut
	}
	raw, rest = raw[:lengthEnds+length:lengthEnds+length], raw[lengthEnds+length:]
	if got, want := crc32.Checksum(raw[atAttributes:], castagnoli), binary.BigEndian.Uint32(raw[atChecksum:]); got != want {
		return b, raw, fmt.Errorf("the batch at offset %d has checksum %08x and says %08x: it was damaged on the way or on the broker's disk", b.FirstOffset, got, want)
	}
	attributes := binary.BigEndian.Uint16(raw[atAttributes:])
	b.LastOffset = b.FirstOffset + int64(int32(binary.BigEndian.Uint32(raw[atLastDelta:])))
	b.FirstMillis = int64(binary.BigEndian.Uint64(raw[atFirstTime:]))
	b.MaxMillis = int64(binary.BigEndian.Uint64(raw[atMaxTime:]))
	b.ProducerID = int64(binary.BigEndian.Uint64(raw[atProducer:]))
	b.Count = int(int32(binary.BigEndian.Uint32(raw[atCount:])))
	b.codec = byte(attributes & codecBits)
	b.AppendTime = attributes&appendTimeBit != 0
	b.Transactional, b.Control = attributes&transactionalBit != 0, attributes&controlBit != 0
	b.body = raw[atRecords:]
	if b.LastOffset < b.FirstOffset || b.Count < 0 {
		return b, raw, fmt.Errorf("the batch at offset %d says its last offset is %d and it has %d records", b.FirstOffset, b.LastOffset, b.Count)
	}
	return b, rest, nil
}

// Records are the bytes of the batch's records, Count of them. Those of a batch without compression alias what NextBatch was given; own is nil
// then. Others lie in memory of their own, on which the caller has the hold.
func (b *Batch) Records() (raw []byte, own *Memory, err error) {
	raw = b.body
	if b.codec != codecNone {
		if own, err = decompress(b.codec, b.body, MaxBatch); err != nil {
			return nil, nil, fmt.Errorf("the batch at offset %d: %w", b.FirstOffset, err)
		}
		raw = own.Bytes()
	}
	if len(raw) < b.Count*minRecord {
		return nil, nil, fmt.Errorf("the batch at offset %d says it has %d records, in %d bytes", b.FirstOffset, b.Count, len(raw))
	}
	return raw, own, nil
}

// legacyEnd is where the messages of old formats end that raw begins with; 0 when a batch comes first, or too little to tell.
func legacyEnd(raw []byte) int {
	end := 0
	for left := raw; len(left) > atMagic && left[atMagic] < 2; left = raw[end:] {
		size := lengthEnds + int(int32(binary.BigEndian.Uint32(left[atLength:])))
		if size <= atMagic || size > len(left) {
			return len(raw)
		}
		end += size
	}
	return end
}
