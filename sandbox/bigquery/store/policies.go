package store

import (
	"errors"
	"io/fs"
	"path/filepath"

	bq "google.golang.org/api/bigquery/v2"
)

// policiesFile is where the row access policies of a table are, beside its definition.
const policiesFile = "policies.json"

func (t *Table) loadPolicies() error {
	err := readJSON(filepath.Join(t.dir, policiesFile), &t.policies)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Policies are the table's row access policies, oldest first. They must not be changed.
func (t *Table) Policies() []*bq.RowAccessPolicy {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.policies
}

// UpdatePolicies replaces the row access policies with what change makes of them; it changes no old one in place. Only
// a table has such.
func (t *Table) UpdatePolicies(change func(old []*bq.RowAccessPolicy) ([]*bq.RowAccessPolicy, error)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.dropped:
		return tableNotFound(t.Name())
	case t.def.Type != "TABLE":
		return invalid(t.Name(), "Row access policies are of tables, and %s is of type %s", t.ID(), t.def.Type)
	}
	policies, err := change(t.policies)
	if err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(t.dir, policiesFile), policies); err != nil {
		return err
	}
	t.policies = policies
	return nil
}
