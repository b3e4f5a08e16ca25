package store

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
)

// Table is one table: its definition and its write streams.
type Table struct {
	store *Store
	dir   string
	ref   bq.TableReference

	mu      sync.Mutex
	def     *bq.Table
	columns []*row.Column
	// hidden are the updates that the Storage Write API may not know of yet, oldest first.
	hidden  []hidden
	shapes  map[shapeKey]*row.Shape
	streams []*Stream // by creation
	byID    map[string]*Stream
	dropped bool
	// policies are the row access policies, oldest first.
	policies []*bq.RowAccessPolicy
}

// hidden is an update of the schema: until the time given the Storage Write API sees the columns of before.
type hidden struct {
	before []*row.Column
	until  time.Time
}

// shapeKey names a compiled shape: a descriptor and the columns it was compiled against, which are never changed in
// place.
type shapeKey struct {
	descriptor string
	columns    **row.Column
}

const defaultStream = "_default"

func (s *Store) newTable(dir string, def *bq.Table) (*Table, error) {
	columns, err := row.Columns(def.Schema)
	if err != nil {
		return nil, invalid(def.TableReference.TableId, "%v", err)
	}
	return &Table{
		store: s, dir: dir, ref: *def.TableReference, def: def, columns: columns,
		shapes: map[shapeKey]*row.Shape{}, byID: map[string]*Stream{},
	}, nil
}

func (s *Store) loadTable(dir string) (*Table, error) {
	var def *bq.Table
	if err := readJSON(filepath.Join(dir, "table.json"), &def); err != nil {
		return nil, err
	}
	t, err := s.newTable(dir, def)
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.stream"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		st, err := t.loadStream(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if st == nil { // killed before the stream's first frame was whole: nobody knows of it
			if err := os.Remove(path); err != nil {
				return nil, err
			}
			continue
		}
		t.add(st)
	}
	slices.SortStableFunc(t.streams, func(a, b *Stream) int {
		return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.id, b.id))
	})
	if err := errors.Join(t.loadCommits(), t.loadPolicies()); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Table) add(st *Stream) {
	t.streams = append(t.streams, st)
	t.byID[st.id] = st
}

// Name is projects/P/datasets/D/tables/T.
func (t *Table) Name() string {
	return fmt.Sprintf("projects/%s/datasets/%s/tables/%s", t.ref.ProjectId, t.ref.DatasetId, t.ref.TableId)
}

// ID is dataset.table, which faults and statistics name a table by.
func (t *Table) ID() string { return t.ref.DatasetId + "." + t.ref.TableId }

// Definition is the table as the REST API shows it. It must not be changed.
func (t *Table) Definition() *bq.Table {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.def
}

// Columns are the table's columns. They must not be changed.
func (t *Table) Columns() []*row.Column {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.columns
}

// WriteColumns are the columns the Storage Write API sees now.
func (t *Table) WriteColumns() []*row.Column {
	now := t.store.clock.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.hidden) > 0 && !now.Before(t.hidden[0].until) {
		t.hidden = t.hidden[1:]
	}
	if len(t.hidden) > 0 {
		return t.hidden[0].before
	}
	return t.columns
}

// Update replaces the definition with what change makes of it. The schema may only evolve: see [row.Evolves]. The
// Storage Write API sees a new schema after hide.
func (t *Table) Update(hide time.Duration, change func(old *bq.Table) (*bq.Table, error)) (*bq.Table, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	def, err := change(t.def)
	if err != nil {
		return nil, err
	}
	columns, err := row.Columns(def.Schema)
	if err == nil {
		err = row.Evolves(t.columns, columns)
	}
	if err != nil {
		return nil, invalid(t.Name(), "Provided Schema does not match Table %s:%s. %v", t.ref.ProjectId, t.ID(), err)
	}
	if err := writeJSON(filepath.Join(t.dir, "table.json"), def); err != nil {
		return nil, err
	}
	t.def = def
	if reflect.DeepEqual(columns, t.columns) {
		return def, nil
	}
	if hide > 0 {
		t.hidden = append(t.hidden, hidden{t.columns, t.store.clock.Now().Add(hide)})
	}
	t.columns, t.shapes = columns, map[shapeKey]*row.Shape{}
	return def, nil
}

