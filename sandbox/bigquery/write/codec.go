package write

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec this one falls back to
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// request is an AppendRowsRequest of which only what the service acts on is read; rows stay in the buffer they came in.
type request struct {
	stream    string
	offset    int64 // -1: none given
	schema    []byte
	hasSchema bool
	rows      []byte // as ProtoRows: tag 0x0a, length, row
	count     int
	rowBytes  int // length of rows, also when they are not kept
	size      int // of the whole request
	arrow     bool
	// missing says what the request makes of missing values, by column; whole is for the others, 0 if the request
	// does not say.
	missing map[string]storagepb.AppendRowsRequest_MissingValueInterpretation
	whole   storagepb.AppendRowsRequest_MissingValueInterpretation
	buffer  mem.Buffer
}

func (r *request) free() {
	if r.buffer != nil {
		r.buffer.Free()
		r.buffer = nil
	}
}

// codec reads *request by hand and leaves every other message to protobuf.
type codec struct {
	encoding.CodecV2
	// discard counts rows without gathering their bytes.
	discard bool
}

func newCodec(discard bool) codec {
	return codec{CodecV2: encoding.GetCodecV2("proto"), discard: discard}
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	r, ok := v.(*request)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	*r = request{offset: -1, size: data.Len()}
	if c.discard {
		return r.skim(data)
	}
	r.buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
	if err := r.parse(r.buffer.ReadOnlyData()); err != nil {
		r.free()
		return err
	}
	return nil
}

var errRequest = errors.New("malformed AppendRowsRequest")

// Field numbers of google/cloud/bigquery/storage/v1/storage.proto and protobuf.proto.
const (
	fieldStream, fieldOffset, fieldProtoRows, fieldArrowRows = 1, 2, 4, 5
	fieldWriterSchema, fieldRows                             = 1, 2
	fieldMissing, fieldMissingDefault                        = 7, 8
)

func (r *request) parse(b []byte) error {
	return fields(b, func(n protowire.Number, v []byte) error {
		switch n {
		case fieldStream:
			r.stream = string(v)
		case fieldOffset:
			return r.parseOffset(v)
		case fieldProtoRows:
			return fields(v, func(n protowire.Number, v []byte) error {
				switch n {
				case fieldWriterSchema:
					return r.parseSchema(v)
				case fieldRows:
					return r.addRows(v)
				}
				return nil
			}, nil)
		case fieldArrowRows:
			r.arrow = true
		case fieldMissing:
			return r.parseMissing(v)
		}
		return nil
	}, func(n protowire.Number, v uint64) {
		if n == fieldMissingDefault {
			r.whole = storagepb.AppendRowsRequest_MissingValueInterpretation(v)
		}
	})
}

// parseMissing reads an entry of missing_value_interpretations.
func (r *request) parseMissing(b []byte) error {
	var column string
	var how storagepb.AppendRowsRequest_MissingValueInterpretation
	err := fields(b, func(n protowire.Number, v []byte) error {
		if n == 1 {
			column = string(v)
		}
		return nil
	}, func(n protowire.Number, v uint64) {
		if n == 2 {
			how = storagepb.AppendRowsRequest_MissingValueInterpretation(v)
		}
	})
	if r.missing == nil {
		r.missing = map[string]storagepb.AppendRowsRequest_MissingValueInterpretation{}
	}
	r.missing[column] = how
	return err
}

func (r *request) parseOffset(b []byte) error {
	r.offset = 0 // an Int64Value without its field is 0
	if len(b) == 0 {
		return nil
	}
	n, _, m := protowire.ConsumeTag(b)
	v, k := protowire.ConsumeVarint(b[max(m, 0):])
	if m < 0 || k < 0 || n != 1 {
		return errRequest
	}
	r.offset = int64(v)
	return nil
}

func (r *request) parseSchema(b []byte) error {
	return fields(b, func(n protowire.Number, v []byte) error {
		if n == 1 {
			r.schema, r.hasSchema = v, true
		}
		return nil
	}, nil)
}

