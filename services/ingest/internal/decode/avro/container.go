package avro

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

const (
	// maxBlockBytes bounds a decompressed block: a block may hold a hundred times its size and leastBlockBytes, and no
	// more than maxBlockBytes.
	maxBlockBytes   = 32 << 20
	leastBlockBytes = 1 << 20
	mostRatio       = 100

	// maxFileSchema bounds a file's schema, in bytes: it comes with every record.
	maxFileSchema = 256 << 10
	// maxFileSchemas and maxFileBytes bound the compiled file schemas that a plan keeps.
	maxFileSchemas = 64
	maxFileBytes   = 16 << 20

	syncBytes = 16
)

var containerMagic = []byte("Obj\x01")

// isContainer reports whether a payload may be an Avro object container file; a bare datum may start with the same
// bytes.
func isContainer(payload []byte) bool { return bytes.HasPrefix(payload, containerMagic) }

// fileSchemas are the compiled schemas of files, which all lanes share: each is kept once, however many read such
// files.
type fileSchemas struct {
	known atomic.Pointer[map[string]*program] // by schema JSON; replaced, never written to
	mu    sync.Mutex                          // held by those who replace it
}

// find is the program of a file's schema; nil for one that is not kept.
func (f *fileSchemas) find(schema []byte) *program {
	if known := f.known.Load(); known != nil {
		return (*known)[string(schema)]
	}
	return nil
}

func (f *fileSchemas) keep(schema string, p *program) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next, size := map[string]*program{}, len(schema)+p.bytes()
	if size > maxFileBytes {
		return
	}
	if known := f.known.Load(); known != nil {
		maps.Copy(next, *known)
	}
	for text, other := range next {
		size += len(text) + other.bytes()
	}
	if len(next) >= maxFileSchemas || size > maxFileBytes {
		clear(next) // what is still in use is compiled again
	}
	next[schema] = p
	f.known.Store(&next)
}

// files is what a decoder keeps from one container file to the next.
type files struct {
	input   bytes.Reader
	deflate io.ReadCloser
	zstd    *zstd.Decoder
	block   []byte
}

// container reads an object container file (Avro specification, "Object Container Files").
type container struct {
	d   *Decoder
	src []byte
	p   int
}

func (c *container) fail(at int, reason string) *decode.Error {
	return c.d.plan.options.Refuse(at, "object container file: "+reason)
}

// text reads a length and that many bytes.
func (c *container) text() ([]byte, *decode.Error) {
	value, next, reason := sized(c.src, c.p)
	if reason != "" {
		return nil, c.fail(c.p, reason)
	}
	c.p = next
	return value, nil
}

func (c *container) number() (int64, *decode.Error) {
	v, next := decode.Varint(c.src, c.p)
	if next < 0 {
		return 0, c.fail(c.p, varintReason(next))
	}
	c.p = next
	return protowire.DecodeZigZag(v), nil
}

// header reads the metadata map.
func (c *container) header() (schema, codec []byte, err *decode.Error) {
	var frame arrayFrame
	for {
		at := c.p
		next := frame.block(c.src, c.p)
		if next < 0 {
			return nil, nil, c.fail(at, blockReason(next))
		}
		if c.p = next; frame.remaining == 0 {
			return schema, codec, nil
		}
		for range frame.remaining {
			key, err := c.text()
			if err != nil {
				return nil, nil, err
			}
			value, err := c.text()
			if err != nil {
				return nil, nil, err
			}
			switch string(key) {
			case "avro.schema":
				schema = value
			case "avro.codec":
				codec = value
			}
		}
		if frame.end >= 0 && frame.end != c.p {
			return nil, nil, c.fail(at, "the metadata do not fill their size in bytes")
		}
	}
}

