package avro

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	deliveryv6 "github.com/waybill-data/waybill/proto/delivery/v6"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

// expansion bounds the bytes of a row for each byte of payload: a long of one byte becomes a tag and ten bytes, inside
// of records that take no bytes of their own.
const expansion = 64

// fuzz checks what a decoder makes of any payload: no panic; what it takes is a valid, canonical message of bounded
// size.
func fuzz(t *testing.T, d *Decoder, payload []byte, datum int) {
	row, err := d.Append(nil, payload)
	if err != nil {
		if row != nil {
			t.Fatal("a row and an error")
		}
		return
	}
	if len(row) > expansion*(datum+16) {
		t.Fatalf("%d bytes of %d", len(row), datum)
	}
	m := &deliveryv6.Delivery{}
	if err := proto.Unmarshal(row, m); err != nil {
		t.Fatal(err)
	}
	if len(m.ProtoReflect().GetUnknown()) > 0 {
		t.Fatal("fields that the message does not have")
	}
	canonical, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil || !isContainer(payload) && !bytes.Equal(row, canonical) {
		t.Fatalf("not the bytes of proto.Marshal: %v", err)
	}
}

func FuzzBare(f *testing.F) {
	p, _ := golden(f)
	for _, payload := range goldenPayloads(f) {
		f.Add(payload)
	}
	d := p.decoder()
	f.Fuzz(func(t *testing.T, payload []byte) {
		if !isContainer(payload) {
			fuzz(t, d, payload, len(payload))
		}
	})
}

func FuzzContainer(f *testing.F) {
	p, schema := golden(f)
	for i, payload := range goldenPayloads(f) {
		if i < 2 {
			for _, codec := range codecs(f) {
				f.Add(file(f, schema, codec, payload)[len(containerMagic):])
			}
		}
	}
	f.Add(file(f, recordSchema, nil, []byte("\x02\x02a\x02b"))[len(containerMagic):])
	d := p.decoder()
	f.Fuzz(func(t *testing.T, payload []byte) {
		fuzz(t, d, append(bytes.Clone(containerMagic), payload...), maxBlockBytes)
	})
}

const recordSchema = `{"type":"record","name":"R","fields":[{"name":"id","type":["null","string"]},{"name":"extra",` +
	`"type":"string"}]}`

// FuzzSchema compiles any schema and runs it on any payload.
func FuzzSchema(f *testing.F) {
	_, schema := golden(f)
	f.Add([]byte(schema), goldenPayloads(f)[0])
	f.Add([]byte(recordSchema), []byte("\x02\x02a\x02b"))
	f.Add([]byte(one(`{"type":"array","items":["int",{"type":"map","values":{"type":"bytes","logicalType":"decimal",`+
		`"precision":9,"scale":2}}]}`)), []byte(
		"\x02\x00\x02\x00"))
	for _, odd := range faulty {
		f.Add([]byte(recordOf(odd.fields)), []byte(odd.datum))
	}
	f.Fuzz(func(t *testing.T, schema, payload []byte) {
		p, err := Compile(schema, decode.Options{Contract: "c", Payload: "p"})
		if err != nil {
			return
		}
		decodetest.Payload(t, p)
		row, err := p.decoder().Append(nil, payload)
		if err != nil && row != nil {
			t.Fatal("a row and an error")
		}
	})
}
