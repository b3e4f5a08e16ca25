package model

import (
	"fmt"
	"strings"
)

// Case is a bounded world to explore, and what is expected of it.
type Case struct {
	Name string
	World
	// Breaks: a protection or an assumption is taken away, and it must show. Else the law must hold.
	Breaks bool
}

// Proof are worlds in which the law holds, together some millions of states. Each turns another screw.
func Proof() []Case {
	return []Case{
		{Name: "three generations, late commits", World: World{
			Log: Parse("AAB"), Batch: 1, Window: 2, Opens: 3, Generations: 3, Losses: 1, Late: UntilNext,
		}},
		{Name: "four openings, rests", World: World{
			Log: Parse("AB"), Batch: 1, Window: 2, Opens: 4, Generations: 3, Losses: 1, Rests: 1,
		}},
		{Name: "four records in batches of two", World: World{
			Log: Parse("AAAB"), Batch: 2, Window: 2, Opens: 3, Generations: 2, Losses: 1,
		}},
		{Name: "two losses, rests, late commits", World: World{
			Log: Parse("AAA"), Batch: 2, Window: 2, Opens: 3, Generations: 2, Losses: 2, Rests: 1, Late: UntilNext,
		}},
		{Name: "an undecodable record, rests", World: World{
			Log: Parse("A-AB"), Batch: 2, Window: 2, Opens: 3, Generations: 2, Losses: 1, Rests: 1, Late: UntilNext,
		}},
		{Name: "an undecodable record behind others", World: World{
			Log: Parse("AA-AB"), Batch: 2, Window: 2, Opens: 3, Generations: 2, Late: UntilNext,
		}},
		{Name: "a refused row, batches of two", World: World{
			Log: Parse("A!AB"), Batch: 2, Window: 2, Opens: 3, Generations: 2, Losses: 1,
		}},
		{Name: "a refused row behind others", World: World{
			Log: Parse("AA!AB"), Batch: 1, Window: 2, Opens: 3, Generations: 2, Losses: 1, Late: UntilNext,
		}},
		{Name: "both kinds of bad records", World: World{
			Log: Parse("A-B!A"), Batch: 2, Window: 2, Opens: 3, Generations: 2, Losses: 1, Late: UntilNext,
		}},
		{Name: "the partition stays, doubts", World: World{
			Log: Parse("AA"), Batch: 1, Window: 2, Opens: 3, Generations: 4, Stays: 2, Losses: 1,
		}},
		{Name: "the partition stays, rests, a bad record", World: World{
			Log: Parse("A-A"), Batch: 2, Window: 2, Opens: 3, Generations: 3, Stays: 1, Rests: 1,
		}},
		{Name: "ALREADY_EXISTS taken as written", World: World{
			Log: Parse("AA"), Batch: 2, Window: 2, Opens: 3, Generations: 2, Losses: 2, Rests: 1,
			Without: ExistsUnchecked,
		}},
		{Name: "adopted stream without barrier: tables", World: World{
			Log: Parse("AAA"), Batch: 2, Window: 2, Opens: 3, Generations: 2, Rests: 1, Without: AdoptSilently,
			Outcome: true,
		}},
	}
}

// Mutants are worlds in which it breaks: each lacks one protection, the last one an assumption about Kafka. Where
// Outcome is set the counterexample ends with a row lost, repeated or out of order; the law alone breaks some steps
// before that.
//
// Two protections stand behind each other, so that taking away one of them does no harm to the tables, as the last two
// cases of Proof show. While the law holds nobody but the owner appends to a stream, and rows never move while a copy
// of them is in doubt; so what exists at an offset is always the piece that is sent there, and checking it finds
// nothing. And where a writer appends to an adopted stream that the committed checkpoint still calls clean, so that two
// owners may share it, that check ends the call before harm is done. Without both, a row is lost.
func Mutants() []Case {
	lacks := func(m Mutant, w World) Case {
		w.Without, w.Window = m, 2
		return Case{Name: m.String(), World: w, Breaks: true}
	}
	return []Case{
		lacks(NoResidue, World{Log: Parse("AB"), Batch: 1, Opens: 3, Generations: 2, Outcome: true}),
		lacks(CommitNotAwaited, World{Log: Parse("A"), Batch: 1, Opens: 2, Generations: 2, Outcome: true}),
		lacks(NoFence, World{Log: Parse("AA"), Batch: 1, Opens: 3, Generations: 2, Outcome: true}),
		lacks(ResendOrder, World{Log: Parse("AA"), Batch: 1, Opens: 2, Generations: 2, Losses: 1, Outcome: true}),
		lacks(NoLeftOut, World{Log: Parse("A-A"), Batch: 2, Opens: 2, Generations: 2, Outcome: true}),
		lacks(LeftOutSilently, World{Log: Parse("AA-A"), Batch: 2, Opens: 2, Generations: 2, Outcome: true}),
		lacks(NoGeneration, World{Log: Parse("A"), Batch: 1, Opens: 3, Generations: 2, Outcome: true}),
		lacks(ShiftInDoubt, World{Log: Parse("A!A"), Batch: 1, Opens: 1, Generations: 1, Losses: 1, Outcome: true}),
		lacks(AdoptSilently, World{Log: Parse("AA"), Batch: 1, Opens: 2, Generations: 2, Rests: 1}),
		lacks(ExistsUnchecked|AdoptSilently, World{
			Log: Parse("AAA"), Batch: 2, Opens: 2, Generations: 2, Rests: 1, Outcome: true,
		}),
		lacks(NoRetire, World{Log: Parse("A"), Batch: 1, Opens: 2, Generations: 2, Outcome: true}),
		lacks(NoWithhold, World{Log: Parse("A"), Batch: 1, Opens: 2, Generations: 2, Stays: 1, Outcome: true}),
		lacks(NoBar, World{Log: Parse("A"), Batch: 1, Opens: 2, Generations: 2, Stays: 1, Outcome: true}),
		{Name: "assumption: commits stay in order", Breaks: true, World: World{
			Log: Parse("A"), Batch: 1, Window: 2, Opens: 3, Generations: 1, Late: AnyTime, Outcome: true,
		}},
	}
}

// String is the log as Parse reads it.
func (c *Case) String() string {
	var text strings.Builder
	for _, r := range c.Log {
		fmt.Fprintf(&text, "%c%s", 'A'+r.Table, [...]string{"", "-", "!"}[r.Kind])
	}
	return text.String()
}
