package config

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// grown is a section that had another key once.
type grown struct {
	Size int `yaml:"size"`
}

func (*grown) Older() map[string]string { return map[string]string{"sise": "size says it"} }

// A key of older versions is told from a typing error: it says what is so without it.
func TestKeysOfOlderVersions(t *testing.T) {
	var s struct {
		One grown            `yaml:"one"`
		All []grown          `yaml:"all"`
		By  map[string]grown `yaml:"by"`
	}
	file := "one: {sise: 1}\nall:\n  - {sise: 1}\nby:\n  a: {sise: 1}\n  b: {sice: 1}\n"
	err := load("f", []byte(file), os.LookupEnv, &s)
	old := func(key string, line int) Problem {
		return Problem{
			Key: key, File: "f", Line: line, Message: "is a key of older versions: size says it", Remedy: "remove it",
		}
	}
	want := Problems{
		old("one.sise", 1), old("all[0].sise", 3), old("by.a.sise", 5),
		{Key: "by.b.sice", File: "f", Line: 6, Message: "unknown key", Remedy: "did you mean size?"},
	}
	if diff := cmp.Diff(error(want), err); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
