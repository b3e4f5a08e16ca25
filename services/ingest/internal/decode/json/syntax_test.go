package json

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
)

// judged is whether jsontext takes a payload for JSON: one value, nothing behind it, names twice allowed. Its depth is
// bounded as ours.
func judged(payload []byte) bool {
	d := jsontext.NewDecoder(bytes.NewReader(payload), jsontext.AllowDuplicateNames(true))
	for {
		switch _, err := d.ReadToken(); {
		case errors.Is(err, io.EOF):
			return d.StackDepth() == 0 && d.InputOffset() > 0 && len(bytes.Trim(payload, " \n\r\t")) > 0
		case err != nil || d.StackDepth() > 1+jsonscan.MaxNesting:
			return false
		case d.StackDepth() == 0:
			if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
				return false
			}
			return true
		}
	}
}

var syntax = []string{
	`{}`, ` { } `, `{"a":1}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{a:1}`, `{'a':1}`, `{"a":1 "b":2}`,
	`{"a":[1,2,{"b":[]}],"c":{"d":null}}`, `{"a":[1,]}`, `{"a":[,]}`, `{"a":01}`, `{"a":-}`, `{"a":-0}`, `{"a":1.}`,
	`{"a":.1}`, `{"a":1e}`, `{"a":1e+}`, `{"a":1E-5}`, `{"a":0x1}`, `{"a":NaN}`, `{"a":Infinity}`, `{"a":+1}`,
	`{"a":1_000}`, `{"a":tru}`, `{"a":TRUE}`, `{"a":truefalse}`, `{"a":nul}`,
	`{"a":"\u0000"}`, `{"a":"\u00"}`, `{"a":"\ud800"}`, `{"a":"\ud83d\ude00"}`, `{"a":"\udc00\ud800"}`, `{"\ud800":1}`,
	"{\"a\":\"\x00\"}", "{\"a\":\"\x1f\"}", "{\"a\":\"\x7f\"}", "{\"a\":\"\xff\"}", "{\"\xc0\x80\":1}",
	"{\"a\":\"\xed\xa0\x80\"}", "{\"a\":\"\xf4\x90\x80\x80\"}", "{\"a\":\"é\"}", "\xef\xbb\xbf{}", `{}{}`, `{} x`,
	`{}//`, `/**/{}`, `{"a":1/**/}`, ``, ` `, `{`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":"`,
	`{"a":"\`, `{"a":[`, `{"a":{"b":1}`, `}`, "{\"a\"\t:\r\n1 }", "{\"a\":\v1}", "{\"a\":\u00a01}", `{"":1}`,
	`{"a\u0062":1,"ab":2}`, `{"a":"\/"}`, `{"a":"\'"}`, `{"a":1}]`, `{"a":[1}}`, `{"a":{1]}`,
	`{"a":` + strings.Repeat(`[`, jsonscan.MaxNesting) + strings.Repeat(`]`,
		jsonscan.MaxNesting) + `}`,
	`{"a":` + strings.Repeat(`[`, jsonscan.MaxNesting+1) + strings.Repeat(`]`, jsonscan.MaxNesting+1) + `}`,
}

// Whether a payload is JSON at all does not depend on the schema, and jsontext agrees: to a column of any JSON, and to
// a field that is dropped.
func TestSyntax(t *testing.T) {
	p := compile(t, one(`"long"`), Settings{Unknown: Drop, Lenient: true})
	d := p.decoder()
	for _, payload := range syntax {
		checkSyntax(t, d, []byte(payload))
	}
}

func checkSyntax(t *testing.T, d *Decoder, payload []byte) {
	t.Helper()
	if value := bytes.TrimLeft(payload, " \n\r\t"); len(value) > 0 && value[0] != '{' && judged(payload) {
		return // JSON, but no object
	}
	_, err := d.Append(nil, payload)
	if want := judged(payload); (err == nil) != want {
		t.Errorf("%.100q: taken %v, jsontext takes it: %v (%v)", payload, err == nil, want, err)
	}
}
