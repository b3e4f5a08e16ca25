package store

import (
	"os"
	"slices"
	"sync"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// streamTTL is how long a write stream lives without traffic unless it is finalized, on the store's clock.
const streamTTL = 72 * time.Hour

// Stream is a write stream: an append-only sequence of rows with offsets from 0.
type Stream struct {
	table    *Table
	id, name string
	kind     storagepb.WriteStream_Type
	created  int64 // emulator time, microseconds, as is last
	path     string

	mu        sync.Mutex
	file      *os.File // open while users > 0
	users     int
	size      int64 // of the file
	rows      int64
	bytes     int64
	flushed   int64 // rows of a BUFFERED stream that can be read
	committed int64 // when a PENDING stream was committed, or 0
	finalized bool
	gone      bool // its table was deleted
	last      int64
	schemas   []string // descriptors, by their number in this file
}

// Info is what is known about a write stream.
type Info struct {
	Name      string
	Kind      storagepb.WriteStream_Type
	Created   time.Time
	Committed time.Time // zero unless a PENDING stream is committed
	Rows      int64
	Finalized bool
}

// Append is one request's rows.
type Append struct {
	// Offset is where the rows must start, or -1 for the end of the stream.
	Offset int64
	// Descriptor is the DescriptorProto the rows are encoded by.
	Descriptor string
	// Rows is how many there are; Bytes holds them as ProtoRows does: tag 0x0a, length, row.
	Rows  int
	Bytes []byte
	// Size is the length of the rows when Bytes is not kept (Config.Discard).
	Size int
}

// Name is the stream's full resource name.
func (s *Stream) Name() string { return s.name }

// Table is the table the stream belongs to.
func (s *Stream) Table() *Table { return s.table }

// IsDefault says whether this is the table's _default stream, which has no offsets and is never finalized.
func (s *Stream) IsDefault() bool { return s.id == defaultStream }

// Info gives a snapshot.
func (s *Stream) Info() Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := Info{
		Name: s.name, Kind: s.kind, Created: time.UnixMicro(s.created), Rows: s.rows, Finalized: s.finalized,
	}
	if s.committed != 0 {
		i.Committed = time.UnixMicro(s.committed)
	}
	return i
}

// Retain keeps the stream's file open between appends until Release.
func (s *Stream) Retain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users++
}

// Release undoes Retain.
func (s *Stream) Release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users--
	if s.users > 0 {
		return nil
	}
	return s.closeFile()
}

// Accept says whether an append at an offset (-1: at the end) would be taken.
func (s *Stream) Accept(offset int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accept(offset)
}

func (s *Stream) accept(offset int64) error {
	switch {
	case s.gone:
		e := streamNotFound(s.name)
		e.NoTable = true
		return e
	case s.expiredLocked():
		return streamNotFound(s.name)
	case s.finalized:
		return streamFinalized(s.name)
	case offset < 0:
		return nil
	case s.IsDefault():
		return invalid(s.name, "Offset can not be specified when appending to the default stream. Entity: %s", s.name)
	case offset < s.rows:
		return offsetExists(s.name, s.rows, offset)
	case offset > s.rows:
		return offsetBeyond(s.name, s.rows, offset)
	}
	return nil
}

// Append writes all rows of a request or none, and gives the offset of the first.
func (s *Stream) Append(a Append) (offset int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.accept(a.Offset); err != nil {
		return 0, err
	}
	if s.table.store.cfg.Discard {
		offset = s.rows
		s.rows += int64(a.Rows)
		s.bytes += int64(a.Size)
		s.last = s.table.store.clock.Now().UnixMicro()
		return offset, nil
	}
	schema := slices.Index(s.schemas, a.Descriptor)
	if schema < 0 {
		if err := s.write(&frame{kind: frameSchema}, []byte(a.Descriptor)); err != nil {
			return 0, err
		}
		s.schemas = append(s.schemas, a.Descriptor)
		schema = len(s.schemas) - 1
	}
	offset = s.rows
	if err := s.write(&frame{kind: frameRows, rows: a.Rows, schema: schema, offset: offset}, a.Bytes); err != nil {
		return 0, err
	}
	s.rows += int64(a.Rows)
	s.bytes += int64(len(a.Bytes))
	return offset, nil
}

