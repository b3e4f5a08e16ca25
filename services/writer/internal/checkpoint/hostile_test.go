package checkpoint

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// Whatever a sealed body says, it is refused, or it is the one token of what it says.
func TestEveryAlteredBody(t *testing.T) {
	check := func(version byte, body []byte) {
		t.Helper()
		token := seal(version, string(body))
		c, err := Decode(token)
		switch {
		case err == nil && encode(t, c) != token:
			t.Fatalf("%x is not canonical: %+v", body, c)
		case err != nil && !errors.Is(err, ErrCorrupt):
			t.Fatalf("%x: %v", body, err)
		}
	}
	for _, c := range golden() {
		body, version := appendBody(nil, c), versionOf(c)
		for i := range body {
			check(version, body[:i])
			values := []byte{0, 1, 2, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xfe, 0xff}
			for bit := range 8 {
				values = append(values, body[i]^1<<bit)
			}
			for _, v := range values {
				altered := bytes.Clone(body)
				altered[i] = v
				check(version, altered)
				check(version, append(altered[:i+1:i+1], body[i:]...)) // one byte more
			}
			// A number that does not end, or is larger than any.
			check(version, append(body[:i:i], bytes.Repeat([]byte{0xff}, 12)...))
			check(version, append(append(body[:i:i], binary.AppendUvarint(nil, math.MaxUint64)...), body[i+1:]...))
		}
	}
}

// What is around the body is checked as well.
func TestFrames(t *testing.T) {
	token := func(raw ...byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
	framed := func(length []byte) string {
		return token(append(append([]byte{1}, length...), make([]byte, 100)...)...)
	}
	good := encode(t, golden()[2])
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	long := append([]byte{raw[0], raw[1] | 0x80, 0}, raw[2:len(raw)-crcBytes]...)
	for name, test := range map[string]struct {
		token string
		want  error
		says  string
	}{
		"a line break at its start": {"\n" + good, ErrCorrupt, "a line break at byte 0"},
		"a length that never ends":  {framed(bytes.Repeat([]byte{0xff}, 11)), ErrCorrupt, "impossible length"},
		"a length above all": {
			framed(binary.AppendUvarint(nil, math.MaxInt32+1)), ErrCorrupt, "impossible length",
		},
		"the largest length":     {framed(binary.AppendUvarint(nil, math.MaxInt32)), ErrTruncated, "of 21474836"},
		"a length cut short":     {token(1, 0x80, 0x80, 0x80, 0x80), ErrTruncated, "of 5 bytes"},
		"a length in more bytes": {resealed(long), ErrCorrupt, "canonical"},
		"a table of nothing": {
			seal(1, "\x00\x00\x00\x00\x00"+strings.Repeat("\x00", 8)+"\x00\x01\x00\x00\x01a"), ErrCorrupt,
			"neither a stream nor rows",
		},
		"a flag that no table has": {seal(1,
			"\x00\x00\x00\x00\x00"+strings.Repeat("\x00", 8)+"\x00\x01\x42\x00\x01a\x01"), ErrCorrupt, "do not add up"},
		"an offset beyond the last": {seal(1,
			"\x00\x00\x00\x00\x00"+strings.Repeat("\x00", 8)+"\x02"+number(math.MaxUint64)+"\x00"+
				number(math.MaxUint64)+
				"\x00\x00"), ErrCorrupt, "do not add up"},
		"a packed id with a long suffix": {
			seal(1,
				"\x00\x00\x00\x00\x00"+strings.Repeat("\x00", 8)+"\x00\x01\x05\x00\x01a"+strings.Repeat("\x00", 16)+
					number(maxPlain-2-uuidText+1)+strings.Repeat("s", maxPlain-2-uuidText+1)+"\x00"), ErrCorrupt,
			"do not add up",
		},
		"a packed id with the longest": {seal(1,
			"\x00\x00\x00\x00\x00"+strings.Repeat("\x00", 8)+"\x00\x01\x05\x00\x01a"+strings.Repeat("\x00", 16)+
				number(maxPlain-2-uuidText)+strings.Repeat("s", maxPlain-2-uuidText)+"\x00"), nil, ""},
		"a packed id that is cut short": {seal(1,
			"\x00\x00\x00\x00\x00"+strings.Repeat("\x00", 8)+"\x00\x01\x05\x00\x01a\x00"), ErrCorrupt, "do not add up"},
		"more tables than there are": {
			seal(1, "\x00\x00\x00\x00\x00"+strings.Repeat("\x00", 8)+"\x00\x7f"), ErrCorrupt, "do not add up",
		},
		"a name longer than what is left": {seal(1, "\x00\x05abcd"), ErrCorrupt, "do not add up"},
	} {
		_, err := Decode(test.token)
		if !errors.Is(err, test.want) || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %v with %q", name, err, test.want, test.says)
		}
	}
}

func number(n uint64) string { return string(binary.AppendUvarint(nil, n)) }

