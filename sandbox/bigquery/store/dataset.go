package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/grpc/codes"
)

// maxID bounds the id of a dataset or table, in bytes.
const maxID = 1024

var (
	datasetID = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
	tableID   = regexp.MustCompile(`^[\p{L}\p{M}\p{N}\p{Pc}\p{Pd}\p{Zs}]+$`)
	projectID = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$`)
)

// folder is where a dataset or table lies: by its id, or by the hash of one that is too long for a file's name.
func folder(id string) string {
	const longest = 200
	if len(id) <= longest {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// CreateDataset adds a dataset.
func (s *Store) CreateDataset(def *bq.Dataset) error {
	ref := def.DatasetReference
	if !projectID.MatchString(ref.ProjectId) || !datasetID.MatchString(ref.DatasetId) || len(ref.DatasetId) > maxID {
		return invalid(ref.DatasetId,
			"Invalid dataset ID %q. Dataset IDs must be alphanumeric (plus underscores) and at most "+
				"%d characters long.", ref.DatasetId, maxID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := ref.ProjectId + "/" + ref.DatasetId
	if s.datasets[key] != nil {
		return &Error{
			Code: codes.AlreadyExists, Entity: key, Message: fmt.Sprintf("Already Exists: Dataset %s:%s",
				ref.ProjectId, ref.DatasetId),
		}
	}
	d := &dataset{
		project: ref.ProjectId, dir: filepath.Join(s.cfg.Dir, ref.ProjectId, folder(ref.DatasetId)), def: def,
		tables: map[string]*Table{},
	}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(d.dir, "dataset.json"), def); err != nil {
		return err
	}
	s.datasets[key] = d
	return nil
}

// Dataset gives a dataset's definition.
func (s *Store) Dataset(project, id string) (*bq.Dataset, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, err := s.dataset(project, id)
	if err != nil {
		return nil, err
	}
	return d.def, nil
}

// UpdateDataset replaces a dataset's definition with what change makes of it.
func (s *Store) UpdateDataset(project, id string,
	change func(old *bq.Dataset) (*bq.Dataset, error),
) (*bq.Dataset, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.dataset(project, id)
	if err != nil {
		return nil, err
	}
	def, err := change(d.def)
	if err != nil {
		return nil, err
	}
	if err := writeJSON(filepath.Join(d.dir, "dataset.json"), def); err != nil {
		return nil, err
	}
	d.def = def
	return def, nil
}

func (s *Store) dataset(project, id string) (*dataset, error) {
	d := s.datasets[project+"/"+id]
	if d == nil {
		return nil, &Error{
			Code: codes.NotFound, Entity: id, Message: fmt.Sprintf("Not found: Dataset %s:%s", project, id),
		}
	}
	return d, nil
}

// Datasets lists a project's datasets by name.
func (s *Store) Datasets(project string) []*bq.Dataset {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*bq.Dataset
	for _, d := range s.datasets {
		if d.project == project {
			out = append(out, d.def)
		}
	}
	slices.SortFunc(out, func(a, b *bq.Dataset) int {
		return cmp.Compare(a.DatasetReference.DatasetId, b.DatasetReference.DatasetId)
	})
	return out
}

// DeleteDataset removes a dataset, with its tables if contents is set.
func (s *Store) DeleteDataset(project, id string, contents bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.dataset(project, id)
	if err != nil {
		return err
	}
	if len(d.tables) > 0 && !contents {
		return invalid(id, "Dataset %s:%s is still in use", project, id)
	}
	for _, t := range d.tables {
		if err := t.drop(); err != nil {
			return err
		}
	}
	delete(s.datasets, project+"/"+id)
	return s.remove(d.dir)
}

// ProjectOf is the project of a dataset that only one has; empty otherwise.
func (s *Store) ProjectOf(datasetID string) (project string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, d := range s.datasets {
		if d.def.DatasetReference.DatasetId != datasetID {
			continue
		}
		if project != "" {
			return ""
		}
		project = d.project
	}
	return project
}