// Finalize ends a stream and gives its row count; again gives the same.
func (s *Stream) Finalize() (rows int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.IsDefault():
		return 0, invalidType(s.name, "The default stream can not be finalized.")
	case s.gone:
		return 0, streamNotFound(s.name)
	case s.finalized:
		return s.rows, nil
	}
	if err := s.write(&frame{kind: frameFinalize}, nil); err != nil {
		return 0, err
	}
	s.finalized = true
	return s.rows, nil
}

// Flush makes rows of a BUFFERED stream readable, up to and including the one at offset.
func (s *Stream) Flush(offset int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.kind != storagepb.WriteStream_BUFFERED:
		return invalidType(s.name, "FlushRows takes streams of type BUFFERED only.")
	case offset < 0 || offset >= s.rows:
		return &Error{
			Code: codes.OutOfRange, Storage: storagepb.StorageError_OFFSET_OUT_OF_RANGE, Entity: s.name,
			Message: "The flush offset is beyond the end of the stream. Entity: " + s.name,
		}
	case offset < s.flushed:
		return nil
	}
	if err := s.write(&frame{kind: frameFlush, offset: offset}, nil); err != nil {
		return err
	}
	s.flushed = offset + 1
	return nil
}

// expired says whether the stream is gone for want of traffic.
func (s *Stream) expired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expiredLocked()
}

func (s *Stream) expiredLocked() bool {
	return !s.finalized && !s.IsDefault() && s.table.store.clock.Now().Sub(time.UnixMicro(s.last)) > streamTTL
}

// visible is how many rows of the stream can be read.
func (s *Stream) visible() int64 {
	switch s.kind {
	case storagepb.WriteStream_PENDING:
		if s.committed == 0 {
			return 0
		}
	case storagepb.WriteStream_BUFFERED:
		return s.flushed
	}
	return s.rows
}

// write appends a frame. On an error the file is as it was.
func (s *Stream) write(f *frame, payload []byte) error {
	f.micros = s.table.store.clock.Now().UnixMicro()
	s.last = f.micros
	if s.table.store.cfg.Discard {
		return nil
	}
	if s.file == nil {
		file, err := os.OpenFile(s.path, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return err
		}
		s.file = file
	}
	h := f.header(payload)
	_, err := s.file.WriteAt(h[:], s.size)
	if err == nil && len(payload) > 0 {
		_, err = s.file.WriteAt(payload, s.size+frameHeader)
	}
	if err != nil {
		_ = s.file.Truncate(s.size) // the write's own error is the one to report
		return err
	}
	s.size += frameHeader + int64(len(payload))
	if s.users == 0 {
		return s.closeFile()
	}
	return nil
}

func (s *Stream) closeFile() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

// loadStream reads a stream's file; nil when not even its first frame is whole.
func (t *Table) loadStream(path string) (*Stream, error) {
	st := &Stream{table: t, path: path}
	var meta *storagepb.WriteStream
	size, err := replay(path, func(file *os.File, f frame) error {
		st.last = f.micros
		switch f.kind {
		case frameCreate, frameSchema:
			b, err := f.payload(file, nil)
			if err != nil {
				return err
			}
			if f.kind == frameSchema {
				st.schemas = append(st.schemas, string(b))
				return nil
			}
			meta = &storagepb.WriteStream{}
			return proto.Unmarshal(b, meta)
		case frameRows:
			st.rows += int64(f.rows)
			st.bytes += int64(f.size)
		case frameFlush:
			st.flushed = f.offset + 1
		case frameFinalize:
			st.finalized = true
		}
		return nil
	})
	if err != nil || meta == nil {
		return nil, err
	}
	st.size, st.name, st.kind, st.created = size, meta.Name, meta.Type, meta.CreateTime.AsTime().UnixMicro()
	st.id = st.name[len(t.Name()+"/streams/"):]
	return st, nil
}
