package avro

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

const (
	// maxBlockBytes bounds a decompressed block; BigQuery takes no row near it.
	maxBlockBytes = 32 << 20
	// maxFileSchemas bounds the compiled file schemas a decoder keeps.
	maxFileSchemas = 64

	syncBytes = 16
)

var containerMagic = []byte("Obj\x01")

// isContainer reports whether a payload is an Avro object container file.
func isContainer(payload []byte) bool { return bytes.HasPrefix(payload, containerMagic) }

// files is what a decoder keeps from one container file to the next.
type files struct {
	programs map[string]*program // by schema JSON; a nil program is the contract's own
	input    bytes.Reader
	deflate  io.ReadCloser
	zstd     *zstd.Decoder
	block    []byte
}

// container reads an object container file (Avro specification, "Object Container Files").
type container struct {
	d   *Decoder
	src []byte
	p   int
}

func (c *container) fail(at int, reason string) error {
	return &decode.Error{Contract: c.d.plan.options.Contract, Field: c.d.plan.options.Payload, Offset: at, Reason: "object container file: " + reason}
}

// text reads a length and that many bytes.
func (c *container) text() ([]byte, error) {
	n, next := length(c.src, c.p)
	if next < 0 {
		return nil, c.fail(c.p, lengthReason(n, next))
	}
	c.p = next + n
	return c.src[next:c.p], nil
}

func (c *container) number() (int64, error) {
	v, next := readVarint(c.src, c.p)
	if next < 0 {
		return 0, c.fail(c.p, varintReason(next))
	}
	c.p = next
	return unzigzag(v), nil
}

// header reads the metadata map.
func (c *container) header() (schema, codec []byte, err error) {
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

// open finds the one datum of a file and the program for its schema. shift is where the datum starts in the payload, negative if it was
// compressed.
func (d *Decoder) open(payload []byte) (prog *program, datum []byte, shift int, err error) {
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
func (d *Decoder) fileProgram(c *container, schema []byte) (*program, error) {
	if prog := d.files.programs[string(schema)]; prog != nil {
		return prog, nil
	}
	writer, err := parseSchema(schema)
	if err != nil {
		return nil, c.fail(0, "its schema: "+err.Error())
	}
	prog, err := compileProgram(writer, d.plan.schema, &d.plan.options)
	if err != nil {
		return nil, c.fail(0, "its schema does not fit the contract's: "+err.Error())
	}
	if len(d.files.programs) >= maxFileSchemas {
		clear(d.files.programs)
	}
	if d.files.programs == nil {
		d.files.programs = map[string]*program{}
	}
	d.files.programs[string(schema)] = prog
	return prog, nil
}

// decompress returns the decompressed block, valid until the next call.
func (f *files) decompress(codec, data []byte) (block []byte, reason string) {
	var err error
	switch string(codec) {
	case "deflate":
		f.input.Reset(data)
		if f.deflate == nil {
			f.deflate = flate.NewReader(&f.input)
		} else if err = f.deflate.(flate.Resetter).Reset(&f.input, nil); err != nil {
			return nil, "deflate: " + err.Error()
		}
		f.block, err = readAll(f.block[:0], f.deflate)
	case "snappy":
		// Four bytes of CRC-32 of the decompressed block follow the block.
		n := len(data) - 4
		if n < 0 {
			return nil, "snappy: the block is shorter than its checksum"
		}
		if size, err := snappy.DecodedLen(data[:n]); err != nil || size > maxBlockBytes {
			return nil, "snappy: the block is corrupt or too large"
		}
		if f.block, err = snappy.Decode(f.block[:cap(f.block)], data[:n]); err == nil {
			sum := crc32.ChecksumIEEE(f.block)
			if sum != uint32(data[n])<<24|uint32(data[n+1])<<16|uint32(data[n+2])<<8|uint32(data[n+3]) {
				return nil, "snappy: the checksum is wrong"
			}
		}
	case "zstandard":
		if f.zstd == nil {
			if f.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlockBytes), zstd.WithDecoderLowmem(true)); err != nil {
				return nil, "zstandard: " + err.Error()
			}
		}
		f.block, err = f.zstd.DecodeAll(data, f.block[:0])
	default:
		return nil, fmt.Sprintf("codec %.40q is not supported; null, deflate, snappy and zstandard are", codec)
	}
	if err != nil {
		return nil, string(codec) + ": " + err.Error()
	}
	return f.block, ""
}

// readAll is io.ReadAll into a buffer that is kept, with a limit.
func readAll(dst []byte, r io.Reader) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > maxBlockBytes:
			return dst, fmt.Errorf("the block is larger than %d bytes", maxBlockBytes)
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}
