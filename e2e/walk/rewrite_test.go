package walk

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const source = `package main

import "fmt"

const quiet = 1 < 0 // no decision of the running program

type list struct{ items []int }

func (l *list) fits(n int, more bool) string {
	if l == nil || len(l.items) >= n && !more {
		return "no"
	}
	switch {
	case n == 3:
		return "three"
	}
	for i := 0; i < len(l.items); i++ {
		if l.items[i] > next() {
			return "more"
		}
	}
	return "yes"
}

func next() int { return 1 }

func main() {
	l := &list{[]int{1, 1}}
	fmt.Print(l.fits(2, false), " ", l.fits(2, true), " ", l.fits(3, false), " ", l.fits(9, false), " ",
		(*list)(nil).fits(1, true))
}
`

// Every condition is wrapped once, with what it can be made to.
func TestMutantsOfASource(t *testing.T) {
	_, mutants, err := rewrite("main.go", []byte(source), 7)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, m := range mutants {
		if m.ID != 7+i || m.File != "main.go" {
			t.Errorf("mutant %d is %+v", i, m)
		}
		got = append(got, m.Key())
	}
	var want []string
	for _, c := range []struct{ condition, boundary string }{
		{"l == nil", ""},
		{"len(l.items) >= n", ">"},
		{"more", ""},
		{"n == 3", ""},
		{"i < len(l.items)", "<="},
		{"l.items[i] > next()", ""},
	} {
		want = append(want, "main.go list.fits "+c.condition+" => true", "main.go list.fits "+c.condition+" => false")
		if c.boundary != "" {
			want = append(want, "main.go list.fits "+c.condition+" => "+c.boundary)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What a released binary does not hold is no decision of it: the code behind a removed protection. What is behind one
// that is there is.
func TestRemovedProtectionsAreNotWalked(t *testing.T) {
	const text = `package p

func f(n int) int {
	if mutant.Fence {
		if n > 1 {
			return 1
		}
	} else if n > 2 {
		return 2
	}
	if !mutant.Fence && n == 3 {
		return 3
	}
	return 0
}
`
	_, mutants, err := rewrite("p.go", []byte(text), 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range mutants {
		if m.Change == "true" {
			got = append(got, m.Condition)
		}
	}
	if diff := cmp.Diff([]string{"n > 2", "n == 3"}, got); diff != "" {
		t.Error(diff)
	}
}

// The program does what it did with no mutant, and something else with each that matters.
func TestMutantsRun(t *testing.T) {
	dir := t.TempDir()
	text, mutants, err := rewrite("main.go", []byte(source), 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"main.go": text, helperFile: helper("main", 0, len(mutants)), "go.mod": []byte("module walked\n\ngo 1.26\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "walked")
	if _, err := run(t.Context(), dir, []string{
		"GOWORK=off", "CGO_ENABLED=0",
	}, "go", "build", "-o", binary, "."); err != nil {
		t.Fatal(err)
	}
	const unchanged = "no yes three yes no"
	out, err := run(t.Context(), dir, nil, binary)
	if err != nil || out != unchanged {
		t.Fatalf("unmutated: %q, %v", out, err)
	}
	reached := filepath.Join(dir, "reached")
	if _, err := run(t.Context(), dir, []string{reachedVariable + "=" + reached}, binary); err != nil {
		t.Fatal(err)
	}
	note, err := os.ReadFile(reached)
	if err != nil || len(strings.Fields(string(note))) != 6 {
		t.Errorf("reached: %q, %v", note, err)
	}
	same := map[string]bool{}
	for _, m := range mutants {
		cmd := exec.CommandContext(t.Context(), binary)
		cmd.Env = append(os.Environ(), activeVariable+"="+strconv.Itoa(m.ID))
		if text, err := cmd.Output(); err == nil && string(text) == unchanged {
			same[m.Condition+" => "+m.Change] = true
		}
	}
	// The others change what is printed, or end in a panic.
	if want := (map[string]bool{"l.items[i] > next() => false": true, "i < len(l.items) => false": true}); !cmp.Equal(
		want, same) {
		t.Errorf("these change nothing: %v", same)
	}
}

// What the packages have in the tree can be rewritten, and is still Go.
func TestRewritesOurselves(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := rewrite(name, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.ParseFile(token.NewFileSet(), name, out, 0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Count(string(out), "\n") != strings.Count(string(text), "\n") {
			t.Errorf("%s: lines have moved", name)
		}
	}
}

func TestEquivalentsAreReadable(t *testing.T) {
	list, err := readEquivalents()
	if err != nil || len(list) == 0 {
		t.Fatalf("%d equivalents, %v", len(list), err)
	}
	if unused := list.unused(); len(unused) != len(list) {
		t.Errorf("%d of %d are used before any walk", len(list)-len(unused), len(list))
	}
}

// A mutant that is said to be equivalent and that tests tell from the code is an error, with both.
func TestWrongEquivalents(t *testing.T) {
	right := judged{fate: Equivalent, by: "a reason"}
	if err := notEquivalent([]judged{right, {fate: Killed, by: "TestX"}}); err != nil {
		t.Error(err)
	}
	m := Mutant{File: "f.go", Func: "f", Condition: "a", Change: "true"}
	err := notEquivalent([]judged{right, {Mutant: m, fate: Killed, by: "TestX", reason: "none"}})
	if err == nil || !strings.Contains(err.Error(), "f.go f a => true: killed by TestX") {
		t.Error(err)
	}
}

// Whether it is equivalent is for the tests to say: here two programs that pass, and fail, whatever they are asked.
func TestEquivalentsAreTried(t *testing.T) {
	for program, want := range map[string]Fate{"true": Equivalent, "false": Killed} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Skip(err)
		}
		b := &built{binary: path, dir: t.TempDir(), reach: map[int][]timed{3: {{"TestX", 0}}}}
		j := b.doubted(t.Context(), b.judge(t.Context(), Mutant{ID: 3}, 3, time.Minute), "a reason", 3, time.Minute)
		if j.fate != want || (j.reason != "") != (want == Killed) {
			t.Errorf("%s: %+v", program, j)
		}
	}
}

func TestShareOfTheKilled(t *testing.T) {
	var c tally
	for _, f := range []Fate{Killed, Hung, Survived, Unreached, Equivalent} {
		c.add(f)
	}
	if c != (tally{mutants: 5, killed: 2, hung: 1, equivalent: 1, survived: 2}) || c.share() != 0.5 {
		t.Errorf("%+v, share %v", c, c.share())
	}
	if (tally{mutants: 1, equivalent: 1}).share() != 1 {
		t.Error("nothing but equivalent mutants is no failure")
	}
}
