package avro

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

// goldenPayloads is the recorded payloads of delivery events.
func goldenPayloads(t testing.TB) (payloads [][]byte) {
	t.Helper()
	for _, v := range decodetest.Read[struct {
		Avro []byte `json:"avro_base64"`
	}](t, "testdata/delivery_event_v6.jsonl.gz") {
		payloads = append(payloads, v.Avro)
	}
	return payloads
}

// file writes an object container file of bare data with the library's own writer.
func file(t testing.TB, schema string, codec ocf.Codec, data ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	options := []ocf.WriterOpt{ocf.WithSchema(schema)}
	if codec != nil {
		options = append(options, ocf.WithCodec(codec))
	}
	parsed, err := avro.Parse(schema)
	if err != nil {
		t.Fatal(err)
	}
	w, err := ocf.NewWriter(&out, parsed, options...)
	if err != nil {
		t.Fatal(err)
	}
	for _, datum := range data {
		if _, err := w.Write(datum); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func codecs(t testing.TB) map[string]ocf.Codec {
	zstd, err := ocf.ZstdCodec(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]ocf.Codec{
		"null": nil, "deflate": ocf.DeflateCodec(6), "snappy": ocf.SnappyCodec(), "zstandard": zstd,
	}
}

func golden(t testing.TB) (*Plan, string) {
	t.Helper()
	schema, err := os.ReadFile("../../contract/schemas/delivery_event_v6.avsc")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(schema, decode.Options{
		Contract: "delivery.v6", Payload: "delivery", EventID: "id", EventTime: "timestamp",
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, string(schema)
}

func TestContainer(t *testing.T) {
	p, schema := golden(t)
	payloads := goldenPayloads(t)
	for name, codec := range codecs(t) {
		d, bare := p.decoder(), p.NewDecoder()
		for _, payload := range payloads {
			want, err := bare.Append(nil, payload)
			if err != nil {
				t.Fatal(err)
			}
			got, err := d.Append([]byte("before"), file(t, schema, codec, payload))
			if err != nil || string(got) != "before"+string(want) {
				t.Fatalf("%s: %d bytes, want %d: %v", name, len(got), len(want), err)
			}
			gotID, _ := d.EventID()
			wantID, _ := bare.EventID()
			if !bytes.Equal(gotID, wantID) || len(gotID) == 0 {
				t.Errorf("%s: event %q, want %q", name, gotID, wantID)
			}
		}
	}
}

func TestBadContainers(t *testing.T) {
	p, schema := golden(t)
	payloads := goldenPayloads(t)
	good := file(t, schema, nil, payloads[0])
	deflated := file(t, schema, ocf.DeflateCodec(6), payloads[0])
	snappy := file(t, schema, ocf.SnappyCodec(), payloads[0])
	replace := func(file []byte, from, to string) []byte {
		if !bytes.Contains(file, []byte(from)) {
			t.Fatalf("%q is not in the file", from)
		}
		return bytes.Replace(file, []byte(from), []byte(to), 1)
	}
	for name, c := range map[string]struct {
		file   []byte
		reason string
	}{
		"no datum":      {file(t, schema, nil), "holds 0 data"},
		"two data":      {file(t, schema, nil, payloads[0], payloads[1]), "holds 2 data"},
		"magic only":    {[]byte("Obj\x01"), "ends here"},
		"no schema":     {append([]byte("Obj\x01\x00"), make([]byte, 16)...), "no avro.schema"},
		"no sync":       {[]byte("Obj\x01\x02\x16avro.schema\x10\"string\"\x00abc"), "ends here"},
		"cut":           {good[:len(good)-1], "sync marker"},
		"other sync":    {append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]+1), "sync marker"},
		"unknown codec": {replace(deflated, "deflate", "deflatf"), "codec \"deflatf\" is not supported"},
		"corrupt deflate": {
			replace(deflated, string(deflated[len(deflated)-60:len(deflated)-40]), strings.Repeat("\xff", 20)), "",
		},
		"wrong checksum": {
			replace(snappy, string(snappy[len(snappy)-20:len(snappy)-16]), "\x01\x02\x03\x04"),
			"checksum",
		},
		"schema of no use": {file(t, one(`"int"`), nil, []byte("\x02")), "does not fit"},
		"broken schema":    {replace(good, `"record"`, `"rexord"`), "its schema"},
		"bad datum":        {file(t, schema, nil, payloads[0][:100]), "at byte"},
	} {
		d := p.decoder()
		row, err := d.Append([]byte("before"), c.file)
		if err == nil || string(row) != "before" || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: row of %d bytes, %v; want …%s…", name, len(row), err, c.reason)
		}
		if _, err := d.Append(nil, payloads[0]); err != nil {
			t.Errorf("%s: the next payload: %v", name, err)
		}
	}
}

// TestDecompressionBomb packs more than a block may hold into a small file.
func TestDecompressionBomb(t *testing.T) {
	bomb := append(appendZigzag(nil, maxBlockBytes), make([]byte, maxBlockBytes)...)
	p := compile(t, one(`"string"`))
	for name, codec := range codecs(t) {
		if name == "null" {
			continue
		}
		d := p.decoder()
		if _, err := d.Append(nil, file(t, one(`"string"`), codec, bomb)); err == nil {
			t.Errorf("%s: no error", name)
		}
		if cap(d.files.block) > 3*maxBlockBytes {
			t.Errorf("%s: kept %d bytes", name, cap(d.files.block))
		}
	}
}

// A block may be as much smaller than its datum as codecs make it, up to a hundred times.
func TestBlocksOfAnyRatio(t *testing.T) {
	p := compile(t, one(`"string"`))
	for name, codec := range codecs(t) {
		d := p.decoder()
		for size := 1; size < 1<<22; size = size*9 + 1 {
			text := strings.Repeat("a", size/2)
			for state := uint32(1); len(text) < size; state = state*1664525 + 1013904223 {
				text += strings.Repeat(strconv.Itoa(int(state)), 50) // packs well, and not by a hundred
			}
			datum := append(appendZigzag(nil, int64(len(text))), text...)
			row, err := d.Append(nil, file(t, one(`"string"`), codec, datum))
			if err != nil || !bytes.HasSuffix(row, []byte(text)) {
				t.Errorf("%s of %d bytes: row of %d, %v", name, len(datum), len(row), err)
			}
			if cap(d.files.block) > decode.KeptBytes {
				t.Errorf("%s: kept %d bytes", name, cap(d.files.block))
			}
		}
	}
}

// A datum may start with the bytes of a file or of a single-object encoding, and is none.
func TestBareDataThatStartLikeAnother(t *testing.T) {
	p := compile(t, recordOf(`{"name":"x","type":{"type":"fixed","name":"F","size":16}},{"name":"n","type":"long"}`))
	for _, start := range []string{"Obj\x01", "Obj\x01\x02\x02a\x02b\x00", "\xc3\x01", "\xc3\x01abcdefgh"} {
		payload := []byte((start + "0123456789abcdef")[:16] + "\x02")
		row, err := p.decoder().Append(nil, payload)
		if want := "\x0a\x10" + string(payload[:16]) + "\x10\x01"; err != nil || string(row) != want {
			t.Errorf("%q: %q, %v", payload, row, err)
		}
	}
}

// A single-object encoding of the contract's schema is a row, by the fingerprint of the schema as other writers make
// it; of another schema it is named as what it is.
func TestSingleObjectEncoding(t *testing.T) {
	schema := `{"type":"record","name":"R","doc":"not part of it","namespace":"a.b","fields":[{"name":"x",` +
		`"type":{"type":"string"}}]}`
	parsed := avro.MustParse(schema)
	theirs, err := parsed.AppendSingleObject(nil, map[string]any{"x": "hello"})
	if err != nil {
		t.Fatal(err)
	}
	d := compile(t, schema).NewDecoder()
	if row, err := d.Append(nil, theirs); err != nil || string(row) != "\x0a\x05hello" {
		t.Errorf("%q, %v", row, err)
	}
	for payload, reason := range map[string]string{
		string(theirs[:9]): "single-object encoding (C3 01): the payload ends within the fingerprint",
		"\xc3\x01ABCDEFGH" + "\x0ahello": "single-object encoding (C3 01) of the schema with " +
			"the fingerprint 4847464544434241",
		string(theirs[:10]) + "\x0ahell":       "at byte 10: the length reaches past the end",
		string(theirs) + "x":                   "at byte 16: bytes are left over",
		"\xc3\x01" + string(theirs[2:10]) + "": "at byte 10: the payload ends here",
	} {
		if row, err := d.Append([]byte("row"), []byte(payload)); err == nil || string(row) != "row" ||
			!strings.Contains(err.Error(), reason) {
			t.Errorf("%q: %q, %v; want …%s…", payload, row, err, reason)
		}
	}
}

// TestResolution reads files written with another schema than the contract's.
func TestResolution(t *testing.T) {
	for name, c := range map[string]struct {
		writer, reader string
		datum, want    string // want is the text form of the payload, or part of an error
		fails          bool
	}{
		"same":            {one(`"int"`), one(`"int"`), "\x02", "x:1", false},
		"int to long":     {one(`"int"`), one(`"long"`), "\x01", "x:-1", false},
		"int to double":   {one(`"int"`), one(`"double"`), "\x04", "x:2", false},
		"long to float":   {one(`"long"`), one(`"float"`), "\x04", "x:2", false},
		"float to double": {one(`"float"`), one(`"double"`), "\x00\x00\x00\x3f", "x:0.5", false},
		"bytes to string": {one(`"bytes"`), one(`"string"`), "\x02a", `x:"a"`, false},
		"string to bytes": {one(`"string"`), one(`"bytes"`), "\x02\xff", `x:"\xff"`, false},
		"bad bytes":       {one(`"bytes"`), one(`"string"`), "\x02\xff", "UTF-8", true},
		"long to int":     {one(`"long"`), one(`"int"`), "\x02", "cannot be read as the contract's int", true},
		"extra field": {
			recordOf(`{"name":"y","type":{"type":"array","items":{"type":"map","values":["null","string"]}}},{"name":"x",` +
				`"type":"int"}`), one(`"int"`), "\x02\x02\x02k\x02\x02v\x00\x00\x02", "x:1", false,
		},
		"extra everything": {
			recordOf(`{"name":"a","type":"boolean"},{"name":"b","type":"float"},{"name":"c","type":"double"},{"name":"d",` +
				`"type":{"type":"fixed","name":"F","size":2}},{"name":"e","type":{"type":"enum","name":"E","symbols":["A"]}},` +
				`{"name":"f","type":"long"},{"name":"g","type":"int"},{"name":"h","type":["int"]},{"name":"i","type":"null"},` +
				`{"name":"j","type":["null","int","string"]},{"name":"k","type":{"type":"record","name":"K",` +
				`"fields":[{"name":"k","type":"bytes"}]}},{"name":"x",` +
				`"type":"int"}`), one(`"int"`),
			"\x01" + "1234" + "12345678" + "ab" + "\x00" + "\x02" + "\x02" + "\x00\x02" + "\x04\x02s" + "\x02b" +
				"\x06", "x:3",
			false,
		},
		"missing default": {
			one(`"int"`), recordOf(
				`{"name":"x","type":"int"},{"name":"y","type":{"type":"map","values":"int"},"default":{"k":7}}`),
			"\x02", `x:1 y:{key:"k" value:7}`, false,
		},
		"missing record": {
			one(`"int"`), recordOf(`{"name":"x","type":"int"},{"name":"y","type":{"type":"record","name":"Y",` +
				`"fields":[{"name":"z","type":"string"}]},"default":{"z":"d"}}`), "\x02", `x:1 y:{z:"d"}`, false,
		},
		"missing null": {
			one(`"int"`), recordOf(`{"name":"x","type":"int"},{"name":"y","type":["null","int"],"default":null}`),
			"\x02", "x:1", false,
		},
		"missing nullable": {
			one(`"int"`), recordOf(`{"name":"x","type":"int"},{"name":"y","type":["null","int"]}`), "\x02", "x:1",
			false,
		},
		"missing": {
			one(`"int"`), recordOf(`{"name":"x","type":"int"},{"name":"y","type":"int"}`), "\x02", "lacks the field",
			true,
		},
		"alias": {
			recordOf(`{"name":"old","type":"int"}`), recordOf(`{"name":"x","type":"int","aliases":["old"]}`), "\x02",
			"x:1", false,
		},
		"made nullable":    {one(`"int"`), one(`["null","int"]`), "\x02", "x:1", false},
		"null where none":  {one(`["null","int"]`), one(`"int"`), "\x00", "null where", true},
		"value where none": {one(`["null","int"]`), one(`"int"`), "\x02\x02", "x:1", false},
		"branches": {
			one(`["string","null","int"]`), one(`["null","string","long"]`), "\x04\x06", "x:{long_value:3}", false,
		},
		"into a branch": {one(`"int"`), one(`["null","string","long"]`), "\x06", "x:{long_value:3}", false},
		"no branch": {
			one(`"boolean"`), one(`["null","string","long"]`), "\x01", "none of the contract's branches", true,
		},
		"enum default": {
			one(`{"type":"enum","name":"E","symbols":["NEW","A"]}`),
			one(`{"type":"enum","name":"E","symbols":["A"],"default":"A"}`), "\x00", `x:"A"`, false,
		},
		"enum unknown": {
			one(`{"type":"enum","name":"E","symbols":["NEW","A"]}`), one(`{"type":"enum","name":"E","symbols":["A"]}`),
			"\x00", "does not have the symbol NEW", true,
		},
		"units": {
			one(`{"type":"long","logicalType":"timestamp-millis"}`),
			one(`{"type":"long","logicalType":"timestamp-micros"}`),
			"\x06", "x:3000", false,
		},
		"decimal scale": {
			one(`{"type":"bytes","logicalType":"decimal","precision":4,"scale":1}`),
			one(`{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`), "\x02\x01", "cannot be read", true,
		},
		"recursive extra": {
			recordOf(`{"name":"x","type":"int"},{"name":"y","type":["null","R"]}`), one(`"int"`), "\x02\x00", "x:1",
			false,
		},
		"recursive value": {
			recordOf(`{"name":"x","type":"int"},{"name":"y","type":["null","R"]}`), one(`"int"`),
			"\x02\x02\x04\x02\x06\x00", "x:1", false,
		},
		"too deep": {
			recordOf(`{"name":"x","type":"int"},{"name":"y","type":["null","R"]}`), one(`"int"`),
			strings.Repeat("\x02\x02", 1000), "p.y.y.y.y", true,
		},
		"bomb in extra": {
			recordOf(`{"name":"x","type":"int"},{"name":"y","type":{"type":"array","items":"null"}}`), one(`"int"`),
			"\x02\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", "more than the rest", true,
		},
	} {
		p := compile(t, c.reader)
		row, err := p.decoder().Append(nil, file(t, c.writer, nil, []byte(c.datum)))
		if c.fails {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want …%s…", name, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m := dynamicpb.NewMessage(decodetest.Payload(t, p))
		if err := proto.Unmarshal(row, m); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(strings.Fields(prototext.MarshalOptions{}.Format(m)), " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestFileSchemasAreBounded reads files with ever new schemas.
func TestFileSchemasAreBounded(t *testing.T) {
	d := compile(t, one(`"int"`)).decoder()
	for i := range 3 * maxFileSchemas {
		schema := strings.Replace(one(`"int"`), `"name":"R"`, `"name":"R`+strings.Repeat("r", i)+`"`, 1)
		if _, err := d.Append(nil, file(t, schema, nil, []byte("\x02"))); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(*d.plan.files.known.Load()); n > maxFileSchemas {
		t.Errorf("%d schemas kept", n)
	}
}
