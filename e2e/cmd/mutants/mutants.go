package main

// mutant is one protection that can be removed, and what must notice.
type mutant struct {
	// name is the value of the environment variable; see pkg/mutant.
	name    string
	removed string
	script  script
	// scenario takes it end to end; nil where two members would have to be hit within one rebalance, which cannot be
	// placed: the model has its counterexample instead.
	scenario *scenario
}

// script is a test on the fake clock.
type script struct {
	// pkg is below the module path; test is the full name of one test.
	pkg, test string
}

const (
	writerLane = "services/writer/internal/lane"
	writerSink = "services/writer/internal/sink"
	ingestLane = "services/ingest/internal/lane"
	source     = "services/ingest/internal/source"
)

var mutants = []mutant{
	{
		name: "residual-drop", removed: "a checkpoint carries the rows still to be dropped",
		script: script{writerLane, "TestScripts/residual_drop.txt"}, scenario: &killedInReplay,
	},
	{
		name: "awaited-commit", removed: "ingest says Durable after the commit, not before",
		script: script{ingestLane, "TestDurableFollowsTheCommit"}, scenario: &killedBeforeCommit,
	},
	{
		name: "fence", removed: "a new owner finalizes the stream and counts its rows",
		script: script{writerLane, "TestScripts/fence.txt"}, scenario: &killedBeforeCommit,
	},
	{
		name: "rewind-order", removed: "after a fault appends are sent again in their order",
		script: script{writerSink, "TestQueueScripts/rewind"}, scenario: &repliesLost,
	},
	{
		name: "already-exists", removed: "ALREADY_EXISTS is believed for rows of our own only",
		script: script{writerSink, "TestQueueScripts/foreign"}, scenario: &twins,
	},
	{
		name: "left-out", removed: "a checkpoint lists the records that are no rows",
		script: script{writerLane, "TestScripts/left_out_crash.txt"}, scenario: &killedWithBadRecords,
	},
	{
		name: "generation", removed: "a commit of a stale generation ends the claim",
		script: script{source, "TestStaleCommitEndsTheClaim"}, scenario: &commitsFenced,
	},
	{
		name: "retired-claim", removed: "a claim that has gone commits nothing in later generations",
		script: script{source, "TestRetiredClaimCommitsNothing"},
	},
}
