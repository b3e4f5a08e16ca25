package fleet

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFit(t *testing.T) {
	config := "kafka: {brokers: [a:1], new: {a: 1}, tls: {enable: true, later: x}}\nlater: 1\n" +
		"contracts:\n  - builtin: x\n"
	example := "# old\nkafka: {brokers: \"${B:-b}\", tls: {enable: false}}\ncontracts:\n  - builtin: y\n"
	got, err := fit([]byte(config), []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	want := "contracts:\n    - builtin: x\nkafka:\n    brokers:\n        - a:1\n    tls:\n        enable: true\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if _, err := fit([]byte(config), []byte("# nothing\n")); err == nil {
		t.Error("an example without keys is taken")
	}
}

func TestAssign(t *testing.T) {
	example := []byte("kafka:\n  group: g\n  assignment: sticky\n")
	if got, err := assignment(example); err != nil || got != "sticky" {
		t.Errorf("%q, %v", got, err)
	}
	got, err := assign(example, "sticky,cooperative-sticky")
	if err != nil {
		t.Fatal(err)
	}
	want := "kafka:\n    assignment: sticky,cooperative-sticky\n    group: g\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if _, err := assign([]byte("writer: {}\n"), "sticky"); err == nil {
		t.Error("a configuration without kafka is taken")
	}
}

// Each step changes one thing, each pairing of old and new is met, and where the assignments differ nobody is ever
// beside a member that has none in common.
func TestSteps(t *testing.T) {
	for name, tt := range map[string]struct{ old, new string }{
		"the same assignment": {"sticky", "sticky"}, "another assignment": {"sticky", "cooperative-sticky"},
		"the old one has no choice": {"", "cooperative-sticky"},
	} {
		t.Run(name, func(t *testing.T) {
			at := state{ingest: side{old: true, assignment: tt.old}, writer: side{old: true}}
			met := map[[2]bool]bool{}
			for _, s := range steps(tt.old, tt.new) {
				if s.to == at {
					t.Errorf("%s changes nothing", s.what)
				}
				if s.to.ingest != at.ingest && s.to.writer != at.writer {
					t.Errorf("%s changes both services", s.what)
				}
				if s.to.ingest != at.ingest && !common(at.ingest.assignment, s.to.ingest.assignment) {
					t.Errorf("%s: members name %q and %q", s.what, at.ingest.assignment, s.to.ingest.assignment)
				}
				at = s.to
				met[[2]bool{at.ingest.old, at.writer.old}] = true
			}
			if len(met) != 4 {
				t.Errorf("%v: not every pairing is met", met)
			}
			if at.ingest.old || at.writer.old || at.ingest.assignment != tt.new {
				t.Errorf("it ends with %+v", at)
			}
		})
	}
}