// open finds the one datum of a file and the program for its schema. shift is where the datum starts in the payload,
// negative if it was compressed.
func (d *Decoder) open(payload []byte) (prog *program, datum []byte, shift int, err *decode.Error) {
	c := container{d: d, src: payload, p: len(containerMagic)}
	schema, codec, err := c.header()
	if err != nil {
		return nil, nil, 0, err
	}
	if schema == nil {
		return nil, nil, 0, c.fail(c.p, "the header has no avro.schema")
	}
	if len(payload)-c.p < syncBytes {
		return nil, nil, 0, c.fail(c.p, endReason)
	}
	sync := payload[c.p : c.p+syncBytes]
	c.p += syncBytes
	var data []byte
	var total int64
	for c.p < len(payload) {
		at := c.p
		count, err := c.number()
		if err != nil {
			return nil, nil, 0, err
		}
		if count < 0 || count > int64(len(payload)) {
			return nil, nil, 0, c.fail(at, "a block with an impossible count")
		}
		block, err := c.text()
		if err != nil {
			return nil, nil, 0, err
		}
		end := c.p
		if len(payload)-end < syncBytes || !bytes.Equal(payload[end:end+syncBytes], sync) {
			return nil, nil, 0, c.fail(end, "the block does not end with the file's sync marker")
		}
		c.p += syncBytes
		if total += count; count > 0 {
			data, shift = block, end-len(block)
		}
	}
	if total != 1 {
		return nil, nil, 0, c.fail(c.p, fmt.Sprintf("it holds %d data, a record is exactly one", total))
	}
	if prog, err = d.fileProgram(&c, schema); err != nil {
		return nil, nil, 0, err
	}
	if len(codec) == 0 || string(codec) == "null" {
		return prog, data, shift, nil
	}
	datum, reason := d.files.decompress(codec, data)
	if reason != "" {
		return nil, nil, 0, c.fail(shift, reason)
	}
	return prog, datum, -1, nil
}

// fileProgram compiles a file's schema against the contract's, or finds it compiled.
func (d *Decoder) fileProgram(c *container, schema []byte) (*program, *decode.Error) {
	if prog := d.plan.files.find(schema); prog != nil {
		return prog, nil
	}
	if len(schema) > maxFileSchema {
		return nil, c.fail(0, fmt.Sprintf("its schema of %d bytes is longer than %d", len(schema), maxFileSchema))
	}
	writer, err := parseSchema(string(schema))
	if err != nil {
		return nil, c.fail(0, "its schema: "+err.Error())
	}
	prog, err := d.plan.resolve(writer, Resolution{Origin: "the file"})
	if err != nil {
		return nil, c.fail(0, "its schema does not fit the contract's: "+err.Error())
	}
	d.plan.files.keep(string(schema), prog)
	return prog, nil
}

// decompress returns the decompressed block, valid until the next call.
func (f *files) decompress(codec, data []byte) (block []byte, reason string) {
	limit := min(maxBlockBytes, leastBlockBytes+mostRatio*len(data))
	var err error
	switch string(codec) {
	case "deflate":
		f.input.Reset(data)
		if f.deflate == nil {
			f.deflate = flate.NewReader(&f.input)
		} else if err = f.deflate.(flate.Resetter).Reset(&f.input, nil); err != nil {
			return nil, "deflate: " + err.Error()
		}
		f.block, err = readAll(f.block[:0], f.deflate, limit)
	case "snappy":
		// Four bytes of CRC-32 of the decompressed block follow the block.
		n := len(data) - 4
		if n < 0 {
			return nil, "snappy: the block is shorter than its checksum"
		}
		if size, err := snappy.DecodedLen(data[:n]); err != nil || size > limit {
			return nil, fmt.Sprintf("snappy: the block is corrupt, or larger than %d bytes", limit)
		}
		if f.block, err = snappy.Decode(f.block[:cap(f.block)], data[:n]); err == nil {
			sum := crc32.ChecksumIEEE(f.block)
			if sum != uint32(data[n])<<24|uint32(data[n+1])<<16|uint32(data[n+2])<<8|uint32(data[n+3]) {
				return nil, "snappy: the checksum is wrong"
			}
		}
	case "zstandard":
		if f.zstd == nil {
			if f.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true),
				zstd.WithDecoderLowmem(true)); err != nil {
				return nil, "zstandard: " + err.Error()
			}
		}
		// A frame may say any length, or none: the room for it grows with what is there. What the decoder says of too
		// little room depends on where it ran out.
		for size := min(limit, max(cap(f.block), 8*len(data))); ; size = min(limit, 8*size) {
			f.block = slices.Grow(f.block[:0], size)
			if f.block, err = f.zstd.DecodeAll(data, f.block[:0:size]); err == nil || size == limit {
				break
			}
		}
	default:
		return nil, fmt.Sprintf("codec %.40q is not supported; null, deflate, snappy and zstandard are", codec)
	}
	if err != nil {
		return nil, string(codec) + ": " + err.Error()
	}
	return f.block, ""
}

// readAll is io.ReadAll into a buffer that is kept, with a limit.
func readAll(dst []byte, r io.Reader, limit int) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > limit:
			return dst, fmt.Errorf("the block is larger than %d bytes", limit)
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}
