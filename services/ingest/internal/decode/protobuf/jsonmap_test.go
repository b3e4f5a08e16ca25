package protobuf

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// structOf is the message M of jsonSchema whose Struct has these entries.
func structOf(entries ...[]byte) []byte {
	var body []byte
	for _, entry := range entries {
		body = protowire.AppendBytes(protowire.AppendTag(body, 1, protowire.BytesType), entry)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), body)
}

// entryOf is an entry as serializers write it: the key, and a text.
func entryOf(key, value string) []byte {
	entry := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), key)
	text := protowire.AppendString(protowire.AppendTag(nil, 3, protowire.BytesType), value)
	return protowire.AppendBytes(protowire.AppendTag(entry, 2, protowire.BytesType), text)
}

// turned is the same entry with the value first, as nobody writes it and all read it.
func turned(key, value string) []byte {
	entry := entryOf(key, value)
	_, _, n := protowire.ConsumeField(entry)
	return append(entry[n:len(entry):len(entry)], entry[:n]...)
}

// A key of a Struct that is there twice counts once, with its last value, whatever its length, wherever it stands and
// however its entries are written; keys that are nearly the same are two.
func TestKeysThatAreThereTwice(t *testing.T) {
	p, err := compiled(t, jsonSchema, decode.Columns{"r": {Skip: true}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	filler := func(n int) (entries [][]byte) {
		for i := range n {
			entries = append(entries, entryOf(fmt.Sprintf("%c%d", 'a'+i%26, i), "v"))
		}
		return entries
	}
	for _, key := range []string{"", "k", "é", "1234567", "12345678", "a key that is hashed"} {
		for _, between := range []int{0, 1, 6, 7, 8, 80} {
			for i, pair := range [][2][]byte{
				{entryOf(key, "1"), entryOf(key, "2")},
				{entryOf(key, "1"), turned(key, "2")},
				{turned(key, "1"), entryOf(key, "2")},
				{turned(key, "1"), turned(key, "2")},
			} {
				for _, behind := range []int{0, 3} {
					entries := append([][]byte{pair[0]}, filler(between)...)
					entries = append(append(entries, pair[1]), filler(behind + between)[between:]...)
					got := shown(t, p, structOf(entries...))
					if n := strings.Count(got, `\"`+key+`\":`); n != 1 || strings.Contains(got, `\":\"1\"`) {
						t.Fatalf("%q, %d between, form %d, %d behind: %s", key, between, i, behind, got)
					}
				}
			}
		}
	}
	for _, keys := range [][]string{
		{"k", "k\x00", "\x00k"},
		{"", "\x00"},
		{"1234567", "1234567\x00", "12345678"},
		{"a key that is hashed", "a key that is hasheD"},
	} {
		var entries [][]byte
		for _, key := range keys {
			entries = append(entries, entryOf(key, "v"))
		}
		d := p.NewDecoder().(*Decoder)
		if _, err := d.Append(nil, structOf(append(entries, filler(40)...)...)); err != nil || d.machine.twice {
			t.Fatalf("%q: twice %v, %v", keys, d.machine.twice, err)
		}
	}
}

// What is wrong with an entry that looks like any other is said, with its place.
func TestEntriesThatEndTooEarly(t *testing.T) {
	p, err := compiled(t, jsonSchema, decode.Columns{"r": {Skip: true}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	entry := entryOf("key", "value")
	for cut := 1; cut < len(entry); cut++ {
		// The length of the entry says what is there; those within it do not, but where it is a key and no value.
		got := shown(t, p, structOf(entry[:cut]))
		if refused := strings.HasPrefix(got, "refused: "); refused == (cut == len("\x0a\x03key")) {
			t.Errorf("%x: %s", entry[:cut], got)
		}
	}
	bad := structOf(entryOf("k\xff", "value"))
	if got := shown(t, p, bad); !strings.Contains(got, "not valid UTF-8") {
		t.Error(got)
	}
	bad = structOf(entryOf("k", "value\xff"))
	if got := shown(t, p, bad); !strings.Contains(got, "not valid UTF-8") {
		t.Error(got)
	}
}