// Each bound of the content, from either side.
func TestBoundsOfTheContent(t *testing.T) {
	topic := func(n int) *Checkpoint { return &Checkpoint{Topic: strings.Repeat("t", n)} }
	var e Encoder
	n := 0
	for e.Size(topic(n+1)) <= MaxBytes {
		n++
	}
	if e.Size(topic(n)) != MaxBytes {
		t.Fatalf("no topic makes a token of %d bytes, but of %d", MaxBytes, e.Size(topic(n)))
	}
	table := func(tables ...Table) *Checkpoint { return &Checkpoint{Tables: tables} }
	const most = math.MaxInt64 / 2
	for name, test := range map[string]struct {
		c    *Checkpoint
		says string
	}{
		"the longest token":    {topic(n), ""},
		"one byte more":        {topic(n + 1), "exceeds 4000"},
		"a negative partition": {&Checkpoint{Partition: -1}, "must not be negative"},
		"a negative position":  {&Checkpoint{Position: -1}, "must not be negative"},
		"the most left out":    {&Checkpoint{LeftOut: []Range{{1, MaxLeftOut}, {MaxLeftOut + 5, MaxLeftOut + 6}}}, ""},
		"one more left out": {
			&Checkpoint{LeftOut: []Range{{0, MaxLeftOut}, {MaxLeftOut + 5, MaxLeftOut + 6}}},
			"offsets left out, at most",
		},
		"a table twice":         {table(Table{Name: "a", Drop: 1}, Table{Name: "a", Drop: 1}), "out of order"},
		"negative rows to drop": {table(Table{Name: "a", Stream: "s", Drop: -1}), "-1 to drop"},
		"the most rows to drop": {table(Table{Name: "a", Stream: "s", Drop: most}), ""},
		"more rows to drop":     {table(Table{Name: "a", Stream: "s", Drop: most + 1}), "to drop"},
		"the most rows":         {table(Table{Name: "a", Stream: "s", Rows: most}), ""},
		"more rows":             {table(Table{Name: "a", Stream: "s", Rows: most + 1}), "rows and 0 to drop"},
		"rows in no stream":     {table(Table{Name: "a", Rows: 1, Drop: 1}), "neither a stream nor rows"},
		"a name that begins another": {table(Table{Name: "a", Drop: 1}, Table{Name: "aa", Drop: 1},
			Table{Name: "ab", Drop: 1}, Table{Name: "b", Drop: 1}), ""},
		"a stream of another table": {table(Table{Name: "a", Stream: "/streams/s"}, Table{Name: "b", Stream: "b/s"},
			Table{Name: "c", Stream: "a/streams/s"}), ""},
	} {
		token, err := new(Encoder).Append(nil, test.c)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
		if err != nil {
			continue
		}
		got, err := Decode(string(token))
		if diff := cmp.Diff(test.c, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	if got := (&Checkpoint{LeftOut: []Range{{3, 5}, {7, 8}}}).Offsets(); !cmp.Equal(got, []int64{3, 4, 7}) {
		t.Errorf("left out: %v", got)
	}
}

// An id is packed only where it comes back byte for byte.
func TestStreamIDs(t *testing.T) {
	name := func(plain string) string { return base64.RawURLEncoding.EncodeToString([]byte(plain)) }
	uuid := "6657b487-0000-2417-8def-f403043e75c4"
	ids := []string{
		name("\x0a\x24" + uuid), name("\x0a\x27" + uuid + ":s1"), name("\x0a\x28" + uuid + ":s1"),
		name("\x0b\x27" + uuid + ":s1"), name("\x0a\x27" + strings.ToUpper(uuid) + ":s1"),
		name("\x0a\x27" + strings.ReplaceAll(uuid, "-", "_") + ":s1"),
		name("\x0a\x27" + strings.Replace(uuid, "6", "g", 1) + ":s1"), name("\x0a\x23" + uuid[1:]), name("\x0a"), "",
		"=", "a", "ab!",
		name("\x0a\x27"+uuid+":s1") + "=", name("\x0a\x27"+uuid+":s1") + "\n",
	}
	for n := range 300 {
		ids = append(ids, strings.Repeat("a", n),
			name("\x0a"+string(rune(min(0x7f, uuidText+n)))+uuid+strings.Repeat("s", n)))
	}
	check := func(t interface{ Fatalf(string, ...any) }, id string) {
		c := &Checkpoint{Tables: []Table{{Name: "a", Stream: "a" + streamInfix + id, Rows: 1}}}
		token, err := new(Encoder).Append(nil, c)
		if err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		got, err := Decode(string(token))
		if err != nil || got.Tables[0].Stream != c.Tables[0].Stream {
			t.Fatalf("%q comes back as %+v: %v", id, got, err)
		}
	}
	for _, id := range ids {
		check(t, id)
	}
	packed := encode(t, &Checkpoint{Tables: []Table{{Name: "a", Stream: "a" + streamInfix + ids[1], Rows: 1}}})
	plain := encode(t, &Checkpoint{Tables: []Table{{Name: "a", Stream: "a" + streamInfix + ids[4], Rows: 1}}})
	if len(packed) >= len(plain) {
		t.Errorf("an id as BigQuery has them takes %d bytes, another one %d", len(packed), len(plain))
	}
	var b [uuidBytes]byte
	if suffix, ok := packID(&b, ids[0]); !ok || suffix != "" {
		t.Errorf("a UUID alone is not packed, but %q", suffix)
	}
	// The longest that is packed, and one more.
	for _, n := range []int{maxPlain - 2 - uuidText, maxPlain - 1 - uuidText} {
		if _, ok := packID(&b,
			name("\x0a"+string([]byte{byte(uuidText + n)})+uuid+
				strings.Repeat("s", n))); ok != (n == maxPlain-2-uuidText) {
			t.Errorf("a suffix of %d bytes: packed %v", n, ok)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		plain := []byte("\x0a\x27" + uuid + rapid.StringN(0, 5, 20).Draw(t, "suffix"))
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			plain[rapid.IntRange(0, len(plain)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		check(t, name(string(plain)))
	})
}

// resealed makes a token of all but the checksum.
func resealed(raw []byte) string {
	raw = binary.LittleEndian.AppendUint32(raw, crc32.Checksum(raw, castagnoli))
	return base64.RawURLEncoding.EncodeToString(raw)
}
