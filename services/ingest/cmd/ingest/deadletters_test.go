package main

import (
	"strings"
	"testing"
	"time"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

func TestDeadLettersUsage(t *testing.T) {
	for name, tt := range map[string]struct {
		args string
		err  string // on standard error
	}{
		"nothing to replay":   {"replay", "write places, choose with flags, or --all"},
		"nothing to show":     {"show", "which letter?"},
		"no place":            {"show orders/x/1", "is not a place: write topic/partition/offset"},
		"short place":         {"show 3/1", "is not a place"},
		"offsets upside down": {"list --offset 5..2", "is not a range of offsets"},
		"offsets with more":   {"list --offset 5..7x", "is not a range of offsets"},
		"no time":             {"list --since yesterday", "is no time: write 2026-01-31"},
		"limit and all":       {"list --all --limit 3", "can't be used together"},
		"negative":            {"list --limit=-3", "--limit: write a positive number"},
		"reason":              {"list --reason unreadable", "choose undecodable, unknown_type, refused"},
		"timestamp":           {"replay --all --timestamp=never", "must be one of"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			code := run(t.Context(), append([]string{"dead-letters"}, strings.Fields(tt.args)...), &stdout, &stderr)
			if code != 2 || !strings.Contains(stderr.String(), tt.err) ||
				!strings.Contains(stderr.String(), `(see "ingest dead-letters `) {
				t.Errorf("exit status %d\n%s%s", code, &stdout, &stderr)
			}
		})
	}
}

func TestMoment(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-01-31":                time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC),
		"2026-01-31T12:30":          time.Date(2026, 1, 31, 12, 30, 0, 0, time.UTC),
		"2026-01-31T12:30:05+02:00": time.Date(2026, 1, 31, 10, 30, 5, 0, time.UTC),
		"90m":                       time.Now().Add(-90 * time.Minute),
		"7d":                        time.Now().AddDate(0, 0, -7),
	} {
		var m moment
		if err := m.UnmarshalText([]byte(text)); err != nil || m.Sub(want).Abs() > 2*time.Hour && text == "7d" ||
			m.Sub(want).Abs() > time.Minute && text != "7d" {
			t.Errorf("%s: %v, %v", text, m, err)
		}
	}
}

func TestDump(t *testing.T) {
	value := []byte(strings.Repeat("0123456789abcde\n", 4) + "end")
	for name, tt := range map[string]struct {
		d    dump
		want string
	}{
		"in the middle": {dump{value: value, mark: 39, rows: 1}, `
  … 16 bytes before
  00000010  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 0a  |0123456789abcde.|
  00000020  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 0a  |0123456789abcde.|
                                 ^^                                   ^ byte 39
  00000030  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 0a  |0123456789abcde.|
  … 3 bytes more (--whole)
`},
		"behind the end": {dump{value: value, mark: 67, rows: 0}, `
  … 64 bytes before
  00000040  65 6e 64                                          |end|
                     ^^                                           ^ byte 67
`},
		"behind the end of a row": {dump{value: value[:16], mark: 16, rows: 1}, `
  00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 0a  |0123456789abcde.|
  00000010                                                    ||
            ^^                                                 ^ byte 16
`},
		"no byte": {dump{value: value, mark: -1, rows: 0}, `
  00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 0a  |0123456789abcde.|
  … 51 bytes more (--whole)
`},
		"second half": {dump{value: value[:16], mark: 8, rows: 0}, `
  00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 0a  |0123456789abcde.|
                                     ^^                                ^ byte 8
`},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			tt.d.print(&out)
			if got := "\n" + out.String(); got != tt.want {
				t.Errorf("got%s", got)
			}
		})
	}
}

func sample() *deadletter.Letter {
	return &deadletter.Letter{
		At:     deadletter.Place{Topic: "orders.dead-letter", Partition: 0, Offset: 7},
		Time:   time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Reason: "undecodable", Contract: "order", Err: "order: order.id at byte 2: the payload\x1b[31m ends here",
		Field: "order.id", Byte: 2, Version: "v1",
		LeftOut: deadletter.LeftOut{Value: -1, Key: -1, Headers: -1, HeaderBytes: -1},
		Record: record.Record{
			Topic: "orders", Partition: 3, Offset: 125, TimestampMicros: -1, Key: []byte{}, Value: []byte{1, 2},
			Headers: []record.Header{
				{Key: []byte("item_type_name"), Value: []byte("a.B")},
				{Key: []byte("n")},
				{Key: []byte("raw"), Value: []byte{0xff, 0}},
			},
		},
	}
}

