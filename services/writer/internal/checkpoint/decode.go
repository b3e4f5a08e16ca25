package checkpoint

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
)

// What can be wrong with a token. Decode wraps one of them and says what to do.
var (
	// ErrCorrupt says that the token was not written by a writer, or was altered.
	ErrCorrupt = errors.New("checkpoint is corrupt")
	// ErrTruncated says that the end of the token is missing.
	ErrTruncated = errors.New("checkpoint is cut short")
	// ErrNewer says that a newer writer wrote the token.
	ErrNewer = errors.New("checkpoint is of a newer version")
)

const resetRemedy = "restore the group's committed metadata for this partition, or reset it to empty: rows at or " +
	"after the committed offset that are in the tables already are then written again"

// Token is the writer's part of what was committed with a position. Ingest puts its own in front, fields that end with
// a semicolon, and takes them off again; one from before it did hands all of it on, which is no reason to refuse the
// lane while both run beside each other.
func Token(metadata string) string {
	return metadata[strings.LastIndexByte(metadata, ';')+1:]
}

// Decode reads a token. It takes only what an Encoder writes, byte for byte. The error wraps ErrCorrupt, ErrTruncated
// or ErrNewer.
func Decode(token string) (*Checkpoint, error) {
	if at := strings.IndexAny(token, "\r\n"); at >= 0 { // the decoder would skip them
		return nil, fmt.Errorf("%w: a line break at byte %d; %s", ErrCorrupt, at, resetRemedy)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return nil, fmt.Errorf("%w: %d bytes that are not base64url (%w); %s", ErrCorrupt, len(token), err, resetRemedy)
	}
	if len(raw) < 1 {
		return nil, fmt.Errorf("%w: it is empty; %s", ErrTruncated, resetRemedy)
	}
	n, w := binary.Uvarint(raw[1:])
	if w < 0 || n > math.MaxInt32 {
		return nil, fmt.Errorf("%w: impossible length; %s", ErrCorrupt, resetRemedy)
	}
	if want := 1 + w + int(n) + crcBytes; w == 0 || len(raw) < want {
		return nil, fmt.Errorf("%w: %d of %d bytes (is the brokers' offset.metadata.max.bytes below 4096?); %s",
			ErrTruncated, len(raw), want, resetRemedy)
	} else if len(raw) > want {
		return nil, fmt.Errorf("%w: %d bytes after its end; %s", ErrCorrupt, len(raw)-want, resetRemedy)
	}
	sum := len(raw) - crcBytes
	if got, want := crc32.Checksum(raw[:sum], castagnoli), binary.LittleEndian.Uint32(raw[sum:]); got != want {
		return nil, fmt.Errorf("%w: checksum %08x, expected %08x; %s", ErrCorrupt, got, want, resetRemedy)
	}
	switch v := raw[0]; {
	case v > versionTainted:
		return nil, fmt.Errorf("%w: version %d, this writer knows %d; run a writer at least as new as the one that "+
			"carried the lane last", ErrNewer, v, versionTainted)
	case v < versionPlain:
		return nil, fmt.Errorf("%w: version %d was never written; %s", ErrCorrupt, v, resetRemedy)
	}
	r := reader{left: raw[1+w : sum]}
	c := r.body()
	if r.failed || len(r.left) != 0 {
		return nil, fmt.Errorf("%w: its fields do not add up; %s", ErrCorrupt, resetRemedy)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%w: %w; %s", ErrCorrupt, err, resetRemedy)
	}
	// One content has one token: whatever else decodes to it (a longer varint, a shorter shared prefix) is not ours.
	if !bytes.Equal(appendBody(nil, c), raw[1+w:sum]) || w != uvarintLen(n) || raw[0] != versionOf(c) {
		return nil, fmt.Errorf("%w: it is not in canonical form; %s", ErrCorrupt, resetRemedy)
	}
	return c, nil
}

// reader reads the body. After the first fault it yields zeroes.
type reader struct {
	left   []byte
	failed bool
}

func (r *reader) body() *Checkpoint {
	c := new(Checkpoint)
	flags := r.byte()
	c.Clean = flags&flagClean != 0
	c.Cluster = r.string()
	c.Topic = r.string()
	c.Partition = int32(r.uvarint(math.MaxInt32))
	c.Position = int64(r.uvarint(math.MaxInt64))
	if b := r.bytes(8); b != nil {
		c.Routing = binary.LittleEndian.Uint64(b)
	}
	end := c.Position
	for range r.count() {
		gap := r.uvarint(math.MaxUint64)
		n := uint64(1)
		if gap&1 != 0 {
			n = r.uvarint(MaxLeftOut) + 2
		}
		// end+gap+n stays below 2^63 + 2^63 + 2^21, which a uint64 holds.
		to := uint64(end) + gap>>1 + n
		if r.failed || to > math.MaxInt64 {
			r.failed = true
			return c
		}
		c.LeftOut = append(c.LeftOut, Range{int64(to - n), int64(to)})
		end = int64(to)
	}
	before := ""
	for range r.count() {
		t := r.table(before)
		if r.failed {
			return c
		}
		c.Tables = append(c.Tables, t)
		before = t.Name
	}
	return c
}

func (r *reader) table(before string) (t Table) {
	flags := r.byte()
	shared := r.uvarint(uint64(len(before)))
	if r.failed || flags&^tableFlags != 0 {
		r.failed = true
		return t
	}
	t.Tainted = flags&tableTainted != 0
	t.Name = before[:shared] + r.string()
	if flags&tableHasStream != 0 {
		switch {
		case flags&tablePackedID != 0:
			uuid := r.bytes(uuidBytes)
			suffix := r.string()
			if r.failed || len(suffix) > maxPlain-2-uuidText {
				r.failed = true
				return t
			}
			t.Stream = t.Name + streamInfix + base64.RawURLEncoding.EncodeToString(
				unpackID(nil, (*[uuidBytes]byte)(uuid),
					[]byte(suffix)))
		case flags&tableForeignID != 0:
			t.Stream = r.string()
		default:
			t.Stream = t.Name + streamInfix + r.string()
		}
		t.Rows = int64(r.uvarint(math.MaxInt64))
	}
	if flags&tableHasDrop != 0 {
		t.Drop = int64(r.uvarint(math.MaxInt64))
	}
	return t
}

// count reads the length of a list whose elements take at least a byte each.
func (r *reader) count() uint64 { return r.uvarint(uint64(len(r.left))) }

func (r *reader) uvarint(atMost uint64) uint64 {
	v, n := binary.Uvarint(r.left)
	if n <= 0 || v > atMost || r.failed {
		r.failed = true
		return 0
	}
	r.left = r.left[n:]
	return v
}

func (r *reader) bytes(n int) []byte {
	if r.failed || n > len(r.left) {
		r.failed = true
		return nil
	}
	b := r.left[:n]
	r.left = r.left[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) string() string {
	return string(r.bytes(int(r.uvarint(uint64(len(r.left))))))
}

func uvarintLen(v uint64) int {
	return len(binary.AppendUvarint(nil, v))
}
