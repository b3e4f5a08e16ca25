// Package clitest holds what the commands of all programs promise.
package clitest

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// ForScripts checks that each of at least so many commands says in its help which exit statuses it has, and what for,
// and that all but serve, which runs on, can print JSON.
func ForScripts(t *testing.T, commands any, least int) {
	t.Helper()
	parser, err := kong.New(commands, kong.Vars{"config_file": "FILE", "config_env": "ENV"})
	if err != nil {
		t.Fatal(err)
	}
	leaves := parser.Model.Leaves(false)
	if len(leaves) < least {
		t.Errorf("%d commands", len(leaves))
	}
	for _, leaf := range leaves {
		if !strings.Contains(strings.Join(strings.Fields(leaf.Detail), " "), "Exit status") {
			t.Errorf("the help of %s says nothing of its exit status", leaf.Path())
		}
		prints := leaf.Name == "serve"
		for _, flags := range leaf.AllFlags(true) {
			for _, f := range flags {
				prints = prints || f.Name == "output" && f.Short == 'o' && strings.Contains(f.Enum, "json")
			}
		}
		if !prints {
			t.Errorf("%s has no -o json", leaf.Path())
		}
	}
}
