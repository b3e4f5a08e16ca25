package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type placedEntry struct {
	Table string `yaml:"table"`
	place Place
}

func (e *placedEntry) SetPlace(p Place) { e.place = p }

func (e *placedEntry) Check(report func(key, message, remedy string)) {
	if e.Table == "bad" {
		report("table", "is bad", "name another")
	}
}

func TestLoadEntries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# two\n- table: a\n-\n  table: b\n")
	entries, err := LoadEntries[placedEntry](path)
	if err != nil || len(entries) != 2 || entries[0].Table != "a" || entries[1].Table != "b" {
		t.Fatalf("%+v, %v", entries, err)
	}
	got := entries[1].place.Problem("table", "is odd", "remedy")
	if want := (Problem{"[1].table", path, 4, "is odd", "remedy"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	write("\ntable: a\n")
	entries, err = LoadEntries[placedEntry](path)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%+v, %v", entries, err)
	}
	if got := entries[0].place.Problem("topic", "is missing", ""); got.Key != "topic" || got.Line != 2 {
		t.Errorf("%+v", got)
	}
	for text, want := range map[string]Problems{
		"- table: bad\n- tabel: x\n": {
			{"[0].table", path, 1, "is bad", "name another"},
			{"[1].tabel", path, 2, "unknown key", "did you mean table?"},
		},
		"# nothing\n": {{
			"", path, 0, "the file holds nothing",
			"write an entry, or a list of them, or remove the file",
		}},
		"just text": {
			{"", path, 1, "is a plain value, not a group of keys", "write `key: value` lines below it, indented"},
		},
	} {
		write(text)
		_, err := LoadEntries[placedEntry](path)
		if diff := cmp.Diff(error(want), err); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	if _, err := LoadEntries[placedEntry](path + "x"); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestMerge(t *testing.T) {
	again := Problem{Key: "a", File: "f", Line: 3, Message: "m", Remedy: "r"}
	later := Problem{Key: "c", File: "f", Line: 1, Message: "m"}
	err := Merge("f", Problems{again}, nil, Problems{again, {Key: "b", Message: "m"}, later}, os.ErrNotExist)
	want := Problems{later, again, {Key: "b", File: "f", Message: "m"}, {File: "f", Message: os.ErrNotExist.Error()}}
	if diff := cmp.Diff(error(want), err); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := Merge("f", nil); err != nil {
		t.Error(err)
	}
}
