package confluent_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/avro"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/confluent"
)

const (
	one = `{"type":"record","name":"R","fields":[{"name":"id","type":"string"},{"name":"n","type":["null","long"]}]}`
	two = `{"type":"record","name":"R","fields":[{"name":"n","type":"int"},{"name":"extra","type":"bytes"},` +
		`{"name":"id","type":"string"}]}`
)

// header is the magic byte and a schema id.
func header(id uint32) []byte { return binary.BigEndian.AppendUint32([]byte{0}, id) }

// plans are the plan of schema one, which knows it as id 1 and two as id 2, and the inner plans of both.
func plans(t testing.TB) (plan *confluent.Plan, inner map[uint32]decode.Plan) {
	t.Helper()
	o := decode.Options{Contract: "c", Payload: "payload", EventID: "id"}
	reader, err := avro.Parse(one)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := reader.Compile(o)
	if err != nil {
		t.Fatal(err)
	}
	plan, inner = confluent.NewPlan("c", "payload", columns), map[uint32]decode.Plan{}
	for id, text := range map[uint32]string{1: one, 2: two} {
		writer, err := avro.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		p, err := reader.CompileFor(writer, o, avro.Resolution{Origin: "it"})
		if err != nil {
			t.Fatal(err)
		}
		inner[id] = p
		plan.Learn(id, confluent.Source{Plan: p})
	}
	plan.Learn(3, confluent.Source{Reason: "schema id 3 is no good"})
	return plan, inner
}

func TestDecoder(t *testing.T) {
	plan, _ := plans(t)
	d := plan.NewDecoder()
	for _, v := range []struct{ payload, row, id, reason string }{
		{"\x00\x00\x00\x00\x01\x04ab\x02\x0a", "\x0a\x02ab\x10\x05", "ab", ""},
		{"\x00\x00\x00\x00\x02\x0a\x02x\x04cd", "\x10\x05\x0a\x02cd", "cd", ""},
		{"\x00\x00\x00\x00\x03\x04ab\x02\x0a", "", "", "c: payload at byte 0: schema id 3 is no good"},
		{"\x00\x00\x00\x00\x01\x04ab\x00", "\x0a\x02ab", "ab", ""},
		{"\x00\x00\x00\x01\x01\x04ab\x00", "", "", "c: payload at byte 0: schema id 257 was not looked up"},
		{"\x00\x00\x00\x00\x01\x04ab\x04", "", "", "c: payload.n at byte 8: the union's index is neither 0 nor 1"},
		{"\x00\x00\x00\x00\x01", "", "", "c: payload.id at byte 5: the payload ends here"},
		{
			"\x01\x00\x00\x00\x01", "", "",
			"c: payload at byte 0: the first byte is not zero: there is no schema id before the payload",
		},
	} {
		row, err := d.Append([]byte("before"), []byte(v.payload))
		id, _ := d.EventID()
		switch {
		case v.reason != "":
			if err == nil || err.Error() != v.reason || string(row) != "before" {
				t.Errorf("%q: %q, %v", v.payload, row, err)
			}
		case err != nil || string(row) != "before"+v.row || string(id) != v.id:
			t.Errorf("%q: %q, id %q, %v", v.payload, row, id, err)
		}
	}
	row := &descriptorpb.DescriptorProto{}
	if err := plan.AddPayload(row, "payload", 16); err != nil || len(row.Field) != 1 {
		t.Errorf("%v, %v", row, err)
	}
}

// What is known may be known for a time only.
func TestKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan, _ := plans(t)
		plan.Learn(4, confluent.Source{Reason: "missing", Until: time.Now().Add(time.Minute)})
		for id, want := range map[uint32]bool{1: true, 3: true, 4: true, 5: false} {
			if plan.Known(id) != want {
				t.Errorf("id %d: %v", id, !want)
			}
		}
		time.Sleep(time.Minute)
		if plan.Known(4) || !plan.Known(3) {
			t.Error("nothing is forgotten, or everything")
		}
	})
}

