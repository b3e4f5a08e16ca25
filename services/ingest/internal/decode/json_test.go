package decode

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

var jsonTexts = []string{
	`{}`, `[]`, `""`, `0`, `-0`, `-1.5e+10`, `1E5`, `true`, `false`, `null`, ` {"a" : [1, 2, {"b":[]}], "c":null} `,
	`"\u00e9\ud83d\ude00 é 😀 \n\/"`, ``, ` `, `{`, `[`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `[1,]`,
	`[,1]`, `[1 2]`, `{"a" 1}`, `{1:2}`, `01`, `1.`, `.5`, `-`, `1e`, `+1`, `tru`, `nul`, `"`, `"\x"`, `"\u12"`,
	`"\u12g4"`, "\"\n\"", "\"\x7f\"", `1 2`, `{}}`, `[]]`, `[}`, `{]`, `NaN`, `Infinity`, `'a'`, `[[[[]]]]`,
	`[{"a":[{}]},[]]`, "\xef\xbb\xbf1",
}

// valid is whether jsontext takes a text for one JSON value, in which names may be there twice.
func valid(text string) bool {
	d := jsontext.NewDecoder(strings.NewReader(text), jsontext.AllowDuplicateNames(true))
	if _, err := d.ReadValue(); err != nil {
		return false
	}
	_, err := d.ReadToken()
	return errors.Is(err, io.EOF)
}

func TestCheckJSON(t *testing.T) {
	for _, text := range jsonTexts {
		if _, reason := CheckJSON([]byte(text)); (reason == "") != valid(text) {
			t.Errorf("%q: %q, want valid %v", text, reason, valid(text))
		}
	}
	for text, want := range map[string]int{
		`{"a":x}`: 5, `[1`: 2, "\"a\xff\"": 2, `"\ud800"`: 1, `{} x`: 3,
		`[1,2,]`: 5,
	} {
		if at, reason := CheckJSON([]byte(text)); at != want || reason == "" {
			t.Errorf("%q: %q at %d, want %d", text, reason, at, want)
		}
	}
	deep := func(n int) []byte { return []byte(strings.Repeat(`[{"a":`, n/2) + "1" + strings.Repeat("}]", n/2)) }
	if _, reason := CheckJSON(deep(MaxJSONNesting)); reason != "" {
		t.Error(reason)
	}
	if _, reason := CheckJSON(deep(MaxJSONNesting + 2)); !strings.Contains(reason, "nests deeper") {
		t.Error(reason)
	}
	text := []byte(`{"a":[1,2,{"b":"é\n"}]}`)
	if n := testing.AllocsPerRun(100, func() { CheckJSON(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzCheckJSON(f *testing.F) {
	for _, text := range jsonTexts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, reason := CheckJSON([]byte(text))
		if strings.Contains(reason, "nests deeper") {
			return
		}
		if (reason == "") != valid(text) {
			t.Fatalf("%q: %q, want valid %v", text, reason, valid(text))
		}
	})
}

func BenchmarkCheckJSON(b *testing.B) {
	for name, text := range map[string]string{
		"event-270": `{"seq":123456,"scan_id":"0f8fad5bd9cb469fa165708677289501","hub":"Rotterdam Maasvlakte",` +
			`"status":"OUT_FOR_DELIVERY",` +
			`"weight_g":12345,"price":123.45,"insured":false,"scanned_at":1763861532123456,"remark":"label read by the ` +
			`tunnel scanner; weight and size agree with the ship"}`,
		"numbers": `[` + strings.Repeat(`1,-2.5e3,[45],{"a":0},`, 50) + `null]`,
		"text":    `"` + strings.Repeat("Straße des 17. Juni, naïve café. ", 40) + `"`,
	} {
		b.Run(name, func(b *testing.B) {
			in := []byte(text)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, reason := CheckJSON(in); reason != "" {
					b.Fatal(reason)
				}
			}
		})
	}
}
