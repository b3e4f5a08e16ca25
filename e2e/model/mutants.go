package model

import "strings"

// Mutant is a set of protections taken away.
type Mutant uint16

// The protections.
const (
	// NoResidue: checkpoints do not carry the rows that are still to be dropped.
	NoResidue Mutant = 1 << iota
	// CommitNotAwaited: ingest confirms a barrier as soon as it has sent the commit.
	CommitNotAwaited
	// NoFence: the opening counts the rows of a stream and does not finalize it.
	NoFence
	// ResendOrder: a queue that lost its connection sends the first piece again behind the second.
	ResendOrder
	// ExistsUnchecked: rows that exist at the offset count as ours, whatever they are.
	ExistsUnchecked
	// ShiftInDoubt: rows move to other offsets while older copies of them may still arrive.
	ShiftInDoubt
	// NoLeftOut: checkpoints do not carry the records left out.
	NoLeftOut
	// NoGeneration: Kafka takes commits of any generation.
	NoGeneration
	// AdoptSilently: a writer appends to an adopted stream while the committed checkpoint still calls it clean.
	AdoptSilently
	// LeftOutSilently: rows behind records left out are appended before a durable checkpoint leaves these out.
	LeftOutSilently
	// NoRetire: what a claim has handed over before it went is sent again in the generation that there is.
	NoRetire
	// NoWithhold: a partition goes to its next owner in the generation in which the last one drains.
	NoWithhold
	// NoBar: a member goes on to commit in the generation in which a commit of its own is in doubt.
	NoBar
)

var mutantNames = []string{
	"no residual drop", "commit not awaited", "no fence", "resend out of order", "ALREADY_EXISTS taken as written",
	"rows shift while copies are in doubt", "no left-out list", "no generation check", "adopted stream without barrier",
	"left out without barrier", "claims that have gone commit again", "partition not withheld",
	"commits behind a doubt",
}

func (m Mutant) String() string {
	var names []string
	for i, n := range mutantNames {
		if m&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, " and ")
}
