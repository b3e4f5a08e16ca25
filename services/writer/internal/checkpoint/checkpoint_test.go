package checkpoint

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false,
	"rewrite testdata/golden.txt; only ever append cases, tokens in Kafka must stay readable")

// bigqueryStream names a stream as BigQuery does.
func bigqueryStream(table string, i int) string {
	id := fmt.Sprintf("%08x-0000-2417-8def-f403043e75c4:s%d", uint32(i)*2654435761, i)
	return table + "/streams/" + base64.RawURLEncoding.EncodeToString(append([]byte{0x0a, byte(len(id))}, id...))
}

func golden() []*Checkpoint {
	const events = "projects/acme-data/datasets/waybill/tables/delivery_events"
	const stock = "projects/acme-data/datasets/waybill/tables/physical_stock_events"
	return []*Checkpoint{
		{},
		{
			Clean: true, Cluster: "lkc-1a2b3", Topic: "orders", Partition: 3, Position: 1234567,
			Routing: 0xfedcba9876543210, Tables: []Table{{Name: events, Stream: bigqueryStream(events, 7), Rows: 99}},
		},
		{
			Topic: "orders", Position: 100, LeftOut: []Range{{100, 101}, {103, 104}, {110, 150}},
			Tables: []Table{
				{Name: events, Stream: events + "/streams/s1", Rows: 5, Drop: 6},
				{Name: stock, Drop: 1 << 40},
			},
		},
		{
			Topic: "t", Position: math.MaxInt64 - 1, LeftOut: []Range{{math.MaxInt64 - 1, math.MaxInt64}},
			Tables: []Table{{Name: "a", Stream: "elsewhere/streams/1"}},
		},
		{
			Topic: "orders", Position: 100,
			Tables: []Table{
				{Name: events, Stream: bigqueryStream(events, 7), Rows: 99, Drop: 1, Tainted: true},
				{Name: stock, Stream: stock + "/streams/s1"},
			},
		},
	}
}

func encode(t testing.TB, c *Checkpoint) string {
	t.Helper()
	token, err := new(Encoder).Append(nil, c)
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}

// Tokens of older builds lie in Kafka: this file changes only by new lines.
func TestGoldenTokens(t *testing.T) {
	var lines []string
	for _, c := range golden() {
		lines = append(lines, encode(t, c))
	}
	text := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile("testdata/golden.txt", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("the format changed (-file +encoded):\n%s", diff)
	}
	for i, token := range strings.Fields(string(want)) {
		got, err := Decode(token)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(golden()[i], got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("token %d (-want +got):\n%s", i, diff)
		}
	}
}

func drawCheckpoint(t *rapid.T) *Checkpoint {
	c := &Checkpoint{
		Clean:     rapid.Bool().Draw(t, "clean"),
		Cluster:   rapid.StringN(0, 30, 60).Draw(t, "cluster"),
		Topic:     rapid.StringN(0, 30, 60).Draw(t, "topic"),
		Partition: rapid.Int32Min(0).Draw(t, "partition"),
		Position:  rapid.Int64Min(0).Draw(t, "position"),
		Routing:   rapid.Uint64().Draw(t, "routing"),
	}
	at := c.Position
	for range rapid.IntRange(0, 40).Draw(t, "runs") {
		gap := rapid.Int64Range(0, 300).Draw(t, "gap")
		n := rapid.Int64Range(1, 5).Draw(t, "length")
		if len(c.LeftOut) > 0 {
			gap++
		}
		if at > math.MaxInt64-gap-n {
			break
		}
		c.LeftOut = append(c.LeftOut, Range{at + gap, at + gap + n})
		at += gap + n
	}
	for i := range rapid.IntRange(0, 6).Draw(t, "tables") {
		name := fmt.Sprintf("projects/p/datasets/d/tables/%02d%s", i,
			rapid.StringMatching(`[a-z_]{0,12}`).Draw(t, "table"))
		table := Table{Name: name}
		switch rapid.IntRange(0, 3).Draw(t, "stream") {
		case 0:
			table.Stream = bigqueryStream(name, i)
		case 1:
			table.Stream = name + "/streams/" + rapid.StringN(0, 10, 30).Draw(t, "id")
		case 2:
			table.Stream = rapid.StringN(1, 30, 60).Draw(t, "foreign")
		}
		if table.Stream != "" {
			table.Rows = rapid.Int64Range(0, math.MaxInt64/2).Draw(t, "rows")
			table.Drop = rapid.Int64Range(0, math.MaxInt64/2).Draw(t, "drop")
			table.Tainted = !c.Clean && rapid.IntRange(0, 9).Draw(t, "tainted") == 0
		} else {
			table.Drop = rapid.Int64Range(1, math.MaxInt64/2).Draw(t, "drop")
		}
		c.Tables = append(c.Tables, table)
	}
	return c
}

