package avro

import (
	"strings"
	"testing"
)

// The default of a decimal that Kafka Connect wrote as base64 is the number that it meant.
func TestDefaultsInBase64(t *testing.T) {
	const decimal = `{"type":"bytes","scale":2,"precision":10,"connect.version":1,"connect.parameters":{"scale":"2",` +
		`"connect.decimal.precision":"10"},"connect.default":"DEF","connect.name":` +
		`"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}`
	for _, c := range []struct{ kind, text, want string }{
		{decimal, "AA==", `a:1 d:"0.00"`},
		{decimal, "MDk=", `a:1 d:"123.45"`},
		{decimal, "z8c=", `a:1 d:"-123.45"`},
		{`[` + decimal + `,"null"]`, "MDk=", `a:1 d:"123.45"`},
		// What could be characters of Avro's is: "0" and "9" are the bytes of 12345 too.
		{decimal, "09", `a:1 d:"123.45"`},
		{decimal, "AAAA", `a:1 d:"10947955.85"`},
		{decimal, "A===", `a:1 d:"10945324.13"`},
		// Without connect.default there is no sign that it is anything else.
		{strings.Replace(decimal, `"connect.default":"DEF",`, "", 1), "AA==", `a:1 d:"10947945.57"`},
	} {
		kind := strings.ReplaceAll(c.kind, "DEF", c.text)
		p := compile(t, recordOf(`{"name":"a","type":"int"},{"name":"d","type":`+kind+`,"default":"`+c.text+`"}`))
		got := text(t, p, string(file(t, recordOf(`{"name":"a","type":"int"}`), nil, []byte("\x02"))))
		if got != c.want {
			t.Errorf("%s %q: %s, want %s", c.kind, c.text, got, c.want)
		}
		warned := strings.Contains(strings.Join(p.Warnings(), "\n"), `R.d: its default "`+c.text+`" is read as base64`)
		if mended := strings.HasSuffix(c.text, "=") && c.text != "A===" && kind != strings.ReplaceAll(kind,
			"connect.default", ""); warned != mended {
			t.Errorf("%s %q: warned of %q", c.kind, c.text, p.Warnings())
		}
	}
}
