package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// write writes a report as JSON, whole or not at all.
func write(path string, report any) error {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".bench-*.json")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // It is gone once it was renamed.
	if _, err := file.Write(append(text, '\n')); err != nil {
		_ = file.Close() // the error to report is the other one
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Chmod(file.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
