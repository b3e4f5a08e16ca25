package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/e2e/stack"
)

// What the last page says to type has to work where the run was started, whatever folders it was given.
func TestNextCommandsNameTheFoldersInUse(t *testing.T) {
	t.Chdir(t.TempDir())
	inside := func(name string) string {
		abs, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		return abs
	}
	elsewhere := t.TempDir()
	s := &stack.Stack{
		Writers: []*stack.Service{{GRPC: "127.0.0.1:7070", Admin: "127.0.0.1:7071"}},
		Ingests: []*stack.Service{{
			GRPC: "127.0.0.1:7080", Admin: "127.0.0.1:7081", Config: inside(".waybill/ingest.yaml"),
		}},
	}
	for name, tc := range map[string]struct {
		c    command
		want []string
	}{
		"the default folders": {
			command{Dir: inside(".waybill"), Bin: inside("bin")},
			[]string{
				"http://127.0.0.1:7081/ ", "bin/ingest top -c .waybill/ingest.yaml\n",
				"\n  bin/sandbox query \"", "\n  bin/sandbox verify\n",
				"\n  bin/grpcurl -plaintext 127.0.0.1:7070 list", "\n  tail -f .waybill/logs/*.log\n",
				"make run KEEP=1",
			},
		},
		"folders elsewhere": {
			command{Dir: elsewhere, Bin: inside("other/bin"), Keep: true},
			[]string{
				"\n  other/bin/sandbox query --sandbox=" + elsewhere + "/sandbox.json \"",
				"\n  other/bin/sandbox verify --sandbox=" + elsewhere + "/sandbox.json\n",
				"\n  tail -f " + elsewhere + "/logs/*.log\n", "in another terminal",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			tc.c.showNext(&out, s)
			for _, want := range tc.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
		})
	}
}
