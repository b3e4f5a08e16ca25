package verify

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v3"
)

// said is what this package reads of an entry of ingest's configuration. All else is ingest's business.
type said struct {
	Topic     string
	Builtin   string
	EventTime struct{ Field, Unit string } `yaml:"event_time"`
	Ignore    []string
}

// Follow has topics go by what the contracts of an ingest's configuration say of them: where event_time comes from, in
// which unit, and which types are ignored. Topics without a contract stay as they are.
func Follow(topics []Topic, configuration string) error {
	var file struct {
		Contracts    []said
		ContractsDir string `yaml:"contracts_dir"`
	}
	if err := read(configuration, &file); err != nil {
		return err
	}
	entries := file.Contracts
	if dir := file.ContractsDir; dir != "" {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(filepath.Dir(configuration), dir)
		}
		more, err := folder(dir)
		if err != nil {
			return err
		}
		entries = append(entries, more...)
	}
	for i := range topics {
		follow(&topics[i], entries)
	}
	return nil
}

// folder reads the entries of every *.yaml file in a folder, each an entry or a list of them.
func folder(dir string) (entries []said, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("contracts_dir: %w", err)
	}
	for _, f := range files {
		if filepath.Ext(f.Name()) != ".yaml" {
			continue
		}
		var list []said
		if err := read(filepath.Join(dir, f.Name()), &list); err != nil {
			var one said
			if again := read(filepath.Join(dir, f.Name()), &one); again != nil {
				return nil, errors.Join(err, again)
			}
			list = []said{one}
		}
		entries = append(entries, list...)
	}
	return entries, nil
}

func read(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("the contracts: %w", err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		return fmt.Errorf("the contracts of %s: %w", path, err)
	}
	return nil
}

// follow goes by the first entry that says something of event_time. A built-in contract settles it.
func follow(t *Topic, entries []said) {
	reported := false
	for i := range entries {
		e := &entries[i]
		if e.Topic != t.Name && (e.Topic != "" || e.Builtin == "" || e.Builtin != t.Builtin) {
			continue
		}
		for _, name := range e.Ignore {
			if !slices.Contains(t.Ignored, name) {
				t.Ignored = append(t.Ignored, name)
			}
		}
		if e.Builtin == "" && !reported {
			t.EventTime, reported = EventTime{
				Field: e.EventTime.Field, Unit: e.EventTime.Unit,
				None: e.EventTime.Field == "",
			}, true
		}
	}
}
