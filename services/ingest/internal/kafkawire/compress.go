package kafkawire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/snappy/xerial"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/waybill-data/waybill/pkg/processors"
)

// MaxBatch bounds what a compressed batch may inflate to, in bytes, whoever asks for it.
const MaxBatch = 128 << 20

// ErrInflates says that a batch inflates to more than it may.
var ErrInflates = errors.New("it inflates to more than it may")

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
	gzips sync.Pool // of *gzip.Reader
	lz4s  = sync.Pool{New: func() any { return lz4.NewReader(nil) }}
	zstds = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(processors.Count()),
			zstd.WithDecoderMaxMemory(MaxBatch), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			panic(err) // the options are constants
		}
		return d
	})
)

// decompress undoes compression into a buffer of at most limit bytes, which is all that it takes, but for a copy when
// the result is much smaller.
func decompress(codec byte, src []byte, limit int) (*Buffer, error) {
	if int(codec) >= len(codecNames) {
		return nil, fmt.Errorf("compressed in the unknown way %d", codec)
	}
	m := NewBuffer(limit)
	n, err := inflate(codec, m.Bytes(), src)
	if err != nil {
		m.Release(1)
		return nil, fmt.Errorf("compressed with %s: %w", codecNames[codec], err)
	}
	if n > limit*3/4 {
		m.cut(n)
		return m, nil
	}
	defer m.Release(1)
	exact := NewBuffer(n) // for it lives as long as its records
	copy(exact.Bytes(), m.Bytes())
	return exact, nil
}

// decompressUpTo undoes compression in as much memory as it takes, up to most bytes.
func decompressUpTo(codec byte, src []byte, most int) (*Buffer, error) {
	for size := min(guess(codec, src), most); ; size = min(4*size, most) {
		m, err := decompress(codec, src, size)
		if !errors.Is(err, ErrInflates) || size == most {
			return m, err
		}
	}
}

// guess is a first guess at what compressed bytes inflate to.
func guess(codec byte, src []byte) int {
	if n := inflated(codec, src); n > 0 {
		return n
	}
	return max(4*len(src), 4<<10)
}

// inflate decompresses to dst and returns how many bytes there are. ErrInflates says that they do not fit.
func inflate(codec byte, dst, src []byte) (int, error) {
	switch codec {
	case codecGzip:
		r, _ := gzips.Get().(*gzip.Reader)
		if r == nil {
			r = new(gzip.Reader)
		}
		defer gzips.Put(r)
		if err := r.Reset(bytes.NewReader(src)); err != nil {
			return 0, err
		}
		return fill(dst, r)
	case codecLZ4:
		r := lz4s.Get().(*lz4.Reader)
		defer lz4s.Put(r)
		r.Reset(bytes.NewReader(src))
		return fill(dst, r)
	case codecSnappy:
		if len(dst) == 0 {
			return 0, ErrInflates // xerial takes no empty buffer
		}
		out, err := xerial.DecodeCapped(dst[:0:len(dst)], src)
		if errors.Is(err, xerial.ErrDstTooSmall) {
			err = ErrInflates
		}
		return len(out), err
	}
	out, err := zstds().DecodeAll(src, dst[:0:len(dst)])
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || len(out) > len(dst) {
		err = ErrInflates
	}
	return len(out), err
}

// fill reads to the end of r, which must come before that of dst.
func fill(dst []byte, r io.Reader) (int, error) {
	n, idle := 0, 0
	var more [1]byte
	for {
		to := dst[n:]
		if len(to) == 0 {
			to = more[:]
		}
		m, err := r.Read(to)
		if n += m; n > len(dst) {
			return 0, ErrInflates
		}
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		case m > 0:
			idle = 0
		default:
			if idle++; idle > 100 {
				return n, io.ErrNoProgress
			}
		}
	}
}

// inflated guesses what compressed bytes inflate to, from what they say of themselves; 0 when they say nothing. It is
// not to be relied on.
func inflated(codec byte, src []byte) int {
	switch codec {
	case codecGzip: // the end of a member has its size
		if len(src) > 4 {
			return int(binary.LittleEndian.Uint32(src[len(src)-4:]))
		}
	case codecSnappy:
		return unsnapped(src)
	case codecZstd:
		var head zstd.Header
		if head.Decode(src) == nil && head.HasFCS {
			return int(min(head.FrameContentSize, MaxBatch))
		}
	}
	return 0
}

// Xerial's framing of snappy: a head, then blocks with their length before them.
const (
	xerialMagic = "\x82SNAPPY\x00"
	xerialHead  = 16
)

func unsnapped(src []byte) int {
	if !bytes.HasPrefix(src, []byte(xerialMagic)) || len(src) < xerialHead {
		n, _ := s2.DecodedLen(src)
		return n
	}
	total := 0
	for src = src[xerialHead:]; len(src) > 4; {
		size := int64(binary.BigEndian.Uint32(src))
		src = src[4:]
		if size > int64(len(src)) {
			break
		}
		n, _ := s2.DecodedLen(src[:size])
		total += n
		src = src[size:]
	}
	return total
}
