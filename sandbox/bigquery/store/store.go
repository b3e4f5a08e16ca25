// Package store keeps datasets, tables and write streams on disk, and rows in the files of the streams they came
// through.
//
//	DIR/lock                                   held while a Store is open
//	DIR/clock                                  how far the clock has been moved ahead
//	DIR/PROJECT/DATASET/dataset.json
//	DIR/PROJECT/DATASET/TABLE/table.json       the definition, as the REST API shows it
//	DIR/PROJECT/DATASET/TABLE/ID.stream        one write stream: see frame.go
//	DIR/PROJECT/DATASET/TABLE/commits          frames that name PENDING streams committed together
//
// A row lies on disk once, in the bytes its writer sent, beside the descriptor it was sent with. Memory holds what is
// known about streams, never rows. An append returns after the operating system has the bytes, so a killed process
// loses nothing it has acknowledged; a power cut may.
//
// Locks are taken in the order Store, Table, Stream.
package store

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/grpc/codes"
)

// Config says how a Store keeps its data.
type Config struct {
	// Dir is where everything is kept; it is created when missing.
	Dir string
	// Discard counts rows and offsets and keeps no bytes: for measuring writers. Streams then do not outlive the
	// process.
	Discard bool
}

// Store is an open directory. Its methods are safe for concurrent use.
type Store struct {
	cfg  Config
	lock *os.File

	clock *Clock

	mu       sync.RWMutex
	datasets map[string]*dataset // by project/dataset
}

type dataset struct {
	project string
	dir     string
	def     *bq.Dataset
	tables  map[string]*Table
}

// Open reads a directory, cutting off what a killed process left half written.
func Open(cfg Config) (*Store, error) {
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(cfg.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(
			fmt.Errorf("%s is in use by another process: stop that one, or use another folder", cfg.Dir), lock.Close())
	}
	s := &Store{cfg: cfg, lock: lock, datasets: map[string]*dataset{}}
	if s.clock, err = openClock(filepath.Join(cfg.Dir, "clock")); err == nil {
		err = s.load()
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// Clock is the time the store lives by.
func (s *Store) Clock() *Clock { return s.clock }

// Close gives up the directory. Appends must have ended.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, d := range s.datasets {
		for _, t := range d.tables {
			errs = append(errs, t.close())
		}
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

func (s *Store) load() error {
	defs, err := filepath.Glob(filepath.Join(s.cfg.Dir, "*", "*", "dataset.json"))
	if err != nil {
		return err
	}
	for _, path := range defs {
		d := &dataset{
			dir: filepath.Dir(path), project: filepath.Base(filepath.Dir(filepath.Dir(path))),
			tables: map[string]*Table{},
		}
		if err := readJSON(path, &d.def); err != nil {
			return err
		}
		tables, err := filepath.Glob(filepath.Join(d.dir, "*", "table.json"))
		if err != nil {
			return err
		}
		for _, path := range tables {
			t, err := s.loadTable(filepath.Dir(path))
			if err != nil {
				return err
			}
			d.tables[t.ref.TableId] = t
		}
		s.datasets[d.project+"/"+d.def.DatasetReference.DatasetId] = d
	}
	return s.sweepTrash()
}

// sweepTrash removes what a killed process was about to remove, or had not finished creating.
func (s *Store) sweepTrash() error {
	trash, err := filepath.Glob(filepath.Join(s.cfg.Dir, ".trash-*"))
	for _, path := range trash {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// CreateTable adds a table to a dataset that exists.
func (s *Store) CreateTable(def *bq.Table) (*Table, error) {
	ref := def.TableReference
	if !tableID.MatchString(ref.TableId) || len(ref.TableId) > maxID {
		return nil, invalid(ref.TableId,
			"Invalid table ID %q. Table IDs must be letters, digits, underscores, dashes and spaces, of at most %d "+
				"bytes.",
			ref.TableId, maxID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.dataset(ref.ProjectId, ref.DatasetId)
	if err != nil {
		return nil, err
	}
	if d.tables[ref.TableId] != nil {
		return nil, &Error{
			Code: codes.AlreadyExists, Entity: ref.TableId,
			Message: fmt.Sprintf("Already Exists: Table %s:%s.%s", ref.ProjectId, ref.DatasetId, ref.TableId),
		}
	}
	t, err := s.newTable(filepath.Join(d.dir, folder(ref.TableId)), def)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(t.dir, 0o755); err != nil {
		return nil, err
	}
	if err := writeJSON(filepath.Join(t.dir, "table.json"), def); err != nil {
		return nil, err
	}
	d.tables[ref.TableId] = t
	return t, nil
}

// Table finds a table.
func (s *Store) Table(project, datasetID, id string) (*Table, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if d := s.datasets[project+"/"+datasetID]; d != nil && d.tables[id] != nil {
		return d.tables[id], nil
	}
	e := tableNotFound(fmt.Sprintf("projects/%s/datasets/%s/tables/%s", project, datasetID, id))
	e.Message = fmt.Sprintf("Not found: Table %s:%s.%s", project, datasetID, id)
	return nil, e
}

// Tables lists a dataset's tables by name.
func (s *Store) Tables(project, id string) ([]*Table, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, err := s.dataset(project, id)
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(d.tables), byTableID), nil
}

// All lists every table.
func (s *Store) All() []*Table {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*Table
	for _, d := range s.datasets {
		out = slices.AppendSeq(out, maps.Values(d.tables))
	}
	slices.SortFunc(out, byTableID)
	return out
}

func byTableID(a, b *Table) int { return cmp.Compare(a.Name(), b.Name()) }

// Find resolves a dotted name, [project.]dataset.table or a table name that only one dataset has, preferring the
// project and dataset given.
func (s *Store) Find(name, project, datasetID string) (*Table, error) {
	parts := strings.Split(strings.ReplaceAll(name, ":", "."), ".")
	switch len(parts) {
	case 3:
		return s.Table(parts[0], parts[1], parts[2])
	case 1:
		if datasetID != "" {
			return s.Table(project, datasetID, name)
		}
	}
	var found []*Table
	for _, t := range s.All() {
		if t.ref.TableId != parts[len(parts)-1] || len(parts) == 2 && t.ref.DatasetId != parts[0] {
			continue
		}
		if t.ref.ProjectId == project {
			return t, nil
		}
		found = append(found, t)
	}
	if len(found) == 1 {
		return found[0], nil
	}
	if len(found) > 1 {
		return nil, invalid(name, "Table name %q is ambiguous: %d datasets have it; write project.dataset.table",
			name, len(found))
	}
	return nil, tableNotFound(name)
}

// DeleteTable removes a table, its write streams and its rows.
func (s *Store) DeleteTable(project, datasetID, id string) error {
	t, err := s.Table(project, datasetID, id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.datasets[project+"/"+datasetID].tables, id)
	if err := t.drop(); err != nil {
		return err
	}
	return s.remove(t.dir)
}

// remove moves a folder out of sight in one step before it deletes what is in it.
func (s *Store) remove(dir string) error {
	trash := filepath.Join(s.cfg.Dir, ".trash-"+newID())
	if err := os.Rename(dir, trash); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(trash)
}

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeJSON replaces a file in one step.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(path, b)
}

func replaceFile(path string, b []byte) error {
	if err := os.WriteFile(path+".new", b, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
