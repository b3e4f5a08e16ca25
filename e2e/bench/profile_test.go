package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// What the compiler knows of the services is where they spend their time, in both of them, and nothing of the machine
// that it was measured on.
func TestProfileOfTheServices(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "services", "services.pgo"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.ParseData(data)
	if err != nil {
		t.Fatal(err)
	}
	called := map[string]int64{}
	for _, s := range p.Sample {
		seen := map[string]bool{}
		for _, l := range s.Location {
			for _, line := range l.Line {
				if name := line.Function.Name; !seen[name] {
					seen[name] = true
					called[name] += s.Value[0]
				}
			}
		}
	}
	const module = "github.com/waybill-data/waybill/"
	for _, name := range []string{
		module + "services/ingest/internal/contract.(*Contract).AppendRow",
		module + "services/ingest/internal/decode/json.(*Decoder).object",
		module + "services/ingest/internal/decode/avro.(*machine).fast",
		module + "services/ingest/internal/decode/protobuf.(*machine).walk",
		module + "pkg/lanewire.(*cursor).skipRows",
	} {
		if called[name] == 0 {
			t.Errorf("%s is in no sample: run make profile after a change of the way of a row", name)
		}
	}
	for _, m := range p.Mapping {
		if m.File != "" || m.BuildID != "" {
			t.Errorf("a mapping names %s %s", m.File, m.BuildID)
		}
	}
	for _, f := range p.Function {
		if strings.HasPrefix(f.Filename, "/") {
			t.Errorf("%s is in %s", f.Name, f.Filename)
		}
	}
}

// What tells of the machine and the hour is taken out of a profile, and nothing else.
func TestProfileNamesNoMachine(t *testing.T) {
	f := &profile.Function{ID: 1, Name: "f", Filename: "module/f.go"}
	m := &profile.Mapping{ID: 1, File: "/home/somebody/bin/ingest", BuildID: "1234"}
	l := &profile.Location{ID: 1, Mapping: m, Line: []profile.Line{{Function: f, Line: 7}}}
	p := nameless(&profile.Profile{
		SampleType: []*profile.ValueType{{Type: "cpu", Unit: "nanoseconds"}},
		Sample:     []*profile.Sample{{Location: []*profile.Location{l}, Value: []int64{5}}},
		Mapping:    []*profile.Mapping{m}, Location: []*profile.Location{l}, Function: []*profile.Function{f},
		Comments: []string{"on a host"}, TimeNanos: 1, DurationNanos: 2,
	})
	var written bytes.Buffer
	if err := p.WriteUncompressed(&written); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"somebody", "1234", "a host"} {
		if bytes.Contains(written.Bytes(), []byte(gone)) {
			t.Errorf("%q is still in it", gone)
		}
	}
	back, err := profile.Parse(&written)
	if err != nil {
		t.Fatal(err)
	}
	if s := back.Sample[0]; s.Value[0] != 5 || s.Location[0].Line[0].Function.Name != "f" || back.TimeNanos != 0 {
		t.Errorf("%v", back)
	}
}