// addRows takes a ProtoRows; when a request has more than one, protobuf says they follow one another.
func (r *request) addRows(b []byte) error {
	for rest := b; len(rest) > 0; {
		if rest[0] != 0x0a {
			return errRequest
		}
		size, n := protowire.ConsumeVarint(rest[1:])
		if n < 0 || size > uint64(len(rest)-1-n) {
			return errRequest
		}
		rest = rest[1+n+int(size):]
		r.count++
	}
	if r.rows == nil {
		r.rows = b
	} else {
		r.rows = append(slices.Clip(r.rows), b...)
	}
	r.rowBytes = len(r.rows)
	return nil
}

// fields walks a message's length-delimited fields, and its varints if numbers is given. It passes over the others.
func fields(b []byte, each func(protowire.Number, []byte) error, numbers func(protowire.Number, uint64)) error {
	for len(b) > 0 {
		n, wire, m := protowire.ConsumeTag(b)
		if m < 0 {
			return errRequest
		}
		b = b[m:]
		if wire == protowire.VarintType && numbers != nil {
			v, m := protowire.ConsumeVarint(b)
			if m < 0 {
				return errRequest
			}
			numbers(n, v)
			b = b[m:]
			continue
		}
		if wire != protowire.BytesType {
			if m = protowire.ConsumeFieldValue(n, wire, b); m < 0 {
				return errRequest
			}
			b = b[m:]
			continue
		}
		v, m := protowire.ConsumeBytes(b)
		if m < 0 {
			return errRequest
		}
		b = b[m:]
		if err := each(n, v); err != nil {
			return err
		}
	}
	return nil
}

// skim reads a request from scattered buffers, stepping over rows without gathering them.
func (r *request) skim(data mem.BufferSlice) error {
	reader := data.Reader()
	defer reader.Close()
	walk := walker{r: reader}
	err := walk.message(reader.Remaining(), func(n uint64, size int) error {
		switch n {
		case fieldProtoRows:
			return walk.message(size, func(n uint64, size int) error {
				switch n {
				case fieldWriterSchema:
					b, err := walk.take(size)
					if err == nil {
						err = r.parseSchema(b)
					}
					return err
				case fieldRows:
					r.rowBytes += size
					return walk.message(size, func(_ uint64, size int) error { r.count++; return walk.skip(size) })
				}
				return walk.skip(size)
			})
		case fieldStream, fieldOffset:
			b, err := walk.take(size)
			if err != nil {
				return err
			}
			if n == fieldStream {
				r.stream = string(b)
				return nil
			}
			return r.parseOffset(b)
		}
		r.arrow = r.arrow || n == fieldArrowRows
		return walk.skip(size)
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errRequest, err)
	}
	return nil
}

// walker reads protobuf fields from a reader.
type walker struct{ r *mem.Reader }

// message reads the fields in the next size bytes; each must use up its field's size bytes.
func (w walker) message(size int, each func(field uint64, size int) error) error {
	if size > w.r.Remaining() {
		return io.ErrUnexpectedEOF
	}
	for end := w.r.Remaining() - size; w.r.Remaining() > end; {
		tag, err := w.varint()
		if err != nil {
			return err
		}
		switch protowire.Type(tag & 7) {
		case protowire.VarintType:
			_, err = w.varint()
		case protowire.Fixed32Type:
			err = w.skip(4)
		case protowire.Fixed64Type:
			err = w.skip(8)
		case protowire.BytesType:
			var n uint64
			if n, err = w.varint(); err == nil && n > uint64(w.r.Remaining()) {
				err = io.ErrUnexpectedEOF
			}
			if err == nil {
				err = each(tag>>3, int(n))
			}
		default:
			err = errRequest
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w walker) varint() (v uint64, err error) {
	for shift := 0; shift < 64; shift += 7 {
		b, err := w.r.ReadByte()
		if err != nil {
			return 0, err
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, errRequest
}

func (w walker) skip(n int) error {
	_, err := w.r.Discard(n)
	return err
}

func (w walker) take(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(w.r, b)
	return b, err
}