// An ingest from before it had a part of its own hands that on with the writer's.
func TestTokenBehindThePartOfIngest(t *testing.T) {
	for metadata, want := range map[string]string{
		"": "", "AYsB": "AYsB", "topic_id=a;place=b;leader_epoch=12;AYsB": "AYsB", "leader_epoch=3;": "",
	} {
		if got := Token(metadata); got != want {
			t.Errorf("%q has the token %q, want %q", metadata, got, want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	var e Encoder
	rapid.Check(t, func(t *rapid.T) {
		c := drawCheckpoint(t)
		token, err := e.Append([]byte("kept"), c)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Size(c); got != len(token)-4 || string(token[:4]) != "kept" {
			t.Fatalf("size %d, appended %q", got, token)
		}
		got, err := Decode(string(token[4:]))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestTwentyTablesAreUnderOneKiB(t *testing.T) {
	c := &Checkpoint{
		Cluster: "MkU3OEVBNTcwNTJENDM2Qk", Topic: "contracts.delivery.delivery_events", Partition: 117,
		Position: 1 << 40, Routing: math.MaxUint64,
	}
	for i := range 20 {
		name := fmt.Sprintf("projects/acme-data-production/datasets/waybill/tables/delivery_%02d", i)
		c.Tables = append(c.Tables, Table{Name: name, Stream: bigqueryStream(name, i), Rows: 1 << 20})
	}
	if got := len(encode(t, c)); got > 1024 {
		t.Errorf("%d bytes", got)
	}
}

func TestTooLarge(t *testing.T) {
	c := &Checkpoint{Topic: "t"}
	for i := range int64(5000) {
		c.LeftOut = append(c.LeftOut, Range{2 * i, 2*i + 1})
	}
	got, err := new(Encoder).Append([]byte("kept"), c)
	var large *TooLargeError
	if !errors.As(err, &large) || large.Max != MaxBytes || large.Size != new(Encoder).Size(c) || string(got) != "kept" {
		t.Errorf("%q, %v", got, err)
	}
	c.LeftOut = c.LeftOut[:1000]
	if got := len(encode(t, c)); got > 1400 {
		t.Errorf("1000 single offsets take %d bytes", got)
	}
	c.LeftOut = []Range{{0, 100_000}}
	if got := len(encode(t, c)); got > 40 {
		t.Errorf("a run of 100,000 takes %d bytes", got)
	}
}

func TestEncodeRefusesBrokenContent(t *testing.T) {
	for want, c := range map[string]*Checkpoint{
		"must not be negative":         {Position: -1},
		"before position 5":            {Position: 5, LeftOut: []Range{{4, 5}}},
		"left-out range 7..8":          {LeftOut: []Range{{5, 7}, {7, 8}}},
		"left-out range 5..5":          {LeftOut: []Range{{5, 5}}},
		"offsets left out, at most":    {LeftOut: []Range{{0, 1 << 40}}},
		"has no name":                  {Tables: []Table{{Drop: 1}}},
		"out of order":                 {Tables: []Table{{Name: "b", Drop: 1}, {Name: "a", Drop: 1}}},
		"-1 rows":                      {Tables: []Table{{Name: "b", Stream: "s", Rows: -1}}},
		"neither a stream nor rows to": {Tables: []Table{{Name: "b"}}},
		"in no stream":                 {Tables: []Table{{Name: "b", Drop: 1, Tainted: true}}},
		"or in a clean one":            {Clean: true, Tables: []Table{{Name: "b", Stream: "s", Tainted: true}}},
	} {
		if _, err := new(Encoder).Append(nil, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// seal makes a token of any body.
func seal(version byte, body string) string {
	raw := append([]byte{version}, binary.AppendUvarint(nil, uint64(len(body)))...)
	raw = append(raw, body...)
	raw = binary.LittleEndian.AppendUint32(raw, crc32.Checksum(raw, castagnoli))
	return base64.RawURLEncoding.EncodeToString(raw)
}

func TestDecodeSaysWhatIsWrong(t *testing.T) {
	good := encode(t, golden()[2])
	body := string(appendBody(nil, golden()[2]))
	for _, tc := range []struct {
		name, token string
		want        error
		says        string
	}{
		{"not base64", "{\"a\":1}", ErrCorrupt, "not base64url"},
		{"padded", good + "=", ErrCorrupt, "not base64url"},
		{"a line break within", good[:12] + "\r" + good[12:], ErrCorrupt, "a line break at byte 12"},
		{"a line break at its end", good + "\n", ErrCorrupt, "a line break at byte"},
		{"empty", "", ErrTruncated, "reset it to empty"},
		{"half", good[:len(good)/4*2], ErrTruncated, "offset.metadata.max.bytes"},
		{"one byte", "AQ", ErrTruncated, "offset.metadata.max.bytes"},
		{"more", good + "AAAA", ErrCorrupt, "after its end"},
		{
			"one letter differs", strings.Replace(good, good[20:21],
				map[bool]string{true: "B", false: "A"}[good[20] == 'A'], 1),
			ErrCorrupt, "",
		},
		{"version 3", seal(3, "anything"), ErrNewer, "version 3, this writer knows 2"},
		{"version 2 without need", seal(2, body), ErrCorrupt, "canonical"},
		{"version 1 with a flag of version 2", seal(1, string(appendBody(nil, golden()[4]))), ErrCorrupt, "canonical"},
		{"version 0", seal(0, body), ErrCorrupt, "version 0"},
		{"empty body", seal(1, ""), ErrCorrupt, "do not add up"},
		{"trailing body", seal(1, body+"\x00"), ErrCorrupt, "do not add up"},
		{"unknown flag", seal(1, "\x02"+body[1:]), ErrCorrupt, "canonical"},
		{"long varint", seal(1, "\x00\x80\x00"+body[2:]), ErrCorrupt, "canonical"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Decode(tc.token)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := Decode(seal(1, body)); err != nil {
		t.Error(err)
	}
}

// Every flipped bit is found.
func TestEveryAlteredByteIsFound(t *testing.T) {
	raw, _ := base64.RawURLEncoding.DecodeString(encode(t, golden()[1]))
	for i := range raw {
		for bit := range 8 {
			raw[i] ^= 1 << bit
			if c, err := Decode(base64.RawURLEncoding.EncodeToString(raw)); err == nil {
				t.Errorf("byte %d bit %d: %+v", i, bit, c)
			}
			raw[i] ^= 1 << bit
		}
	}
}

func TestVerifyNamesBothValues(t *testing.T) {
	c := &Checkpoint{Cluster: "c", Topic: "t", Partition: 1, Position: 2}
	if err := c.Verify(Place{"c", "t", 1, 2}); err != nil {
		t.Error(err)
	}
	for field, open := range map[string]Place{
		"cluster": {"x", "t", 1, 2}, "topic": {"c", "x", 1, 2}, "partition": {"c", "t", 7, 2},
		"position": {"c", "t", 1, 7},
	} {
		err := c.Verify(open)
		var m *MismatchError
		if !errors.As(err, &m) || m.Field != field || !strings.Contains(err.Error(), fmt.Sprintf("%q", m.Open)) ||
			!strings.Contains(err.Error(), fmt.Sprintf("%q", m.Checkpoint)) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestEncodeAllocatesNothingForPlainStreams(t *testing.T) {
	c := golden()[2]
	var e Encoder
	buf := make([]byte, 0, MaxBytes)
	if n := testing.AllocsPerRun(100, func() { buf, _ = e.Append(buf[:0], c) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range golden() {
		f.Add(encode(f, c), appendBody(nil, c))
	}
	f.Fuzz(func(t *testing.T, token string, body []byte) {
		for _, s := range []string{token, seal(1, string(body))} {
			c, err := Decode(s)
			if err != nil {
				if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrNewer) {
					t.Fatalf("untyped: %v", err)
				}
				continue
			}
			if len(s) <= MaxBytes && encode(t, c) != s {
				t.Fatalf("%q is not canonical: %q", s, encode(t, c))
			}
		}
	})
}
