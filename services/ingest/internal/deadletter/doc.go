// Package deadletter is the home of records that will not become rows: how they are written and laid out, read back,
// and replayed.
//
//	w := deadletter.NewWriter(config, kafka, log, reg)   // what lanes produce with: it is source.Letters
//	d, err := deadletter.Open(ctx, config, kafka, ...)   // reads dead-letter topics
//	d.Each(ctx, selection, each)                         // each letter once, with what is known of its replay
//	d.Replay(ctx, selection, options)                    // produces their records again, each once
//
// A letter is the record as it was and headers behind its own (layout.go). It is at least once: its key, the record's
// place, tells letters of one record. A mark, in the same topic, says that the record was produced again; both are in
// one transaction. docs/dead-letters.md is the page for people.
//
// The package talks to the brokers itself, because producing and transactions are its own; what it reads, source reads
// for it.
package deadletter