// Ids are foreign input: a flood of them does not grow without end, and what is in use stays readable.
func TestKnownIsBounded(t *testing.T) {
	plan, inner := plans(t)
	d := plan.NewDecoder()
	var wait sync.WaitGroup
	for n := range uint32(4) {
		wait.Go(func() {
			for id := range uint32(300) {
				plan.Learn(100+n*300+id, confluent.Source{Reason: "no"})
			}
		})
	}
	wait.Wait()
	known := 0
	for id := range uint32(2000) {
		if plan.Known(id) {
			known++
		}
	}
	if known > 1024 {
		t.Errorf("%d ids are known", known)
	}
	plan.Learn(1, confluent.Source{Plan: inner[1]})
	for range 2 {
		if _, err := d.Append(nil, []byte("\x00\x00\x00\x00\x01\x04ab\x00")); err != nil {
			t.Error(err)
		}
	}
}

// The plans of ids are bounded by what they take, and an id that was learned a moment ago is known, whatever others
// learn.
func TestKnownIsBoundedInBytes(t *testing.T) {
	plan, inner := plans(t)
	huge := strings.Repeat("x", 4<<20)
	for id := range uint32(200) {
		plan.Learn(1000+id, confluent.Source{Plan: inner[1]})
		plan.Learn(2000+id, confluent.Source{Reason: huge})
		if !plan.Known(1000 + id) {
			t.Fatalf("id %d is forgotten at once", 1000+id)
		}
	}
	known := 0
	for id := range uint32(200) {
		if plan.Known(2000 + id) {
			known++
		}
	}
	if most := 16; known > most || known == 0 {
		t.Errorf("%d ids of 4 MiB each are known, at most %d should be", known, most)
	}
}

func TestNoAllocations(t *testing.T) {
	plan, _ := plans(t)
	d := plan.NewDecoder()
	payloads := [][]byte{[]byte("\x00\x00\x00\x00\x01\x04ab\x02\x0a"), []byte("\x00\x00\x00\x00\x02\x0a\x02x\x04cd")}
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		for _, p := range payloads {
			if _, err := d.Append(dst, p); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzFrame holds the frame to the plan inside: what is behind the header is read as if it stood alone, and all else is
// refused.
func FuzzFrame(f *testing.F) {
	for _, seed := range []string{
		"", "\x00", "\x00\x00\x00\x00\x01\x04ab\x02\x0a", "\x00\x00\x00\x00\x02\x0a\x02x\x04cd", "\x00\x00\x00\x00\x03",
		"\x00\xff\xff\xff\xff", "Obj\x01",
	} {
		f.Add([]byte(seed))
	}
	plan, inner := plans(f)
	framed, alone := plan.NewDecoder(), map[uint32]decode.Decoder{1: inner[1].NewDecoder(), 2: inner[2].NewDecoder()}
	f.Fuzz(func(t *testing.T, payload []byte) {
		row, err := framed.Append([]byte("x"), payload)
		var refusal *decode.Error
		if err != nil && (!errors.As(err, &refusal) || string(row) != "x" || refusal.Offset < 0 ||
			refusal.Offset > len(payload)) {
			t.Fatalf("%q, %v", row, err)
		}
		id, rest, ok := confluent.ID(payload)
		if !ok || alone[id] == nil {
			if err == nil {
				t.Fatalf("id %d is not known, and read: %q", id, row)
			}
			return
		}
		if !bytes.Equal(append(header(id), rest...), payload) {
			t.Fatalf("%x is not id %d and %x", payload, id, rest)
		}
		want, wantErr := alone[id].Append([]byte("x"), rest)
		if (err == nil) != (wantErr == nil) || !bytes.Equal(row, want) {
			t.Fatalf("%q, %v; alone %q, %v", row, err, want, wantErr)
		}
	})
}
