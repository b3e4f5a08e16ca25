package checkpoint

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

// The token is base64url without padding (Kafka's metadata must be UTF-8) of
//
//	version  1 byte
//	length   uvarint, of the body
//	body
//	crc      CRC-32C of all before it, 4 bytes little endian
//
// Version, length and crc stay where they are in every later version, so that an old writer can tell a newer token from
// a broken one. The body of version 1:
//
//	flags     1 byte: 1 = clean
//	cluster   uvarint length, bytes
//	topic     uvarint length, bytes
//	partition uvarint
//	position  uvarint
//	routing   8 bytes little endian
//	left out  uvarint number of runs; a run is uvarint(gap<<1 | long), and uvarint(length-2) when long. The gap counts
//	          from the end of the run before, the first from the position.
//	tables    uvarint number; a table is 1 byte of flags below; uvarint bytes shared with the name before it, uvarint
//	          length and the rest of the name; the stream and uvarint rows, when it has one; uvarint drop, when it is
//	          not 0
//
// Version 2 is the same with one more flag of a table: 16 = rows of a stranger. It is written only where a table has
// it, so that writers which do not know the flag refuse such a checkpoint, and read every other one.
//
// A stream is called TABLE/streams/ID, so that only the ID is kept. BigQuery's IDs are base64 of a protobuf string
// `UUID:suffix`, for which 16 bytes and the suffix do.
const (
	versionPlain   = 1
	versionTainted = 2

	flagClean = 1

	tableHasStream = 1
	tableHasDrop   = 2
	tablePackedID  = 4
	tableForeignID = 8
	tableTainted   = 16
	tableFlags     = tableHasStream | tableHasDrop | tablePackedID | tableForeignID | tableTainted

	crcBytes    = 4
	streamInfix = "/streams/"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// TooLargeError says that a checkpoint does not fit in Kafka's metadata. Settling the window first lets the position
// pass left-out offsets.
type TooLargeError struct{ Size, Max int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("checkpoint of %d bytes exceeds %d", e.Size, e.Max)
}

// Encoder encodes checkpoints. It keeps its buffers: one a lane, not safe for concurrent use.
type Encoder struct{ raw, body []byte }

// Append appends the token to dst. The error is a *TooLargeError, or says which rule the content breaks; dst is then
// returned unchanged.
func (e *Encoder) Append(dst []byte, c *Checkpoint) ([]byte, error) {
	if err := c.check(); err != nil {
		return dst, fmt.Errorf("encode checkpoint: %w", err)
	}
	e.encode(c)
	if size := base64.RawURLEncoding.EncodedLen(len(e.raw)); size > MaxBytes {
		return dst, &TooLargeError{size, MaxBytes}
	}
	return base64.RawURLEncoding.AppendEncode(dst, e.raw), nil
}

// Size is how many bytes Append would append, however large.
func (e *Encoder) Size(c *Checkpoint) int {
	e.encode(c)
	return base64.RawURLEncoding.EncodedLen(len(e.raw))
}

func (e *Encoder) encode(c *Checkpoint) {
	e.body = appendBody(e.body[:0], c)
	e.raw = append(e.raw[:0], versionOf(c))
	e.raw = binary.AppendUvarint(e.raw, uint64(len(e.body)))
	e.raw = append(e.raw, e.body...)
	e.raw = binary.LittleEndian.AppendUint32(e.raw, crc32.Checksum(e.raw, castagnoli))
}

// versionOf is the lowest version that can hold a checkpoint.
func versionOf(c *Checkpoint) byte {
	for i := range c.Tables {
		if c.Tables[i].Tainted {
			return versionTainted
		}
	}
	return versionPlain
}

func appendBody(b []byte, c *Checkpoint) []byte {
	flags := byte(0)
	if c.Clean {
		flags |= flagClean
	}
	b = append(b, flags)
	b = appendString(b, c.Cluster)
	b = appendString(b, c.Topic)
	b = binary.AppendUvarint(b, uint64(c.Partition))
	b = binary.AppendUvarint(b, uint64(c.Position))
	b = binary.LittleEndian.AppendUint64(b, c.Routing)

	b = binary.AppendUvarint(b, uint64(len(c.LeftOut)))
	end := c.Position
	for _, r := range c.LeftOut {
		gap, n := uint64(r.From-end)<<1, r.To-r.From
		if n == 1 {
			b = binary.AppendUvarint(b, gap)
		} else {
			b = binary.AppendUvarint(b, gap|1)
			b = binary.AppendUvarint(b, uint64(n-2))
		}
		end = r.To
	}

	b = binary.AppendUvarint(b, uint64(len(c.Tables)))
	before := ""
	for i := range c.Tables {
		b = appendTable(b, &c.Tables[i], before)
		before = c.Tables[i].Name
	}
	return b
}

func appendTable(b []byte, t *Table, before string) []byte {
	id, local := strings.CutPrefix(t.Stream, t.Name)
	if local {
		id, local = strings.CutPrefix(id, streamInfix)
	}
	var packed [uuidBytes]byte
	suffix, isPacked := "", false
	flags := byte(0)
	if t.Stream != "" {
		flags |= tableHasStream
		if !local {
			flags |= tableForeignID
		} else if suffix, isPacked = packID(&packed, id); isPacked {
			flags |= tablePackedID
		}
	}
	if t.Drop != 0 {
		flags |= tableHasDrop
	}
	if t.Tainted {
		flags |= tableTainted
	}
	b = append(b, flags)
	shared := 0
	for shared < len(before) && shared < len(t.Name) && before[shared] == t.Name[shared] {
		shared++
	}
	b = binary.AppendUvarint(b, uint64(shared))
	b = appendString(b, t.Name[shared:])
	if t.Stream != "" {
		switch {
		case isPacked:
			b = append(b, packed[:]...)
			b = appendString(b, suffix)
		case local:
			b = appendString(b, id)
		default:
			b = appendString(b, t.Stream)
		}
		b = binary.AppendUvarint(b, uint64(t.Rows))
	}
	if t.Drop != 0 {
		b = binary.AppendUvarint(b, uint64(t.Drop))
	}
	return b
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
