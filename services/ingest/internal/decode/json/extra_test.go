package json

import (
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/jsonscan"
)

const nested = `{"type":"record","name":"R","fields":[
	{"name":"id","type":"long"},
	{"name":"items","type":{"type":"array","items":{"type":"record","name":"I","fields":[{"name":"sku",` +
	`"type":"string"}]}},"default":[]},
	{"name":"by","type":{"type":"map","values":"I"},"default":{}},
	{"name":"who","type":["null","string",{"type":"record","name":"P","fields":[{"name":"name","type":"string"},` +
	`{"name":"home","type":["null","I"],"default":null}]}],"default":null}]}`

func TestUnknownFields(t *testing.T) {
	for payload, want := range map[string]string{
		`{"id":1}`: `id:1`,
		`{"no":[1, "\u00e9", {"a" : 1.50}],"id":1}`: `id:1 _extra:{"no":[1, "\u00e9", {"a" : 1.50}]}`,
		`{"id":1,"a":1,"items":[{"sku":"a"},{"x":1,"sku":"b","y":{}},{"sku":"c","z":null}],` +
			`"b":2}`: `id:1 items:{sku:"a"} items:{sku:"b"} items:{sku:"c"} ` +
			`_extra:{"a":1,"items":{"1":{"x":1,"y":{}},"2":{"z":null}},"b":2}`,
		`{"id":1,"by":{"k\"1":{"sku":"a"},"k\u00e9":{"x":1,` +
			`"sku":"b"}}}`: `id:1 by:{key:"k\"1" value:{sku:"a"}} by:{key:"ké" value:{sku:"b"}} ` +
			`_extra:{"by":{"k\u00e9":{"x":1}}}`,
		`{"who":{"home":{"sku":"a","x":1},"name":"n","y":2},` +
			`"id":1}`: `id:1 who:{P_value:{name:"n" home:{sku:"a"}}} _extra:{"who":{"home":{"x":1},"y":2}}`,
		`{"who":"w","id":1,"\u0069":2}`: `id:1 who:{string_value:"w"} _extra:{"\u0069":2}`,
		`{"id":1,"_extra":{"x":1}}`:     `id:1 _extra:{"_extra":{"x":1}}`,
	} {
		got := text(t, compile(t, nested, Settings{Unknown: Keep}), payload)
		if head, extra, ok := strings.Cut(want, `_extra:`); ok {
			want = head + `_extra:"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(extra) + `"`
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", payload, got, want)
		}
		dropped, _, _ := strings.Cut(want, " _extra:")
		if got := text(t, compile(t, nested, Settings{Unknown: Drop}), payload); got != dropped {
			t.Errorf("drop: %s\n got %s\nwant %s", payload, got, dropped)
		}
		refused := strings.Contains(text(t, compile(t, nested, Settings{}), payload),
			"the schema does not know the field")
		if refused != (want != dropped) {
			t.Errorf("refuse: %s: %v", payload, refused)
		}
	}
	// What is kept is held to BigQuery's depth with the objects that it stands in.
	deep := func(n int) string {
		return `{"id":1,"items":[{"sku":"a","x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}]}`
	}
	p := compile(t, nested, Settings{Unknown: Keep})
	if got := text(t, p, deep(jsonscan.MaxNesting-3)); !strings.HasPrefix(got, "id:1") {
		t.Error(got)
	}
	if got := text(t, p, deep(jsonscan.MaxNesting-2)); !strings.Contains(got, "items[0].x at") ||
		!strings.Contains(got, "500 levels") {
		t.Error(got)
	}
	if _, err := Compile([]byte(strings.Replace(nested, `"id"`, `"_extra"`, 1)), Avro, Settings{Unknown: Keep},
		decode.Options{Payload: "p"}); err == nil {
		t.Error("two columns _extra")
	}
}

// A field of the schema, or a key of a map, may be there once.
func TestTwice(t *testing.T) {
	p := compile(t, nested, Settings{Unknown: Drop})
	for payload, want := range map[string]string{
		`{"id":1,"id":1}`:                                      `id at 8: the field is there twice`,
		`{"id":1,"i\u0064":1}`:                                 `id at 8: the field is there twice`,
		`{"id":1,"items":[],"items":null}`:                     `items at 19: the field is there twice`,
		`{"id":1,"x":1,"x":2}`:                                 `id:1`,
		`{"id":1,"by":{"a":{"sku":"s"},"\u0061":{"sku":"s"}}}`: `by.a at 30: the key is there twice`,
	} {
		if got := text(t, p, payload); got != want {
			t.Errorf("%s\n got %s\nwant %s", payload, got, want)
		}
	}
	// The table of keys grows, and inner maps leave those of outer ones alone.
	maps := compile(t, one(`{"type":"map","values":{"type":"map","values":"int"}}`), Settings{})
	var b strings.Builder
	for i := range 60 {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(`"` + strings.Repeat("k", i) + `":{`)
		for j := range 60 {
			if j > 0 {
				b.WriteString(",")
			}
			b.WriteString(`"` + strings.Repeat("j", j) + `":1`)
		}
		b.WriteString("}")
	}
	if got := text(t, maps, `{"x":{`+b.String()+`}}`); strings.Count(got, "value:1") != 3600 {
		t.Errorf("%.100s", got)
	}
	for _, key := range []string{"", "k", strings.Repeat("k", 59)} {
		if got := text(t, maps, `{"x":{`+b.String()+`,"`+key+`":{}}}`); !strings.Contains(got,
			"the key is there twice") {
			t.Errorf("%s: %.100s", key, got)
		}
	}
}
