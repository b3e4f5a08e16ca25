package store

import (
	"context"
	"fmt"
	"os"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

// Extent is the readable part of one write stream, fixed at the time of the snapshot.
type Extent struct {
	Stream *Stream
	// Rows can be read; the file's first size bytes hold them.
	Rows    int64
	size    int64
	schemas []string
}

// Snapshot lists what can be read of a table now.
func (t *Table) Snapshot() []Extent {
	var out []Extent
	for _, s := range t.Streams() {
		s.mu.Lock()
		if n := s.visible(); n > 0 && !t.store.cfg.Discard {
			out = append(out, Extent{Stream: s, Rows: n, size: s.size, schemas: slices.Clip(s.schemas)})
		}
		s.mu.Unlock()
	}
	return out
}

// RowCount is how many rows of the table can be read, and the bytes of all that are stored.
func (t *Table) RowCount() (rows, bytes int64) {
	for _, s := range t.Streams() {
		s.mu.Lock()
		rows += s.visible()
		bytes += s.bytes
		s.mu.Unlock()
	}
	return rows, bytes
}

// Scanner reads the rows of a snapshot one by one, stream by stream. It holds one frame in memory.
type Scanner struct {
	table   *Table
	columns []*row.Column
	extents []Extent

	extent *Extent
	file   *os.File
	at     int64 // next frame
	buf    []byte
	rest   []byte // rows of the frame not read yet
	offset int64  // of the row that Next gave
	shape  *row.Shape
	row    []byte
	frame  frame
	err    error
	shapes []*row.Shape // of the extent's schemas, as they are needed
	skip   int64        // rows still to be passed over
	seen   int          // calls of NextIn
}

// Scan starts reading a table, or the extents given if there are any. Close must be called.
func (t *Table) Scan(extents ...Extent) *Scanner {
	if extents == nil {
		extents = t.Snapshot()
	}
	return &Scanner{table: t, columns: t.Columns(), extents: extents}
}

// Columns are the columns rows are read by.
func (s *Scanner) Columns() []*row.Column { return s.columns }

// Skip passes over the next n rows; whole streams and frames of them are not read.
func (s *Scanner) Skip(n int64) { s.skip += n }

// Next moves to the next row; false at the end and on an error.
func (s *Scanner) Next() bool {
	for s.err == nil {
		switch {
		case len(s.rest) == 0:
			if !s.nextFrame() {
				return false
			}
		case s.offset+1 >= s.extent.Rows: // what follows is not readable yet
			s.rest, s.at = nil, s.extent.size
		case !s.nextRow():
			return false
		case s.skip == 0:
			return true
		default:
			s.skip--
		}
	}
	return false
}

// NextIn is Next until ctx ends, which it looks at now and then; Err is then that of ctx.
func (s *Scanner) NextIn(ctx context.Context) bool {
	const often = 1024
	if s.seen++; s.seen%often == 0 && ctx.Err() != nil {
		return s.fail(ctx.Err())
	}
	return s.Next()
}

func (s *Scanner) nextRow() bool {
	size, n := protowire.ConsumeBytes(s.rest[1:])
	if s.rest[0] != 0x0a || n < 0 {
		return s.fail(fmt.Errorf("stream %s: broken rows at offset %d", s.extent.Stream.name, s.offset))
	}
	s.offset++
	s.row, s.rest = size, s.rest[1+n:]
	return true
}

func (s *Scanner) nextFrame() bool {
	for s.extent == nil || s.at >= s.extent.size {
		if err := s.closeFile(); err != nil {
			return s.fail(err)
		}
		if len(s.extents) == 0 {
			return false
		}
		s.extent, s.extents = &s.extents[0], s.extents[1:]
		if s.skip >= s.extent.Rows {
			s.skip -= s.extent.Rows
			s.extent = nil
			continue
		}
		s.at, s.offset, s.shapes = 0, -1, make([]*row.Shape, len(s.extent.schemas))
		file, err := os.Open(s.extent.Stream.path)
		if err != nil {
			return s.fail(err)
		}
		s.file = file
	}
	f, err := readHeader(s.file, s.at, s.extent.size)
	if err != nil {
		return s.fail(fmt.Errorf("stream %s: %w", s.extent.Stream.name, err))
	}
	s.at = f.at + int64(f.size)
	if f.kind != frameRows {
		return true
	}
	if s.skip >= int64(f.rows) && f.offset+int64(f.rows) <= s.extent.Rows {
		s.skip -= int64(f.rows)
		return true
	}
	return s.enter(f)
}

// enter reads a frame of rows.
func (s *Scanner) enter(f frame) bool {
	s.frame = f
	if s.shape = s.shapes[f.schema]; s.shape == nil {
		shape, err := s.table.Shape(s.extent.schemas[f.schema], s.columns)
		if err != nil {
			return s.fail(err)
		}
		s.shape, s.shapes[f.schema] = shape, shape
	}
	var err error
	if s.buf, err = f.payload(s.file, s.buf); err != nil {
		return s.fail(err)
	}
	s.rest, s.offset = s.buf, f.offset-1
	return true
}

func (s *Scanner) fail(err error) bool {
	s.err = err
	return false
}

// Row is the current row's bytes, good until the next call of Next.
func (s *Scanner) Row() []byte { return s.row }

// Shape is what the current row is read by.
func (s *Scanner) Shape() *row.Shape { return s.shape }

// Position is the current row's write stream and its offset there.
func (s *Scanner) Position() (stream *Stream, offset int64) { return s.extent.Stream, s.offset }

// Micros is when the current row came, in emulator time, microseconds since the epoch.
func (s *Scanner) Micros() int64 { return s.frame.micros }

// Frame names the current row's frame: rows of one frame lie together in the file.
func (s *Scanner) Frame() Mark { return Mark{extent: *s.extent, at: s.frame.at - frameHeader} }

// Mark is the place of a frame.
type Mark struct {
	extent Extent
	at     int64
}

// ScanFrame reads one frame again.
func (t *Table) ScanFrame(m Mark) *Scanner {
	s := t.Scan(m.extent)
	if s.nextFrame() {
		s.rest, s.at = nil, m.at
		s.nextFrame()
		s.extent = &Extent{Stream: m.extent.Stream, Rows: m.extent.Rows, size: s.at, schemas: m.extent.schemas}
	}
	return s
}

// Err is the error that ended the scan, if one did.
func (s *Scanner) Err() error { return s.err }

// Close frees what the scan holds.
func (s *Scanner) Close() error { return s.closeFile() }

func (s *Scanner) closeFile() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

// Same says whether two marks are of one frame.
func (m Mark) Same(o Mark) bool { return m.extent.Stream == o.extent.Stream && m.at == o.at }
