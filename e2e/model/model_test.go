package model

import (
	"strings"
	"testing"
)

// Small worlds, explored to their end. The larger ones are those of Proof: `make model`.
func TestLawHolds(t *testing.T) {
	for _, test := range []struct {
		log   string
		world World
	}{
		{"AA", World{Batch: 1, Opens: 3, Generations: 3, Losses: 1}},
		{"AB", World{Batch: 2, Opens: 2, Generations: 2, Losses: 1, Rests: 1, Late: UntilNext}},
		{"AAB", World{Batch: 1, Opens: 2, Generations: 2, Losses: 1}},
		{"A!A", World{Batch: 2, Opens: 2, Generations: 2, Losses: 1}},
		{"A-B!", World{Batch: 2, Opens: 2, Generations: 2}},
		{"AA", World{Batch: 1, Opens: 2, Generations: 3, Stays: 2, Losses: 1}},
		{"AA", World{Batch: 2, Opens: 2, Generations: 2, Losses: 1, Rests: 1, Without: ExistsUnchecked}},
	} {
		t.Run(test.log, func(t *testing.T) {
			w := test.world
			w.Log, w.Window = Parse(test.log), 2
			r := w.Explore()
			t.Logf("%d states, %d transitions, depth %d, %v", r.States, r.Transitions, r.Depth, r.Took)
			if r.Broken != "" {
				t.Fatalf("%s\n%s", r.Broken, strings.Join(r.Trace, "\n"))
			}
			if r.Finished == 0 {
				t.Fatal("no state has passed the whole log: nothing is shown")
			}
		})
	}
}

// A trace is a shortest one, so its length says what the protection is needed for.
func TestMutantsBreakIt(t *testing.T) {
	want := map[string]struct {
		steps  int
		broken string
	}{
		"no residual drop":                     {20, "record 0 is in table A twice"},
		"commit not awaited":                   {12, "record 0 is in table A twice"},
		"no fence":                             {17, "record 0 is in table A twice"},
		"resend out of order":                  {11, "record 0 is in table A after record 1"},
		"no left-out list":                     {17, "record 1 is in table A twice"},
		"left out without barrier":             {20, "record 2 is in table A twice"},
		"no generation check":                  {16, "record 0 is in table A twice"},
		"rows shift while copies are in doubt": {16, "record 1 is in table A twice"},
		"adopted stream without barrier": {
			13, "table A: the committed checkpoint is clean at 1 rows, the stream holds 2",
		},
		"ALREADY_EXISTS taken as written and adopted stream without barrier": {
			20, "the committed position has passed record 2, which is in no table",
		},
		"claims that have gone commit again": {17, "record 0 is in table A twice"},
		"partition not withheld":             {18, "record 0 is in table A twice"},
		"commits behind a doubt":             {18, "record 0 is in table A twice"},
		"assumption: commits stay in order":  {20, "record 0 is in table A twice"},
	}
	for _, c := range Mutants() {
		t.Run(c.Name, func(t *testing.T) {
			r := c.Explore()
			if r.Broken != want[c.Name].broken || len(r.Trace) != want[c.Name].steps {
				t.Fatalf("%q after %d steps, want %+v\n%s", r.Broken, len(r.Trace), want[c.Name],
					strings.Join(r.Trace, "\n"))
			}
			c.Without, c.Late = 0, Never
			if r := c.Explore(); r.Broken != "" {
				t.Fatalf("with the protection in place: %s\n%s", r.Broken, strings.Join(r.Trace, "\n"))
			}
		})
		delete(want, c.Name)
	}
	for name := range want {
		t.Errorf("no case named %q", name)
	}
}

// The trace of the simplest counterexample, word by word: traces are read by people.
func TestTraceReadsWell(t *testing.T) {
	w := World{Log: Parse("A"), Batch: 1, Window: 1, Opens: 2, Generations: 2, Without: CommitNotAwaited, Outcome: true}
	want := `owner 1 opens in generation 1 from the committed (position 0)
Kafka commits (position 0) of owner 1
owner 2 opens in generation 2 from the committed (position 0)
Kafka commits (position 0) of owner 2
owner 1: the commit is confirmed, Durable{0}
owner 1: Append{rows 0, dropped none, end 1}
owner 1 creates S1(A)
BigQuery is sent rows 0 for offset 0 of S1(A) by owner 1: written
owner 2: the commit is confirmed, Durable{0}
owner 2: Append{rows 0, dropped none, end 1}
owner 2 creates S2(A)
BigQuery is sent rows 0 for offset 0 of S2(A) by owner 2: written`
	if got := strings.Join(w.Explore().Trace, "\n"); got != want {
		t.Errorf("trace is\n%s\nwant\n%s", got, want)
	}
}

func TestRulesOfAWriteStream(t *testing.T) {
	w := World{Log: Parse("AA!A")}
	s := w.initial()
	id := create(&s, 0, 1)
	for _, step := range []struct {
		offset    int8
		rows      records
		want      Result
		wantTotal int8
	}{
		{1, 0b001, OutOfRange, 0},
		{0, 0b011, RowErrors, 0},
		{0, 0b001, Written, 1},
		{0, 0b001, AlreadyExists, 1},
		{0, 0b101, AlreadyExists, 1}, // in part: nothing is written
		{1, 0b100, Written, 2},
	} {
		r := Request{Offset: step.offset, Rows: step.rows}
		w.take(&s, id, &r)
		if r.Result != step.want || s.Streams[id-1].Rows != step.wantTotal || r.Expected > step.wantTotal {
			t.Errorf("offset %d, rows %s: %v with %d rows, want %v with %d",
				step.offset, name(step.rows), r.Result, s.Streams[id-1].Rows, step.want, step.wantTotal)
		}
	}
	s.Streams[id-1].Finalized = true
	r := Request{Offset: 2, Rows: 1}
	if w.take(&s, id, &r); r.Result != Finalized {
		t.Errorf("finalized: %v", r.Result)
	}
}
