package kafkawire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy/xerial"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/waybill-data/waybill/pkg/processors"
)

// MaxBatch bounds what a compressed batch may inflate to, in bytes. It guards against decompression bombs only: brokers limit batches to
// about a megabyte before compression is undone.
const MaxBatch = 128 << 20

// ErrInflates says that a batch inflates to more than MaxBatch.
var ErrInflates = fmt.Errorf("it inflates to more than %d MiB", MaxBatch>>20)

// Codecs of a batch, by its attributes.
const (
	codecNone = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
)

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// Decompressors are kept: a new one costs more than a batch.
var (
	gzips   sync.Pool // of *gzip.Reader
	lz4s    = sync.Pool{New: func() any { return lz4.NewReader(nil) }}
	scratch = sync.Pool{New: func() any { return new(bytes.Buffer) }}
	zstds   = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(processors.Count()), zstd.WithDecoderMaxMemory(MaxBatch))
		if err != nil {
			panic(err) // the options are constants
		}
		return d
	})
)

// keepBuffer is the largest buffer that is kept for the next batch.
const keepBuffer = 8 << 20

// decompress undoes a batch's compression, up to a limit of MaxBatch at most.
func decompress(codec byte, src []byte, limit int) (*Memory, error) {
	if int(codec) >= len(codecNames) {
		return nil, fmt.Errorf("compressed in the unknown way %d", codec)
	}
	b := scratch.Get().(*bytes.Buffer)
	defer func() {
		if b.Cap() <= keepBuffer {
			b.Reset()
			scratch.Put(b)
		}
	}()
	out, err := inflate(codec, b, src, limit)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || len(out) > limit {
		err = ErrInflates
	}
	if err != nil {
		return nil, fmt.Errorf("compressed with %s: %w", codecNames[codec], err)
	}
	m := NewMemory(len(out)) // of the size it needs, for it lives as long as its records
	copy(m.Bytes(), out)
	return m, nil
}

// inflate decompresses into a buffer.
func inflate(codec byte, b *bytes.Buffer, src []byte, limit int) ([]byte, error) {
	switch codec {
	case codecGzip:
		r, _ := gzips.Get().(*gzip.Reader)
		if r == nil {
			r = new(gzip.Reader)
		}
		defer gzips.Put(r)
		if err := r.Reset(bytes.NewReader(src)); err != nil {
			return nil, err
		}
		return drain(b, r, limit)
	case codecLZ4:
		r := lz4s.Get().(*lz4.Reader)
		defer lz4s.Put(r)
		r.Reset(bytes.NewReader(src))
		return drain(b, r, limit)
	case codecSnappy:
		return unsnap(b, src, limit)
	}
	out, err := zstds().DecodeAll(src, b.AvailableBuffer())
	if cap(out) > b.Cap() && cap(out) <= keepBuffer {
		*b = *bytes.NewBuffer(out[:0]) // it has grown
	}
	return out, err
}

// drain reads a little more than the limit at most.
func drain(b *bytes.Buffer, r io.Reader, limit int) ([]byte, error) {
	_, err := b.ReadFrom(io.LimitReader(r, int64(limit)+1))
	return b.Bytes(), err
}

// unsnap decodes snappy, in xerial's framing or plain. A block does not say how long a framed whole is, so there is a second try.
func unsnap(b *bytes.Buffer, src []byte, limit int) ([]byte, error) {
	for size := max(4*len(src), 4096); ; size *= 4 {
		size = min(size, limit)
		b.Grow(size)
		out, err := xerial.DecodeCapped(b.AvailableBuffer()[:0:size], src)
		if !errors.Is(err, xerial.ErrDstTooSmall) {
			return out, err
		}
		if size == limit {
			return nil, ErrInflates
		}
	}
}