// Shape compiles a descriptor against columns of this table, once.
func (t *Table) Shape(descriptor string, columns []*row.Column) (*row.Shape, error) {
	key := shapeKey{descriptor: descriptor}
	if len(columns) > 0 {
		key.columns = &columns[0]
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.shapes[key]; s != nil {
		return s, nil
	}
	s, err := row.Compile([]byte(descriptor), columns)
	if err == nil {
		t.shapes[key] = s
	}
	return s, err
}

// CreateStream makes a write stream of a type.
func (t *Table) CreateStream(kind storagepb.WriteStream_Type) (*Stream, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.createStream(newID(), kind)
}

func (t *Table) createStream(id string, kind storagepb.WriteStream_Type) (*Stream, error) {
	if t.dropped {
		return nil, tableNotFound(t.Name())
	}
	if err := t.writable(); err != nil {
		return nil, err
	}
	now := t.store.clock.Now()
	st := &Stream{
		table: t, id: id, name: t.Name() + "/streams/" + id, kind: kind, created: now.UnixMicro(),
		last: now.UnixMicro(), path: filepath.Join(t.dir, id+".stream"),
	}
	meta, err := proto.Marshal(&storagepb.WriteStream{Name: st.name, Type: kind, CreateTime: timestamppb.New(now)})
	if err != nil {
		return nil, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := st.write(&frame{kind: frameCreate}, meta); err != nil {
		return nil, err
	}
	t.add(st)
	return st, nil
}

// Writable says why nothing can be written to the table: a view takes no rows.
func (t *Table) Writable() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.writable()
}

func (t *Table) writable() error {
	switch {
	case t.def.View != nil:
		return invalid(t.Name(), "Table %s is a view, which cannot be written to", t.ID())
	case t.def.MaterializedView != nil:
		return invalid(t.Name(), "Table %s is a materialized view, which cannot be written to", t.ID())
	case t.def.ExternalDataConfiguration != nil:
		return invalid(t.Name(), "Table %s is an external table, which cannot be written to", t.ID())
	}
	return nil
}

// ViewQuery is the query of a view or a materialized view; empty for a table.
func ViewQuery(def *bq.Table) string {
	switch {
	case def.View != nil:
		return def.View.Query
	case def.MaterializedView != nil:
		return def.MaterializedView.Query
	}
	return ""
}

// Default is the table's _default stream.
func (t *Table) Default() (*Stream, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if st := t.byID[defaultStream]; st != nil {
		return st, nil
	}
	return t.createStream(defaultStream, storagepb.WriteStream_COMMITTED)
}

// Streams lists the table's write streams, oldest first.
func (t *Table) Streams() []*Stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.streams)
}

// CanonicalStream is a stream's full name. Of a table's default stream the service takes a shorter one too, which
// Java's client uses.
func CanonicalStream(name string) string {
	if table, ok := strings.CutSuffix(name, "/"+defaultStream); ok && strings.Count(table, "/") == 5 {
		return table + "/streams/" + defaultStream
	}
	return name
}

// Stream finds a write stream by its full name. One without traffic for streamTTL is not found.
func (s *Store) Stream(name string) (*Stream, error) {
	name = CanonicalStream(name)
	parts := strings.Split(name, "/")
	if len(parts) != 8 || parts[0] != "projects" || parts[2] != "datasets" || parts[4] != "tables" ||
		parts[6] != "streams" {
		return nil, &Error{
			Code: codes.InvalidArgument, Entity: name,
			Message: fmt.Sprintf("Invalid stream name %q: want projects/P/datasets/D/tables/T/streams/S", name),
		}
	}
	t, err := s.Table(parts[1], parts[3], parts[5])
	if err != nil {
		return nil, err
	}
	if parts[7] == defaultStream {
		return t.Default()
	}
	t.mu.Lock()
	st := t.byID[parts[7]]
	t.mu.Unlock()
	if st == nil || st.expired() {
		return nil, streamNotFound(name)
	}
	return st, nil
}

// TableOf finds a table by projects/P/datasets/D/tables/T.
func (s *Store) TableOf(name string) (*Table, error) {
	parts := strings.Split(name, "/")
	if len(parts) != 6 || parts[0] != "projects" || parts[2] != "datasets" || parts[4] != "tables" {
		return nil, invalid(name, "Invalid table name %q: want projects/P/datasets/D/tables/T", name)
	}
	return s.Table(parts[1], parts[3], parts[5])
}

func (t *Table) close() error {
	var errs []error
	for _, st := range t.Streams() {
		st.mu.Lock()
		errs = append(errs, st.closeFile())
		st.mu.Unlock()
	}
	return errors.Join(errs...)
}

// drop ends every write stream of a table that is being deleted.
func (t *Table) drop() error {
	t.mu.Lock()
	t.dropped = true
	t.mu.Unlock()
	var errs []error
	for _, st := range t.Streams() {
		st.mu.Lock()
		st.gone = true
		errs = append(errs, st.closeFile())
		st.mu.Unlock()
	}
	return errors.Join(errs...)
}

func newID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	return hex.EncodeToString(b[:])
}