// What a letter holds is shown with null, empty and bytes apart, and nothing that a terminal would obey.
func TestShow(t *testing.T) {
	const want = `orders/3/125
  letter     orders.dead-letter/0/7
  written    2026-01-02 03:04:05.000 UTC, by waybill v1
  replayed   no
  reason     undecodable
  contract   order
  type       a.B
  error      order: order.id at byte 2: the payload\x1b[31m ends here
  field      order.id
  key        empty
  headers    item_type_name: "a.B"
             n: null
             raw: ff00 (bytes)
  value      2 bytes; the fault is at byte 2, where it ends

  00000000  01 02                                             |..|
                  ^^                                             ^ byte 2
`
	var out strings.Builder
	(&showCmd{Rows: 1}).show(&out, sample(), "a.B")
	if out.String() != want {
		t.Errorf("got\n%s", &out)
	}
	for name, tt := range map[string]struct {
		change func(*deadletter.Letter)
		want   string
	}{
		"left out": {
			func(l *deadletter.Letter) { l.LeftOut.Value, l.Record.Value = 5000, nil },
			"the value (5000 bytes), which the dead-letter topic did not take; the record is at orders/3/125",
		},
		"null": {func(l *deadletter.Letter) { l.Record.Value = nil }, "  value      null\n"},
		"in a block": {func(l *deadletter.Letter) {
			l.Record.Value, l.Err = []byte("Obj\x01..."), "x (counted in the decompressed block)"
		}, "the fault is at byte 2 of the decompressed block in it"},
		"beyond": {
			func(l *deadletter.Letter) { l.Byte = 99 }, "byte 99, where the fault is said to be, is beyond its end",
		},
		"byte in hex": {func(l *deadletter.Letter) { l.Byte = 1 }, "the fault is at byte 1 (0x1)"},
		"empty, no one": {
			func(l *deadletter.Letter) { l.Byte, l.Record.Value = -1, []byte{} },
			"  value      0 bytes\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := sample()
			tt.change(l)
			var out strings.Builder
			(&showCmd{Rows: 1}).show(&out, l, "a.B")
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("no %q in\n%s", tt.want, &out)
			}
		})
	}
}

func TestList(t *testing.T) {
	var out strings.Builder
	l := &list{std: cli.Streams{Out: &out}, limit: 2, kinds: map[letterKind]*count{}}
	for i := range 4 {
		letter := sample()
		letter.At.Offset, letter.Replayed = int64(i), i == 1
		if err := l.take(letter, "a.B"); err != nil {
			t.Fatal(err)
		}
	}
	l.table.flush()
	l.summary([]deadletter.TopicTally{{Topic: "orders.dead-letter"}})
	const want = `orders.dead-letter
  letter  record  written (UTC)        reason       contract  type  field     replayed  error
     0/0   3/125  2026-01-02 03:04:05  undecodable  order     B     order.id  no        at byte 2: the payload\x1b[31m ends here
     0/1   3/125  2026-01-02 03:04:05  undecodable  order     B     order.id  yes       at byte 2: the payload\x1b[31m ends here

  letters  replayed  reason       contract  type
        4         1  undecodable  order     a.B

4 dead letters: 3 pending, 1 replayed; the first 2 are shown, --all shows all
`
	if out.String() != want {
		t.Errorf("got\n%s", &out)
	}
}

// On a narrow terminal what does not fit stands on a line below, aligned, and no line is too long.
func TestNarrowTable(t *testing.T) {
	var out strings.Builder
	for _, width := range []int{0, 30} {
		table := newTable(&out, width, []bool{true}, "letter", "type", "error")
		table.add("0/1", "shop.OrderPlaced", "at byte 4: the payload ends here")
		table.flush()
	}
	want := `  letter  type              error
     0/1  shop.OrderPlaced  at byte 4: the payload ends here
  letter  type
      error
     0/1  shop.OrderPlaced
      at byte 4: the payload …
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
	out.Reset()
	table := newTable(&out, 40, nil, "column", "what happens")
	table.folds = true
	table.add("payload.day", "refused: no evolution changes a type; use another table or column")
	table.flush()
	want = `  column       what happens
  payload.day  refused: no evolution
               changes a type; use
               another table or column
`
	if out.String() != want {
		t.Errorf("folded:\n%s", out.String())
	}
}
