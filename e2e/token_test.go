package e2e

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"
)

// token is a checkpoint taken apart, so that tests can forge the ones that an operator's mistakes and crashes leave
// behind. It reads what the lanes of the built-in contracts commit when nothing is left out: at most one table, with a
// stream.
type token struct {
	flags               byte
	cluster, topic      string
	partition, position uint64
	routing             [8]byte
	tables              uint64
	tableFlags          byte
	table, stream       string
	rows                uint64
}

const clean = 1

// withoutMark is the writer's part of what a group has committed: before it stands what ingest says of the topic and
// the log.
func withoutMark(metadata string) string { return metadata[strings.LastIndex(metadata, ";")+1:] }

func parseToken(t *testing.T, text string) token {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(withoutMark(text))
	if err != nil || len(raw) < 6 {
		t.Fatalf("%q is not a checkpoint: %v", text, err)
	}
	_, n := binary.Uvarint(raw[1:])
	rest := raw[1+n : len(raw)-4]
	number := func() uint64 {
		v, n := binary.Uvarint(rest)
		rest = rest[n:]
		return v
	}
	letters := func() string {
		n := number()
		s := string(rest[:n])
		rest = rest[n:]
		return s
	}
	single := func() byte {
		b := rest[0]
		rest = rest[1:]
		return b
	}
	var k token
	k.flags, k.cluster, k.topic, k.partition, k.position = single(), letters(), letters(), number(), number()
	rest = rest[copy(k.routing[:], rest):]
	if left := number(); left != 0 {
		t.Fatalf("%d runs are left out", left)
	}
	if k.tables = number(); k.tables == 1 {
		k.tableFlags, _, k.table = single(), number(), letters()
		k.stream, k.rows = letters(), number()
	}
	if again := k.String(); again != withoutMark(text) {
		t.Fatalf("checkpoint %q is taken apart wrongly: %+v", text, k)
	}
	return k
}

// String puts the checkpoint together again, checksum included.
func (k token) String() string {
	letters := func(b []byte, s string) []byte { return append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	body := letters(letters([]byte{k.flags}, k.cluster), k.topic)
	body = binary.AppendUvarint(binary.AppendUvarint(body, k.partition), k.position)
	body = append(append(body, k.routing[:]...), 0)
	body = binary.AppendUvarint(body, k.tables)
	if k.tables == 1 {
		body = letters(append(body, k.tableFlags, 0), k.table)
		body = binary.AppendUvarint(letters(body, k.stream), k.rows)
	}
	raw := append(binary.AppendUvarint([]byte{1}, uint64(len(body))), body...)
	raw = binary.LittleEndian.AppendUint32(raw, crc32.Checksum(raw, crc32.MakeTable(crc32.Castagnoli)))
	return base64.RawURLEncoding.EncodeToString(raw)
}

// crashed is the checkpoint that a crash leaves behind when n rows before the position were not settled yet.
func (k token) crashed(n uint64) token {
	k.flags &^= clean
	k.position -= n
	k.rows -= n
	return k
}
