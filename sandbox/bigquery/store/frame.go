package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// A write stream's file is a sequence of frames, each a header and a payload, appended and never changed:
//
//	0  kind    "WBQ" and a byte
//	4  uint32  payload bytes
//	8  uint32  rows in the payload
//	12 uint32  schema: which schema frame of this file the rows are encoded by, counted from 0
//	16 int64   stream offset of the first row, or the offset a flush frame flushes to
//	24 int64   emulator time, microseconds since the epoch
//	32 uint32  CRC-32C of the payload
//	36 uint32  CRC-32C of the header up to here
//
// little-endian throughout. Opening a file reads its headers only; the last payload is checked too, because only the
// last write can have been torn by a crash of this process.
const frameHeader = 40

type frameKind byte

const (
	frameCreate   frameKind = 'c' // payload: WriteStream
	frameSchema   frameKind = 's' // payload: DescriptorProto
	frameRows     frameKind = 'r' // payload: ProtoRows
	frameFlush    frameKind = 'f'
	frameFinalize frameKind = 'z'
	frameCommit   frameKind = 'm'
)

type frame struct {
	kind   frameKind
	size   int // of the payload
	rows   int
	schema int
	offset int64
	micros int64
	crc    uint32
	at     int64 // of the payload in its file
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (f *frame) header(payload []byte) [frameHeader]byte {
	var h [frameHeader]byte
	copy(h[:], "WBQ")
	h[3] = byte(f.kind)
	le := binary.LittleEndian
	le.PutUint32(h[4:], uint32(len(payload)))
	le.PutUint32(h[8:], uint32(f.rows))
	le.PutUint32(h[12:], uint32(f.schema))
	le.PutUint64(h[16:], uint64(f.offset))
	le.PutUint64(h[24:], uint64(f.micros))
	le.PutUint32(h[32:], crc32.Checksum(payload, castagnoli))
	le.PutUint32(h[36:], crc32.Checksum(h[:36], castagnoli))
	return h
}

var errTorn = errors.New("torn frame")

// readHeader reads the frame that starts at a file position below end. errTorn says that what stands there is not a
// whole frame.
func readHeader(r io.ReaderAt, at, end int64) (frame, error) {
	var h [frameHeader]byte
	if end-at < frameHeader {
		return frame{}, errTorn
	}
	if _, err := r.ReadAt(h[:], at); err != nil {
		return frame{}, fmt.Errorf("read frame: %w", err)
	}
	le := binary.LittleEndian
	if string(h[:3]) != "WBQ" || crc32.Checksum(h[:36], castagnoli) != le.Uint32(h[36:]) {
		return frame{}, errTorn
	}
	f := frame{
		kind: frameKind(h[3]), size: int(le.Uint32(h[4:])), rows: int(le.Uint32(h[8:])), schema: int(le.Uint32(h[12:])),
		offset: int64(le.Uint64(h[16:])), micros: int64(le.Uint64(h[24:])), crc: le.Uint32(h[32:]), at: at +
			frameHeader,
	}
	if f.at+int64(f.size) > end {
		return frame{}, errTorn
	}
	return f, nil
}

// payload reads a frame's payload into buf, which it grows as needed.
func (f *frame) payload(r io.ReaderAt, buf []byte) ([]byte, error) {
	if cap(buf) < f.size {
		buf = make([]byte, f.size)
	}
	buf = buf[:f.size]
	if _, err := r.ReadAt(buf, f.at); err != nil {
		return buf, fmt.Errorf("read frame: %w", err)
	}
	return buf, nil
}

// replay calls each with the frames of a file, in order, and cuts off a torn tail. It gives the file's whole length.
func replay(path string, each func(*os.File, frame) error) (int64, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	end, at := info.Size(), int64(0)
	for at != end {
		f, err := readHeader(file, at, end)
		if err == nil && f.at+int64(f.size) == end && !intact(file, &f) {
			err = errTorn
		}
		switch {
		case errors.Is(err, errTorn):
			return at, file.Truncate(at)
		case err != nil:
			return at, err
		}
		if err := each(file, f); err != nil {
			return at, err
		}
		at = f.at + int64(f.size)
	}
	return at, nil
}

func intact(r io.ReaderAt, f *frame) bool {
	b, err := f.payload(r, nil)
	return err == nil && crc32.Checksum(b, castagnoli) == f.crc
}
