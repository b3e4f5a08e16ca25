package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/terminal"
	"github.com/waybill-data/waybill/services/ingest"
	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
)

// listed is how many letters a list shows without --limit and --all. It counts them all.
const listed = 50

type listCmd struct {
	chosen
	Pending bool `help:"Only letters whose records have not been replayed."`

	Output string `short:"o" enum:"text,json" default:"text" help:"text, or json: one object a line, without a summary."`
}

// Help is shown below the flags.
func (listCmd) Help() string {
	return `Examples:
  ingest dead-letters list                                   # the first 50, and a summary of all
  ingest dead-letters list --since 2h --reason undecodable
  ingest dead-letters list --pending --all -o json | jq .error

Exit status: 0 listed, also where there are none, 1 they cannot be read, 2 wrong usage.`
}

// Run lists.
func (c *listCmd) Run(ctx context.Context, std cli.Streams) error {
	letters, selection, err := c.open(ctx, std)
	if err != nil {
		return err
	}
	defer letters.Close()
	selection.Pending = c.Pending
	if c.Output == "json" {
		return c.lines(ctx, letters, selection, std.Out)
	}
	limit := listed
	if c.Limit > 0 {
		limit = c.Limit
	}
	l := &list{std: std, letters: letters, all: c.All, limit: limit, kinds: map[letterKind]*count{}}
	tallies, err := letters.Each(ctx, selection, l.take)
	if l.table != nil {
		l.table.flush()
	}
	if err != nil {
		return err
	}
	l.summary(tallies)
	return nil
}

// list prints letters as they come and counts them by kind.
type list struct {
	std     cli.Streams
	letters *ingest.DeadLetters
	all     bool
	limit   int

	topic        string
	table        *table
	narrow       bool
	shown, total int
	replayed     int
	kinds        map[letterKind]*count
}

type letterKind struct{ reason, contract, itemType string }

type count struct{ letters, replayed int }

// maxKinds bounds the summary: types are foreign text.
const maxKinds = 200

func (l *list) take(letter *deadletter.Letter, itemType string) error {
	l.total++
	kind := letterKind{letter.Reason, letter.Contract, strings.Clone(itemType)}
	if l.kinds[kind] == nil && len(l.kinds) >= maxKinds {
		kind = letterKind{itemType: "(others)"}
	}
	if l.kinds[kind] == nil {
		l.kinds[kind] = &count{}
	}
	l.kinds[kind].letters++
	if letter.Replayed {
		l.kinds[kind].replayed++
		l.replayed++
	}
	if !l.all && l.shown >= l.limit {
		return nil
	}
	l.shown++
	if l.table == nil || l.topic != letter.At.Topic {
		if l.table != nil {
			l.table.flush()
			fmt.Fprintln(l.std.Out)
		}
		l.topic = letter.At.Topic
		fmt.Fprintf(l.std.Out, "%s\n", l.topic)
		l.table = l.newTable()
	}
	cells := []string{
		fmt.Sprintf("%d/%d", letter.At.Partition, letter.At.Offset),
		fmt.Sprintf("%d/%d", letter.Record.Partition, letter.Record.Offset),
		written(letter.Time), clean(letter.Reason), dash(clean(letter.Contract)),
		dash(cutHead(clean(shortType(itemType)), widestField)),
		dash(cutHead(clean(letter.Field), widestField)), yes(letter.Replayed), clean(fault(letter)),
	}
	if l.narrow {
		cells[len(cells)-1] = clean(letter.Err)
	}
	l.table.add(l.columns(cells)...)
	return nil
}

// narrowest is the width of a terminal below which contract and field are only in the error, which names them.
const (
	narrowest   = 150
	widestField = 36
)

func (l *list) newTable() *table {
	width := terminal.Width(l.std.Out)
	l.narrow = width > 0 && width < narrowest
	header := []string{"letter", "record", "written (UTC)", "reason", "contract", "type", "field", "replayed", "error"}
	return newTable(l.std.Out, width, []bool{true, true}, l.columns(header)...)
}

// columns leaves out what a narrow terminal has no room for.
func (l *list) columns(cells []string) []string {
	if l.narrow {
		cells = slices.Delete(slices.Delete(cells, 6, 7), 4, 5)
	}
	return cells
}

func (l *list) summary(tallies []deadletter.TopicTally) {
	out := l.std.Out
	if l.total > 0 {
		fmt.Fprintln(out)
		t := newTable(out, terminal.Width(out), []bool{true, true}, "letters", "replayed", "reason", "contract", "type")
		order := slices.SortedFunc(maps.Keys(l.kinds), func(a, b letterKind) int {
			return cmp.Or(cmp.Compare(l.kinds[b].letters, l.kinds[a].letters), cmp.Compare(a.reason, b.reason),
				cmp.Compare(a.contract, b.contract), cmp.Compare(a.itemType, b.itemType))
		})
		for _, k := range order {
			n := l.kinds[k]
			t.add(thousands(n.letters), thousands(n.replayed), dash(clean(k.reason)), dash(clean(k.contract)),
				dash(clean(k.itemType)))
		}
		t.flush()
		fmt.Fprintln(out)
	}
	notes(out, tallies)
	fmt.Fprintf(out, "%s: %s pending, %s replayed", plural(l.total, "dead letter", "dead letters"),
		thousands(l.total-l.replayed), thousands(l.replayed))
	if l.shown < l.total {
		fmt.Fprintf(out, "; the first %s are shown, --all shows all", thousands(l.shown))
	}
	fmt.Fprintln(out)
}

// notes says of the topics what the letters do not show.
func notes(out io.Writer, tallies []deadletter.TopicTally) {
	for _, t := range tallies {
		if t.Missing {
			fmt.Fprintf(out,
				"%s does not exist: it is made when the first dead letter of a contract's topic is due (ingest "+
					"contracts list shows them)\n", t.Topic)
		}
		if t.Duplicates > 0 {
			fmt.Fprintf(out, "%s: %s of the same records, which count once\n", t.Topic,
				plural(t.Duplicates, "further letter", "further letters"))
		}
		if t.Foreign > 0 {
			fmt.Fprintf(out, "%s: %s not dead letters, the first at %s: %s\n", t.Topic,
				plural(t.Foreign, "record is", "records are"), t.ForeignAt, clean(t.Why))
		}
	}
}

func (c *listCmd) lines(
	ctx context.Context, letters *ingest.DeadLetters, selection deadletter.Selection, out io.Writer,
) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	n := 0
	_, err := letters.Each(ctx, selection, func(l *deadletter.Letter, itemType string) error {
		if c.Limit > 0 && n >= c.Limit {
			return deadletter.Enough()
		}
		n++
		return encoder.Encode(newLine(l, itemType))
	})
	return err
}

func written(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateTime)
}

// shortType is the last part of a type's name.
func shortType(s string) string { return s[strings.LastIndexByte(s, '.')+1:] }

// fault is the error without what other columns say.
func fault(l *deadletter.Letter) string {
	rest := strings.TrimPrefix(l.Err, l.Contract+": ")
	if l.Field != "" {
		rest = strings.TrimPrefix(strings.TrimPrefix(rest, l.Field), ": ")
	}
	return strings.TrimSpace(rest)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
