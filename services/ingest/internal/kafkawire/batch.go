package kafkawire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Batch is the head of a record batch of format 2 (Kafka 0.11 and later;
// org.apache.kafka.common.record.DefaultRecordBatch).
type Batch struct {
	FirstOffset, LastOffset int64
	// FirstMillis is what the records' timestamps count from, MaxMillis the largest of them; -1 for none.
	FirstMillis, MaxMillis int64
	ProducerID             int64
	// Epoch is the leader's that took the batch (KIP-101); -1 for none.
	Epoch int32
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
	// ErrCut says that the bytes end within the batch: a broker fills up a response with the beginning of the next one.
	ErrCut = errors.New("the batch is cut off")
	// ErrLegacy says that what follows is a message of a format before Kafka 0.11.
	ErrLegacy = errors.New("the message is of a format before Kafka 0.11")
)

// Where the fields of a batch are. Its length counts from behind itself, its checksum covers what is behind that.
const (
	atLength     = 8
	atEpoch      = 12
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
	b.LastOffset = b.FirstOffset + int64(int32(binary.BigEndian.Uint32(raw[atLastDelta:])))
	got, want := crc32.Checksum(raw[atAttributes:], castagnoli), binary.BigEndian.Uint32(raw[atChecksum:])
	if got != want {
		return b, raw, fmt.Errorf("the batch at offsets %d to %d has checksum %08x and says %08x: "+
			"it was damaged on the way or on the broker's disk", b.FirstOffset, b.LastOffset, got, want)
	}
	attributes := binary.BigEndian.Uint16(raw[atAttributes:])
	b.Epoch = int32(binary.BigEndian.Uint32(raw[atEpoch:]))
	b.FirstMillis = int64(binary.BigEndian.Uint64(raw[atFirstTime:]))
	b.MaxMillis = int64(binary.BigEndian.Uint64(raw[atMaxTime:]))
	b.ProducerID = int64(binary.BigEndian.Uint64(raw[atProducer:]))
	b.Count = int(int32(binary.BigEndian.Uint32(raw[atCount:])))
	b.codec = byte(attributes & codecBits)
	b.AppendTime = attributes&appendTimeBit != 0
	b.Transactional, b.Control = attributes&transactionalBit != 0, attributes&controlBit != 0
	b.body = raw[atRecords:]
	if b.LastOffset < b.FirstOffset || b.Count < 0 {
		return b, raw, fmt.Errorf("the batch at offset %d says its last offset is %d and it has %d records",
			b.FirstOffset, b.LastOffset, b.Count)
	}
	return b, rest, nil
}

// Compressed reports whether the records must be inflated before they can be read.
func (b *Batch) Compressed() bool { return b.codec != codecNone }

// Size is how many bytes the records have as they came.
func (b *Batch) Size() int { return len(b.body) }

// InflatedSize guesses the size of the records without their compression, in bytes. What a batch says of itself may
// be missing or a lie.
func (b *Batch) InflatedSize() int {
	return guess(b.codec, b.body)
}

// Records are the bytes of the records of a batch that is not compressed, Count of them. They alias what NextBatch
// was given.
func (b *Batch) Records() ([]byte, error) {
	if b.Compressed() {
		return nil, fmt.Errorf("the batch at offset %d is compressed with codec %d", b.FirstOffset, b.codec)
	}
	return b.body, b.enough(b.body)
}

// Inflate undoes the compression of the records, which then lie in a buffer of their own, of which the caller has the
// reference. It takes limit bytes at most; errors.Is(err, ErrInflates) when they are not enough.
func (b *Batch) Inflate(limit int) (*Buffer, error) {
	m, err := decompress(b.codec, b.body, min(limit, MaxBatch))
	if err != nil {
		return nil, fmt.Errorf("the batch at offset %d: %w", b.FirstOffset, err)
	}
	if err := b.enough(m.Bytes()); err != nil {
		m.Release(1)
		return nil, err
	}
	return m, nil
}

// enough reports whether as many records as the batch says may be in these bytes.
func (b *Batch) enough(raw []byte) error {
	if len(raw)/minRecord < b.Count {
		return fmt.Errorf("the batch at offset %d says it has %d records, in %d bytes",
			b.FirstOffset, b.Count, len(raw))
	}
	return nil
}
